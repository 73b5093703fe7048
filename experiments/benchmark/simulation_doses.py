"""Dose-response curves with a known truth: how often the band, the set of best doses and the trend are right.

    python experiments/benchmark/simulation_doses.py [--studies 4000]

Every seed shifts all doses by its luck, five times as much as the noise of a single trial. It prints the rows
of `simulation.py` that are about doses, and is a part of it.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from simulation_rows import SPREAD, Row, at_least, at_most, no_promise, print_rows, share

from ablation.analysis.dose_response import band, best_doses, trend

SEEDS, DOSES = (3, 5, 10), (3, 5, 7)
ALPHA = 0.05
_DRAWN = 20_000  # to find a critical value
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal noise of deviation 1."""
    return generator.normal(size=shape)


def heavy(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw noise with heavy tails, Student's t with 3 degrees of freedom, of deviation 1."""
    return generator.standard_t(3, shape) / math.sqrt(3)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw exponential noise of mean 0 and deviation 1."""
    return 1 - generator.exponential(size=shape)


def noisy_end(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw normal noise that is four times as large at the last dose."""
    return generator.normal(size=shape) * np.r_[np.ones(shape[-1] - 1), 4]


NOISES: dict[str, Noise] = {
    "normal": normal, "last dose 4 times as noisy": noisy_end, "heavy tails": heavy, "skewed": skewed,
}  # fmt: skip


def draw(
    generator: np.random.Generator, studies: int, seeds: int, truth: np.ndarray, noise: Noise
) -> np.ndarray:
    """Draw the accuracies of studies, (studies, seeds, doses); the truth is in deviations of a trial."""
    shape = (studies, seeds, len(truth))
    luck = generator.normal(0, 5, (studies, seeds, 1))
    return 0.7 + SPREAD * (truth + luck + noise(generator, shape))


def peak(doses: int, height: float = 6) -> np.ndarray:
    """Return a curve with its best dose in the middle, the ends lower by ``height`` deviations of a trial."""
    return -height * np.linspace(-1, 1, doses) ** 2


def curves(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Every promise for each noise; it is made for normal noise, of whatever variances."""
    for name, noise in NOISES.items():
        promised = noise in (normal, noisy_end)
        yield from _flat(generator, studies, name, noise, promised)
        yield from _with_an_optimum(generator, studies, name, noise, promised)
    yield from _common_variance(generator, studies)


def _flat(
    generator: np.random.Generator, studies: int, name: str, noise: Noise, promised: bool
) -> Iterator[Row]:
    """No effect of the dose: how often a trend is found, and whether the band contains the curve."""
    for seeds, doses in itertools.product(SEEDS, DOSES):
        drawn = draw(generator, studies, seeds, np.zeros(doses), noise)
        x = np.arange(doses)
        trends = [trend(values, x, ALPHA)["p"] <= ALPHA for values in drawn]
        contained = [bool((low <= 0.7).all() and (high >= 0.7).all()) for low, high in _bands(drawn)]
        for what, hits, bound, holds in (
            ("a change is found though there is none", trends, ALPHA, at_most(ALPHA)),
            ("the band contains the whole curve", contained, 1 - ALPHA, at_least(1 - ALPHA)),
        ):
            text = f"{what}, {seeds} seeds, {doses} doses, {name}"
            yield share(text, bound, hits, holds) if promised else no_promise(text, hits)


def _bands(drawn: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [band(values, ALPHA) for values in drawn]


def _with_an_optimum(
    generator: np.random.Generator, studies: int, name: str, noise: Noise, promised: bool
) -> Iterator[Row]:
    """A planted optimum: whether the set contains it, and what share of the doses the set is."""
    for seeds, doses in itertools.product(SEEDS, DOSES):
        barely = np.r_[np.zeros(doses - 1), 0.01]  # the last dose, by next to nothing
        for shape, truth in (("in the middle", peak(doses)), ("barely, at the end", barely)):
            drawn = draw(generator, studies, seeds, truth, noise)
            sets = np.array([best_doses(values, ALPHA) for values in drawn])
            hits = list(sets[:, truth.argmax()])
            text = f"the set contains the best dose, {shape}, {seeds} seeds, {doses} doses, {name}"
            yield (share(text, 1 - ALPHA, hits, at_least(1 - ALPHA)) if promised else no_promise(text, hits))
            if shape == "in the middle":
                yield no_promise("  the share of the doses that are in the set", list(sets.mean(axis=1)))
                found = [trend(v, np.arange(doses), ALPHA)["p"] <= ALPHA for v in drawn]
                yield no_promise("  a change is found", found)


def _common_variance(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """What Hsu's set with a variance that is common to all doses would do; it is not used."""
    for seeds, doses in itertools.product(SEEDS, DOSES):
        critical = _critical(generator, doses, (seeds - 1) * (doses - 1))
        for name, noise, truth in (
            ("normal", normal, peak(doses)),
            ("last dose 4 times as noisy", noisy_end, np.r_[np.zeros(doses - 1), 0.01]),
        ):
            drawn = draw(generator, studies, seeds, truth, noise)
            means, centred = drawn.mean(axis=1), drawn - drawn.mean(axis=2, keepdims=True)
            rest = centred - centred.mean(axis=1, keepdims=True)
            variance = (rest**2).sum((1, 2)) / ((seeds - 1) * (doses - 1))
            reach = critical * np.sqrt(2 * variance / seeds)
            sets = means >= means.max(axis=1, keepdims=True) - reach[:, None]
            text = f"  common variance: the set contains the best dose, {seeds} seeds, {doses} doses, {name}"
            yield no_promise(text, list(sets[:, truth.argmax()]))
            yield no_promise("  common variance: the share of the doses in it", list(sets.mean(axis=1)))


def _critical(generator: np.random.Generator, doses: int, degrees: int) -> float:
    """Return Dunnett's one-sided critical value for comparing one mean with the others, by simulation."""
    means = generator.normal(size=(_DRAWN, doses))
    deviations = np.sqrt(generator.chisquare(degrees, _DRAWN) / degrees)
    largest = (means[:, 1:] - means[:, :1]).max(axis=1) / math.sqrt(2) / deviations
    return float(np.quantile(largest, 1 - ALPHA))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    print_rows(curves(np.random.default_rng(0), parser.parse_args().studies))


if __name__ == "__main__":
    main()
