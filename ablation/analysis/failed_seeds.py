"""Seeds that failed: trials that diverged or collapsed, found one at a time, counted, and compared.

A mean over seeds of which one collapsed describes neither that seed nor the others, and its interval is so
wide that a clearly worse variant has no verdict. So failures are counted as a finding of their own, and the
accuracies of the other seeds can be compared beside those of all seeds.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import bdtr, betaincinv, ndtri, stdtrit

from ablation.analysis.intervals import CONFIDENCE
from ablation.analysis.phrases import Row, percent
from ablation.grid.value_text import counted

FAILED_COLUMNS = ["variant", "n", "collapsed", "diverged", "share", "low", "high", "seeds", "p"]
FAILED_MEANS = (
    "A seed failed if its loss diverged, or if its training collapsed: its test accuracy is no better than "
    "that of always predicting the most frequent class, or it kept less than half of what the variant's "
    "other seeds gained over that, and lies further below them than normal variation between seeds explains."
)
_KEPT = 0.5  # of the other seeds' gain over chance: a seed that kept more has trained, however far off it is
_FALSE_ALARMS = 0.01  # the expected number of normal seeds that are called collapsed, per study


def failed_seeds(results: pd.DataFrame, chance: float, images: int) -> pd.Series:
    """Return which trials failed as trainings: those that diverged, and those that collapsed.

    Of trials that crashed, ran out of time or are pending, nothing is known; they did not fail in this sense.
    `collapsed_seeds` has the rule, and the same arguments and result.
    """
    return collapsed_seeds(results, chance, images) | (results["status"] == "diverged")


def collapsed_seeds(results: pd.DataFrame, chance: float, images: int) -> pd.Series:
    """Return which completed trials collapsed.

    A trial collapsed if its test accuracy is at most ``chance``, or if both of these hold, in comparison with
    the median of those other seeds of its variant that are above chance:

    - it kept less than half of the median's gain over chance;
    - it lies further below the median than normal variation explains: Student's t at a level of 0.01 divided
      by the number of trials, with the standard deviation of the variant's seeds or the pooled one of all
      variants, whichever is larger, and without the trials that kept less than half.

    In both cases, the sampling of test images must not explain the distance to the median of the others: on
    100 images, a seed at 10% may be one of those that otherwise reach 20%.

    Simulated on studies of four variants with 3 to 50 normal seeds (standard deviation 0.5 or 3 points, 100
    to 10,000 test images, chance 10%): around accuracies of 30% and 50%, the second rule had a false alarm in
    1 of 3,744 studies; around 20%, in up to 2%, and the first in up to 4% with 3 to 10 seeds, because some do
    reach chance. A seed that kept a quarter of a gain of 50 points (standard deviation 3 points, 1,000
    images) is found in 93% of studies with three seeds and in all of 40 with five; of 30, in 42% and 82%.

    Args:
        results: The results table, one row per planned trial.
        chance: The test accuracy of always predicting the most frequent class.
        images: The number of test images.

    Returns:
        One bool per row of the table, with its index.
    """
    accuracy = results["test_accuracy"].astype(float).where(results["status"] == "completed").dropna()
    variants = results.loc[accuracy.index, "variant"]
    level = _FALSE_ALARMS / max(1, len(accuracy))
    medians = _medians_of_others(accuracy, variants)
    indistinct = (medians > chance) & (medians - accuracy <= _sampling(medians, variants, images, level))
    at_chance = (accuracy < min(1.0, chance + 0.5 / images)) & ~indistinct  # half an image, for rounding
    trained, variants = accuracy[~at_chance], variants[~at_chance]
    medians = _medians_of_others(trained, variants)
    suspects = trained - chance < _KEPT * (medians - chance)
    explained = np.maximum(
        _sampling(medians, variants, images, level), _variation(trained, variants, ~suspects, level)
    )
    outside = suspects & (medians - trained > explained)
    collapsed = at_chance.index[at_chance].union(outside.index[outside])
    return pd.Series(results.index.isin(collapsed), results.index)


def failed_seeds_table(results: pd.DataFrame, baseline: str, chance: float, images: int) -> pd.DataFrame:
    """Return how many seeds of each variant failed, and whether more did than of the baseline.

    Args:
        results: The results table, one row per planned trial.
        baseline: The variant that the others are compared with.
        chance: The test accuracy of always predicting the most frequent class.
        images: The number of test images.

    Returns:
        One row per variant, in the table's order: the ``n`` trials that completed or diverged, how many of
        them ``collapsed`` and ``diverged``, the ``share`` of both together with its exact 95% interval
        ``low`` to ``high`` (Clopper and Pearson, 1934), which ``seeds`` failed, as text with their test
        accuracy, and ``p`` of the exact paired comparison with the baseline (McNemar, 1947). ``p`` is not
        adjusted, hence exploratory; it is NaN for the baseline, and where no seed is shared.
    """
    table = results.assign(
        collapsed=collapsed_seeds(results, chance, images), diverged=results["status"] == "diverged"
    )
    table["failed"] = table["collapsed"] | table["diverged"]
    known = table[table["status"].isin(["completed", "diverged"])]
    by_variant = dict(iter(known.groupby("variant", sort=False)))
    of_baseline = by_variant.get(baseline, known.iloc[:0])
    rows = []
    for name in results["variant"].unique():
        trials = by_variant.get(name, known.iloc[:0])
        n, failed = len(trials), int(trials["failed"].sum())
        rows.append([
            name, n, int(trials["collapsed"].sum()), int(trials["diverged"].sum()),
            failed / n if n else math.nan, *_clopper_pearson(failed, n), _named(trials[trials["failed"]]),
            math.nan if name == baseline else _paired_p(trials, of_baseline),
        ])  # fmt: skip
    return pd.DataFrame(rows, columns=FAILED_COLUMNS)


def failed_note(row: Row) -> str:
    """Say in a sentence which seeds of a variant failed, by its row of `failed_seeds_table`; "" if none."""
    count = row["collapsed"] + row["diverged"]
    if not count:
        return ""
    interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
    return (
        f"{count} of {counted(row['n'], 'seed')} of {row['variant']} failed ({percent(row['share'])}, "
        f"{interval}): seed{'s' if count > 1 else ''} {row['seeds']}."
    )


def _medians_of_others(accuracy: pd.Series, variants: pd.Series) -> pd.Series:
    """Return, for each trial, the median accuracy of its variant's other trials; NaN if there are none."""
    medians = pd.Series(math.nan, accuracy.index)
    for _, trials in accuracy.groupby(variants):
        values = trials.to_numpy()
        others = np.tile(values, (len(values), 1))[~np.eye(len(values), dtype=bool)]
        if others.size:
            medians[trials.index] = np.median(others.reshape(len(values), -1), axis=1)
    return medians


def _widening(variants: pd.Series) -> pd.Series:
    """Return the factor by which a seed's distance from the others' median varies more than the seed does."""
    others = variants.map(variants.value_counts()).astype(float) - 1
    return np.sqrt(1 + math.pi / 2 / others)  # pi / 2: the variance of a median over that of a mean


def _sampling(medians: pd.Series, variants: pd.Series, images: int, level: float) -> pd.Series:
    """Return how far below the others' median the sampling of test images puts a seed, at a level."""
    return -ndtri(level) * np.sqrt(medians * (1 - medians) / images) * _widening(variants)


def _variation(accuracy: pd.Series, variants: pd.Series, normal: pd.Series, level: float) -> pd.Series:
    """Return how far below the others' median the variation between seeds puts a seed, at a level.

    The standard deviation is that of the variant's normal trials, or the pooled one of all variants.
    """
    groups = accuracy[normal].groupby(variants[normal])
    counts = groups.count()
    degrees = int((counts - 1).sum())
    if degrees < 1:
        return pd.Series(math.inf, accuracy.index)
    pooled = math.sqrt((groups.var() * (counts - 1)).sum() / degrees)
    deviation = np.maximum(variants.map(groups.std()).astype(float).fillna(0), pooled)
    return -stdtrit(degrees, level) * deviation * _widening(variants)


def _clopper_pearson(count: int, n: int) -> tuple[float, float]:
    """Return the exact 95% interval of a share, by Clopper and Pearson (1934)."""
    if not n:
        return math.nan, math.nan
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return low, high


def _named(trials: pd.DataFrame) -> str:
    """Return the seeds of failed trials as ``0 (diverged), 4 (9.1%)``, in their order."""
    return ", ".join(
        f"{row.seed} ({'diverged' if row.diverged else percent(float(row.test_accuracy))})"
        for row in trials.sort_values("seed").itertuples(index=False)
    )


def _paired_p(trials: pd.DataFrame, of_baseline: pd.DataFrame) -> float:
    """Return the p of the exact McNemar test of which seeds failed; NaN if both share no seed."""
    here = dict(zip(trials["seed"], trials["failed"], strict=True))
    there = dict(zip(of_baseline["seed"], of_baseline["failed"], strict=True))
    shared = here.keys() & there.keys()
    if not shared:
        return math.nan
    more = sum(bool(here[seed] and not there[seed]) for seed in shared)
    less = sum(bool(there[seed] and not here[seed]) for seed in shared)
    return min(1.0, 2 * float(bdtr(min(more, less), more + less, 0.5)))
