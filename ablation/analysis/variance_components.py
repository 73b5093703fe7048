"""Variance components: the parts of seeds, test images and their interaction; and McNemar's test per seed."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.estimates import Correct, mean_squares
from ablation.analysis.inference import STUDENT

NOISE_COLUMNS = [
    "variant", "against", "n", "images", "accuracy", "variance", "seed_variance", "image_variance",
    "rest_variance", "se_seeds", "se_images", "se_rest", "more",
]  # fmt: skip
MCNEMAR_COLUMNS = ["variant", "baseline", "seed", "only_variant_right", "only_baseline_right", "p"]

_CLEARLY = 0.025  # the share of both half-widths by which one remedy must beat the other to be named


def noise_table(right: Correct, baseline: str, for_images: bool = True, level: float = 0.05) -> pd.DataFrame:
    """Split the variance of each variant's test accuracy, and of its difference from the baseline.

    The accuracies of two seeds differ for two reasons: one model is better on all images that could be
    drawn, and the models classify different images of the test set correctly. Seeds by images form a table
    with two crossed random factors, and analysis of variance splits it into three variances:
    ``seed_variance`` (Jordan, 2023, "Calibrated chaos", arXiv:2304.01910: the distribution-wise variance),
    ``image_variance`` and ``rest_variance``, the interaction. The estimates are unbiased, so one near zero
    may be negative.

    Args:
        right: Which test images each trial classified correctly. Variants with fewer than two seeds give no
            row.
        baseline: The variant that the others are compared with.
        for_images: Whether the intervals generalise to other test images. If not, only seeds narrow them.
        level: One minus the confidence of the intervals.

    Returns:
        One row per variant (``against`` is empty), and one row per variant for its difference from the
        baseline: ``accuracy`` (or its difference), ``n`` seeds, the observed ``variance`` between the seeds'
        accuracies, the three variances for a single seed on a single image, the three components of the
        mean's standard error, ``se_seeds`` (shrinks with more seeds), ``se_images`` (shrinks with more test
        images) and ``se_rest`` (shrinks with either), and ``more``: twice as many of which, ``seeds`` or
        ``test images``, would narrow the interval more, or ``either``.
    """
    rows = []
    for name, trials in right.items():
        rows.append([name, "", *_split(np.array(list(trials.values()), float), level)])
    for name, trials in right.items():
        seeds = [seed for seed in trials if seed in right.get(baseline, {})]
        if name != baseline and seeds:
            pairs = [trials[seed].astype(float) - right[baseline][seed] for seed in seeds]
            rows.append([name, baseline, *_split(np.array(pairs), level)])
    table = pd.DataFrame(rows, columns=NOISE_COLUMNS)
    if not for_images:
        table["more"] = "seeds"
    return table[table["n"] > 1].reset_index(drop=True)


def mcnemar_table(right: Correct, baseline: str) -> pd.DataFrame:
    """Compare each variant with the baseline image by image, with McNemar's exact test.

    The test asks whether two trained models differ on images like these, and says nothing about other seeds:
    it is a supplementary test, not a verdict (McNemar, 1947).

    Returns:
        One row per variant and seed. ``only_variant_right`` and ``only_baseline_right`` count test images;
        ``p`` is not adjusted.
    """
    rows = []
    for name, trials in right.items():
        for seed in trials:
            if name != baseline and seed in right.get(baseline, {}):
                by_variant, by_baseline = trials[seed], right[baseline][seed]
                gained = int((by_variant & ~by_baseline).sum())
                lost = int((by_baseline & ~by_variant).sum())
                rows.append([name, baseline, seed, gained, lost, _mcnemar(gained, lost)])
    return pd.DataFrame(rows, columns=MCNEMAR_COLUMNS)


@cache  # the same few counts come again and again
def _mcnemar(gained: int, lost: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def _split(values: NDArray[np.float64], level: float) -> list[object]:
    """Return the columns of a noise table from ``n`` to ``more``.

    Args:
        values: For each seed and image, 1 if it was classified correctly and 0 if not, or the difference of
            two such values: (seeds, images).
        level: One minus the confidence of the intervals.
    """
    n, images = values.shape
    mean = float(values.mean())
    if n < 2 or images < 2:
        return [n, images, mean, *[math.nan] * 7, ""]
    seeds_square, images_square, rest = mean_squares(values)
    of_seed, of_image = (seeds_square - rest) / images, (images_square - rest) / n
    parts = [max(0.0, part) for part in (of_seed / n, of_image / images, rest / (n * images))]
    errors = [math.sqrt(part) for part in parts]
    more = _more_helpful(n, seeds_square / images, rest / images, parts[1], level)
    return [n, images, mean, seeds_square / images, of_seed, of_image, rest, *errors, more]


def _more_helpful(n: int, variance: float, of_rest: float, of_images: float, level: float) -> str:
    """Say twice as many of which would narrow the interval of the mean more.

    Args:
        n: The number of seeds.
        variance: Between the seeds' values.
        of_rest: The part of it that shrinks with more images.
        of_images: What images add to the variance of the mean.
        level: One minus the confidence of the interval.
    """
    by_seeds = STUDENT.half_width(2 * n, math.sqrt(variance / (2 * n)), math.sqrt(of_images), level)
    fewer = math.sqrt(max(0.0, variance - of_rest / 2) / n)
    by_images = STUDENT.half_width(n, fewer, math.sqrt(of_images / 2), level)
    if abs(by_seeds - by_images) < _CLEARLY * (by_seeds + by_images):
        return "either"
    return "seeds" if by_seeds < by_images else "test images"
