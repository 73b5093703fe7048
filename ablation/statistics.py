"""Means with intervals, and paired comparisons. DataFrame in, DataFrame out; nothing here is random."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CONFIDENCE = 0.95
_ROUNDING = 1e-12  # a spread below this is that of floating point, not of the data

COMPARISON_COLUMNS = [
    "variant", "baseline", "metric", "n", "difference", "low", "high",
    "p", "p_adjusted", "effect_size", "test",
]  # fmt: skip


def mean_intervals(table: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Return the mean and its 95% confidence interval (Student's t) of each value in each group.

    Args:
        table: A row an observation.
        by: The columns that tell the groups apart; groups keep their order of appearance.
        values: The columns to average.

    Returns:
        A row a group and value: ``by``, ``metric``, ``mean``, ``low``, ``high``, ``n``. The interval is
        NaN where ``n`` is 1.
    """
    from scipy.special import stdtrit  # `scipy.stats.t.ppf`, whose import takes half a second

    long = table.melt(id_vars=by, value_vars=values, var_name="metric", value_name="value")
    groups = long.dropna(subset=["value"]).groupby([*by, "metric"], sort=False)["value"]
    summary = groups.agg(mean="mean", deviation="std", n="count").reset_index()
    counts = summary["n"].to_numpy()
    half = stdtrit(np.maximum(counts - 1, 1), (1 + CONFIDENCE) / 2) * summary["deviation"] / np.sqrt(counts)
    summary["low"], summary["high"] = summary["mean"] - half, summary["mean"] + half
    return summary[[*by, "metric", "mean", "low", "high", "n"]]


def paired_comparisons(results: pd.DataFrame, baseline: str, metric: str = "test_accuracy") -> pd.DataFrame:
    """Compare every variant with the baseline, seed by seed, on one metric.

    The test is the paired t-test, its p adjusted for the number of variants by Holm's method (Holm, 1979,
    "A simple sequentially rejective multiple test procedure"). The interval is not adjusted. The effect
    size is Cohen's d of the differences: their mean over their standard deviation.

    Args:
        results: The results table; only completed trials count.
        baseline: The variant that the others are compared with.
        metric: A column of the table.

    Returns:
        A row a variant other than the baseline, in the table's order: ``difference`` (variant minus
        baseline) with its 95% confidence interval ``low`` to ``high``, ``n`` pairs. What cannot be
        computed from ``n`` pairs is NaN.
    """
    from statsmodels.stats.multitest import multipletests

    completed = results[results["status"] == "completed"]
    by_seed = completed.pivot(index="seed", columns="variant", values=metric).astype(float)
    rows = []
    for variant in results["variant"].unique():
        if variant != baseline:
            both = {baseline, variant} <= set(by_seed.columns)
            differences = (by_seed[variant] - by_seed[baseline]).dropna().to_numpy() if both else np.empty(0)
            rows.append([variant, baseline, metric, len(differences), *_paired_t(differences)])
    names = [name for name in COMPARISON_COLUMNS if name not in ("p_adjusted", "test")]
    table = pd.DataFrame(rows, columns=names)
    tested = table["p"].notna()
    table["p_adjusted"] = np.nan
    if tested.any():
        table.loc[tested, "p_adjusted"] = multipletests(table.loc[tested, "p"], method="holm")[1]
    table["test"] = "paired t"
    return table[COMPARISON_COLUMNS]


def _paired_t(differences: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """Return mean, low, high, p and effect size of paired differences."""
    from scipy.stats import ttest_1samp

    n = len(differences)
    mean = float(differences.mean()) if n else np.nan
    deviation = float(differences.std(ddof=1)) if n > 1 else np.nan
    if not deviation > _ROUNDING:  # one pair, or pairs that all differ by the same amount
        return mean, np.nan, np.nan, np.nan, np.nan
    test = ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    return mean, float(interval.low), float(interval.high), float(test.pvalue), mean / deviation
