"""What the noise is made of: the seeds' part and the test images' part, and a look image by image."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NOISE_COLUMNS = [
    "variant", "against", "n", "images", "accuracy", "variance", "seed_variance", "image_variance",
    "rest_variance", "se_seeds", "se_images", "se_rest", "more",
]  # fmt: skip
MCNEMAR_COLUMNS = ["variant", "baseline", "seed", "only_variant_right", "only_baseline_right", "p"]

_CLEARLY = 0.1  # of the variance: by so much one remedy must beat the other to be named

Right = Mapping[str, Mapping[int, NDArray[np.bool_]]]
"""For each variant and seed, whether each test image was told right: (images,)."""


def noise_table(right: Right, baseline: str) -> pd.DataFrame:
    """Split the noise of each variant's test accuracy, and of its difference from the baseline.

    A seed's accuracy differs from the next seed's for two reasons: its model is better or worse on all
    images that could be drawn, and it gets other images right of the few that were. Seeds by images are a
    table with two crossed random factors, of which analysis of variance gives three variances:
    ``seed_variance`` (Jordan, 2023, "Calibrated chaos", arXiv:2304.01910: the distribution-wise variance),
    ``image_variance`` and ``rest_variance``. They are unbiased, so one that is near zero may come out below.

    Args:
        right: What each trial told right; variants with under two seeds give no row.
        baseline: The variant that the others are compared with.

    Returns:
        A row a variant (``against`` is empty), and a row a variant's difference from the baseline:
        ``accuracy`` (or its difference), ``n`` seeds, ``variance`` between the seeds' accuracies as they
        come, the three variances of a single seed on a single image, the three parts of the mean's standard
        error, ``se_seeds`` (shrinks with more seeds), ``se_images`` (with more test images) and ``se_rest``
        (with either), and ``more``: which of ``seeds`` and ``test images`` would help more, or ``either``.
    """
    rows = []
    for name, trials in right.items():
        rows.append([name, "", *_split(np.array(list(trials.values()), float))])
    for name, trials in right.items():
        seeds = [seed for seed in trials if seed in right.get(baseline, {})]
        if name != baseline and seeds:
            pairs = [trials[seed].astype(float) - right[baseline][seed] for seed in seeds]
            rows.append([name, baseline, *_split(np.array(pairs))])
    table = pd.DataFrame(rows, columns=NOISE_COLUMNS)
    return table[table["n"] > 1].reset_index(drop=True)


def mcnemar_table(right: Right, baseline: str) -> pd.DataFrame:
    """Compare each variant with the baseline image by image: McNemar's exact test, a row a seed.

    The test asks whether these two trained models differ on images like these, and says nothing of other
    seeds: it is a second look, not a verdict (McNemar, 1947).

    Returns:
        ``only_variant_right`` and ``only_baseline_right`` count test images, ``p`` is not adjusted.
    """
    rows = []
    for name, trials in right.items():
        for seed in trials:
            if name != baseline and seed in right.get(baseline, {}):
                own, other = trials[seed], right[baseline][seed]
                gained, lost = int((own & ~other).sum()), int((other & ~own).sum())
                rows.append([name, baseline, seed, gained, lost, _mcnemar(gained, lost)])
    return pd.DataFrame(rows, columns=MCNEMAR_COLUMNS)


def _mcnemar(gained: int, lost: int) -> float:
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue) if gained + lost else 1.0


def _split(values: NDArray[np.float64]) -> list[object]:
    """Return the columns of a noise table from ``n`` to ``more``; ``values``: (seeds, images)."""
    n, images = values.shape
    by_seed, by_image = values.mean(axis=1), values.mean(axis=0)
    mean = float(values.mean())
    if n < 2 or images < 2:
        return [n, images, mean, *[math.nan] * 7, ""]
    seeds_square = images * float(by_seed.var(ddof=1))
    images_square = n * float(by_image.var(ddof=1))
    residual = values - by_seed[:, None] - by_image[None, :] + mean
    rest = float((residual**2).sum()) / ((n - 1) * (images - 1))
    of_seed, of_image = (seeds_square - rest) / images, (images_square - rest) / n
    parts = [max(0.0, part) for part in (of_seed / n, of_image / images, rest / (n * images))]
    more = "seeds" if parts[0] > parts[1] else "test images"
    if abs(parts[0] - parts[1]) < _CLEARLY * sum(parts):
        more = "either"
    errors = [math.sqrt(part) for part in parts]
    return [n, images, mean, float(by_seed.var(ddof=1)), of_seed, of_image, rest, *errors, more]
