"""Seeds and test images as crossed random factors: do intervals hold for other images, too?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit
from simulation_rows import Row, at_most, no_promise, share

from ablation.analysis.estimates import Estimate, image_variance
from ablation.analysis.inference import STUDENT, judge
from ablation.grid.compare_settings import CompareSettings

_DIFFICULTY = 2.0  # the deviation of the images' difficulty, in logits: about a third are always right
_TASTE = 0.5  # of the images' preference for the variant or the baseline
_LUCK = 0.08  # of the seeds' luck; accuracies of one variant then differ by about a point


def predictions(generator: np.random.Generator, seeds: int, images: int) -> np.ndarray:
    """Draw the differences in correctness of two variants of the same expected accuracy: (seeds, images)."""
    difficulty = generator.normal(0.5, _DIFFICULTY, images)
    taste = generator.normal(0, _TASTE, images)
    correct = []
    for sign in (1, -1):
        luck = generator.normal(0, _LUCK, (seeds, 1))
        chance = 1 / (1 + np.exp(-(difficulty + sign * taste + luck)))
        correct.append(generator.random((seeds, images), np.float32) < chance)
    return correct[0].astype(np.float32) - correct[1]


def estimate(values: np.ndarray, with_images: bool) -> Estimate:
    """Return the estimate of the mean difference, over seeds and images or over seeds."""
    by_seed = values.mean(axis=1, dtype=np.float64)
    if not with_images:
        return Estimate(by_seed)
    return Estimate(by_seed, image_variance(values.astype(np.float64)), values.shape[1])


def coverage(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Two variants of equal accuracy in the population of images: how often an interval excludes 0."""
    alone, of_seven = (CompareSettings(correction="none", alpha=alpha) for alpha in (0.05, 0.05 / 7))
    for seeds, images in itertools.product((3, 5, 10, 50), (500, 2000, 10_000)):
        many = max(50, min(studies // 2, round(studies * 20_000 / (seeds * images))))
        wrong: dict[str, list[bool]] = {"both": [], "both of seven": [], "seeds": []}
        for _ in range(many):
            values = predictions(generator, seeds, images)
            for name, with_images, compare in (
                ("both", True, alone), ("both of seven", True, of_seven), ("seeds", False, alone),
            ):  # fmt: skip
                row = judge({"v": estimate(values, with_images)}, compare).iloc[0]
                wrong[name].append(not row["low"] <= 0 <= row["high"])
        name = f"interval over seeds and images, {seeds} seeds, {images:,} images: excludes the difference"
        yield share(name, 0.05, wrong["both"], at_most(0.05))
        yield share(
            "  the same at the level of one of seven", 0.05 / 7, wrong["both of seven"], at_most(0.05 / 7)
        )
        yield no_promise("  an interval over the seeds alone", wrong["seeds"])


def degrees_of_freedom(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """Normal seeds, and images that add a tenth of their variance: the interval here, and the usual one.

    The usual one for crossed seeds and images has Student's t with the degrees of freedom of Satterthwaite.
    """
    level, images = 0.05 / 7, 0.1
    for seeds in (3, 5, 10):
        many = 20 * studies  # cheap draws of a rare error
        of_seeds = generator.chisquare(seeds - 1, many) / (seeds - 1)
        means = np.abs(generator.normal(0, math.sqrt(1 + images), many))
        degrees = (of_seeds + images) ** 2 / (of_seeds**2 / (seeds - 1) + images**2 / 999)
        usual = -stdtrit(degrees, level / 2) * np.sqrt(of_seeds + images)
        by_seeds, by_images = (STUDENT.half_width(seeds, *one, level) for one in ((1.0, 0.0), (0.0, 1.0)))
        ours = np.hypot(by_seeds * np.sqrt(of_seeds), by_images * math.sqrt(images))
        name = f"images add a tenth of the variance, {seeds} seeds, one of seven: excludes the difference"
        yield share(name, level, list(means > ours), at_most(level))
        yield no_promise("  the same with Satterthwaite's degrees of freedom", list(means > usual))


def under_looking(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """The same, looked at after each of 3 to 40 seeds on the same images."""
    compare = CompareSettings(looks="any", correction="none", margin=1e-6)
    hits = []
    for _ in range(studies // 20):
        values = predictions(generator, 40, 1000)
        looks = (judge({"v": estimate(values[:n], True)}, compare)["verdict"].iloc[0] for n in range(3, 41))
        hits.append(any(verdict in ("better", "worse") for verdict in looks))
    name = "no effect, 1,000 images, looked at after each of 3 to 40 seeds: called better or worse"
    yield share(name, 0.05, hits, at_most(0.05))
