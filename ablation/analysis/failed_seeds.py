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
    See `collapsed_seeds` for the rule.

    Args:
        results: The results table, one row per planned trial.
        chance: The test accuracy of always predicting the most frequent class.
        images: The number of test images.

    Returns:
        One bool per row of the table, with its index.
    """
    return collapsed_seeds(results, chance, images) | (results["status"] == "diverged")


def collapsed_seeds(results: pd.DataFrame, chance: float, images: int) -> pd.Series:
    """Return which completed trials collapsed.

    A trial collapsed if its test accuracy is at most ``chance``, or if both of these hold, in comparison with
    the median of those other seeds of its variant that are above chance:

    - it kept less than half of the median's gain over chance;
    - it lies so far below the median that at most 0.01 trials per study would be expected to do so by chance
      (Student's t at a level of 0.01 divided by the number of trials). The standard deviation is that of the
      variant's other seeds or that of all variants' seeds within their variants, whichever is larger;
      trials that kept less than half are left out of both. The distance must also exceed what the sampling
      of test images explains.

    PLACEHOLDER

    Args:
        results: The results table, one row per planned trial.
        chance: The test accuracy of always predicting the most frequent class.
        images: The number of test images.

    Returns:
        One bool per row of the table, with its index.
    """
    accuracy = results["test_accuracy"].astype(float).where(results["status"] == "completed")
    at_chance = accuracy <= chance
    trained = accuracy.where(~at_chance).dropna()
    variants = results.loc[trained.index, "variant"]
    medians = trained.groupby(variants, group_keys=False).transform(_median_of_others)
    suspects = (trained - chance) < _KEPT * (medians - chance)
    limit = _largest_normal_drop(trained, variants, medians, ~suspects, images)
    outside = suspects & (medians - trained > limit)
    return at_chance | outside.reindex(results.index, fill_value=False)


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
        accuracy, and ``p`` of the exact paired comparison with the baseline, on the seeds that both trained
        (McNemar, 1947). ``p`` is not adjusted for the number of variants: it is exploratory. It is NaN where
        no seed is shared, and for the baseline.
    """
    table = results.assign(
        collapsed=collapsed_seeds(results, chance, images), diverged=results["status"] == "diverged"
    )
    table["failed"] = table["collapsed"] | table["diverged"]
    known = table[table["status"].isin(["completed", "diverged"])]
    of_baseline = known[known["variant"] == baseline]
    rows = []
    for name in results["variant"].unique():
        trials = known[known["variant"] == name]
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


def _median_of_others(values: pd.Series) -> pd.Series:
    """Return, for each value of a group, the median of the other values; NaN if there are none."""
    others = [values.drop(index).median() for index in values.index]
    return pd.Series(others, index=values.index, dtype=float)


def _largest_normal_drop(
    accuracy: pd.Series, variants: pd.Series, medians: pd.Series, normal: pd.Series, images: int
) -> pd.Series:
    """Return how far below the median of its variant's other seeds a normal seed may lie.

    Args:
        accuracy: The test accuracies of the trials above chance.
        variants: The variant of each.
        medians: The median of the variant's other seeds, for each.
        normal: Which trials the standard deviations are computed from.
        images: The number of test images.
    """
    groups = accuracy[normal].groupby(variants[normal])
    counts, squares = groups.count(), groups.var() * (groups.count() - 1)
    degrees = int((counts - 1).sum())
    if degrees < 1:
        return pd.Series(math.inf, accuracy.index)
    level = _FALSE_ALARMS / len(accuracy)
    pooled = math.sqrt(squares.sum() / degrees)
    deviation = np.maximum(variants.map(groups.std()).fillna(0), pooled)
    sampling = np.sqrt(medians * (1 - medians) / images)
    half = np.maximum(-stdtrit(degrees, level) * deviation, -ndtri(level) * sampling)
    others = variants.map(variants.value_counts()) - 1
    return half * np.sqrt(1 + math.pi / 2 / others)  # pi / 2: a median varies more than a mean does


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
    """Return the p of the exact McNemar test of which seeds failed; NaN if both share no seed.

    Args:
        trials: A variant's rows, with ``seed`` and ``failed``.
        of_baseline: The baseline's rows, with the same columns.
    """
    pairs = trials.merge(of_baseline, on="seed", suffixes=("", "_baseline"))
    if pairs.empty:
        return math.nan
    here, there = pairs["failed"], pairs["failed_baseline"]
    more, less = int((here & ~there).sum()), int((there & ~here).sum())
    return min(1.0, 2 * float(bdtr(min(more, less), more + less, 0.5)))
