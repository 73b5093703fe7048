"""Are the conclusions right as often as they say? Thousands of simulated studies with a known truth.

    python experiments/benchmark/simulation.py [--studies 4000]

Each study draws the accuracies of a baseline and of variants, seed by seed (a seed's luck is shared, as in
paired trials). It is judged by the same code that judges a run. Prints a table of what was promised and
what was found; where nothing is promised, only the latter. Exits with 1 if an error rate is above its
promise, or power more than 5 points from its own, by more than three standard errors of the simulation.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import simulation_designs as designs
import simulation_doses as doses
import simulation_families as families
import simulation_images as over_images
import simulation_split as split
from simulation_rows import (
    SPREAD,
    Row,
    at_least,
    at_most,
    differences,
    factorial,
    near,
    no_promise,
    print_rows,
    share,
)

from ablation.analysis.answers import study_answers
from ablation.analysis.inference import judge
from ablation.analysis.sample_size import power_of, seeds_needed, verdict_chances
from ablation.grid.compare_settings import CompareSettings


def null_families(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """With no effect: how often any of the variants is called better or worse."""
    for seeds, variants in itertools.product((3, 5, 10), (1, 3, 7)):
        hits = []
        for _ in range(studies):
            verdicts = judge(differences(generator, [0.0] * variants, seeds), CompareSettings())["verdict"]
            hits.append(bool(verdicts.isin(["better", "worse"]).any()))
        name = f"no effect: any of {variants} called better or worse, {seeds} seeds"
        yield share(name, 0.05, hits, at_most(0.05))


def coverage(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """How often an interval holds the true difference."""
    for correction, looks in (("none", "once"), ("holm", "once"), ("holm", "any")):
        compare = CompareSettings(correction=correction, looks=looks)
        hits = []
        effects = [0.0, 0.01, 0.02]
        for _ in range(studies):
            judged = judge(differences(generator, effects, 8), compare)
            hits += list((judged["low"] <= effects) & (judged["high"] >= effects))
        name = f"interval holds the difference ({correction}, looks: {looks}), 8 seeds"
        yield share(name, 0.95, hits, near(0.95, 0) if correction == "none" else at_least(0.95))


def looked_at(
    generator: np.random.Generator, effects: list[float], compare: CompareSettings, most: int
) -> pd.DataFrame:
    """Judge after 3 seeds, add a quarter where verdicts are open, until all are known or seeds end."""
    drawn = differences(generator, effects, most)
    seeds = dict.fromkeys(drawn, 3)
    while True:
        judged = judge({name: values[: seeds[name]] for name, values in drawn.items()}, compare)
        open_ = [n for n in drawn if judged.loc[n, "verdict"] in ("", "unresolved") and seeds[n] < most]
        if not open_:
            return judged
        seeds |= {name: min(most, seeds[name] + max(1, seeds[name] // 4)) for name in open_}


def under_looking(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """The same under `--until-resolved`, and what Student's t would do there."""
    for looks, variants in (("any", 1), ("any", 3), ("once", 3)):
        compare = CompareSettings(looks=looks, margin=0.0005)
        hits = []
        for _ in range(studies // 2):
            verdicts = looked_at(generator, [0.0] * variants, compare, 40)["verdict"]
            hits.append(bool(verdicts.isin(["better", "worse"]).any()))
        name = f"no effect, until resolved, 40 seeds: any of {variants} called better or worse"
        if looks == "any":
            yield share(name, 0.05, hits, at_most(0.05))
        else:
            yield no_promise(f"  the same without the anytime test (looks: {looks})", hits)
    hits = []
    for _ in range(studies // 2):
        judged = looked_at(generator, [0.0005, 0.02], CompareSettings(looks="any", margin=0.005), 40)
        hits.append(bool((judged["verdict"] == ["equivalent", "better"]).any()))
    name = "  a difference of two deviations, or a tenth of the margin, resolved"
    yield share(name, 0.8, hits, at_least(0.8))


def power(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Whether as many seeds as `ablation plan` says find a difference of the margin as often as it says."""
    for ratio, variants in itertools.product((0.4, 0.8, 1.5), (1, 3)):
        compare = CompareSettings(margin=ratio * SPREAD)
        seeds = seeds_needed(SPREAD, compare.alpha / variants, compare)
        effects = [compare.margin] + [0.0] * (variants - 1)
        hits = [
            judge(differences(generator, effects, seeds), compare).loc["v0", "verdict"] == "better"
            for _ in range(studies // 2)
        ]
        name = f"power to tell a margin of {ratio:g} deviations, {variants} variants, {seeds} seeds"
        promised = power_of(seeds, ratio, compare.alpha / variants, compare)
        yield share(name, promised, hits, near(promised, 0.05))


def chances(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Whether each verdict is as frequent as `ablation plan` says: with no difference, and at the margin."""
    for ratio, looks in itertools.product((0.4, 0.8, 1.5), ("once", "any")):
        compare = CompareSettings(margin=ratio * SPREAD, looks=looks, correction="none")
        seeds = seeds_needed(SPREAD, compare.alpha, compare)
        for truth in (0.0, ratio):
            drawn = generator.normal(truth * SPREAD, SPREAD, (studies, seeds))
            found = judge({f"study {k}": values for k, values in enumerate(drawn)}, compare)["verdict"]
            promised = verdict_chances(seeds, truth, ratio, compare.alpha, compare)
            for verdict, chance in promised._asdict().items():
                words = verdict.replace("_", " ")
                name = (
                    f"true difference {truth:g}, margin {ratio:g} deviations, {seeds} seeds, {looks}: {words}"
                )
                yield share(name, chance, list(found.isin(words.split(" or "))), near(chance, 0.01))


def interactions(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Planted interactions of a 2x2 study, and main effects without any."""
    study = factorial(2, 8, CompareSettings(questions="effects"))
    cells = list(itertools.product((0, 1), (0, 1)))
    for planted in (0.0, 0.03, -0.03):
        right, wrong = [], []
        for _ in range(studies // 8):
            rows = [
                (f"{a}{b}", seed, "completed", "here",
                 0.7 + 0.02 * a + planted * a * b + generator.normal(0, SPREAD / 2))
                for a, b in cells for seed in range(8)
            ]  # fmt: skip
            columns = ["variant", "seed", "status", "provenance", "test_accuracy"]
            table = study_answers(pd.DataFrame(rows, columns=columns), study).effects
            verdict = table.loc[table["kind"] == "interaction", "verdict"].iloc[0]
            expected = {0.03: "better", -0.03: "worse"}.get(planted, "")
            right.append(verdict == expected)
            wrong.append(verdict in ({"better", "worse"} - {expected}))
        if planted:
            name = f"an interaction of {100 * planted:+.0f} points found, 8 seeds"
            yield share(name, 0.8, right, at_least(0.8))
        yield share(f"an interaction of {100 * planted:+.0f} points misjudged", 0.05, wrong, at_most(0.05))


def table(studies: int, seed: int = 0) -> list[Row]:
    """Simulate everything; each part draws from a generator of its own."""
    parts = (
        null_families, under_looking, coverage, power, interactions, chances,
        families.declared, families.while_running, families.equivalence, families.all_pairs,
        families.machines, families.collapsed, families.skewed,
        over_images.coverage, over_images.under_looking, split.draws_from_a_pool, split.tested_on_the_pool,
        over_images.degrees_of_freedom, doses.curves, designs.fractional,
    )  # fmt: skip
    generators = np.random.default_rng(seed).spawn(len(parts))
    simulated = (part(generator, studies) for part, generator in zip(parts, generators, strict=True))
    return list(itertools.chain.from_iterable(simulated))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    print(f"{'what':100} {'promised':>9} {'found':>7} {'±':>6}")
    print_rows(table(parser.parse_args().studies))


if __name__ == "__main__":
    main()
