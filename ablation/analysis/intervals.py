"""Means with intervals, and comparisons. Functions from DataFrame to DataFrame; none of them is random."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from ablation.analysis.inference import JUDGEMENT_COLUMNS, judge
from ablation.grid.compare_settings import CompareSettings, limits

CONFIDENCE = 0.95
COMPARISON_COLUMNS = ["variant", "baseline", "metric", *JUDGEMENT_COLUMNS, "margin"]


def mean_intervals(table: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """Return the mean and its 95% confidence interval (Student's t) of each value in each group.

    Args:
        table: One row per observation.
        by: The columns that define the groups; groups keep their order of appearance.
        values: The columns to average.

    Returns:
        One row per group and value: ``by``, ``metric``, ``mean``, ``low``, ``high``, ``n``. The interval is
        NaN if ``n`` is 1, and is cut off at the value's `limits`, because no mean lies beyond them.
    """
    long = table.melt(id_vars=by, value_vars=values, var_name="metric", value_name="value")
    groups = long.dropna(subset=["value"]).groupby([*by, "metric"], sort=False)["value"]
    summary = groups.agg(mean="mean", deviation="std", n="count").reset_index()
    counts = summary["n"].to_numpy()
    half = stdtrit(np.maximum(counts - 1, 1), (1 + CONFIDENCE) / 2) * summary["deviation"] / np.sqrt(counts)
    least, most = np.array([limits(str(metric)) for metric in summary["metric"]]).reshape(-1, 2).T
    summary["low"] = np.maximum(summary["mean"] - half, least)
    summary["high"] = np.minimum(summary["mean"] + half, most)
    return summary[[*by, "metric", "mean", "low", "high", "n"]]


def completed_results(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a results table whose trial completed."""
    return results[results["status"] == "completed"]


def comparable(results: pd.DataFrame) -> pd.DataFrame:
    """Return the completed trials that ran in the same environment: the most frequent provenance."""
    completed = completed_results(results)
    counts = completed["provenance"].value_counts(sort=False)
    return completed[completed["provenance"] == counts.idxmax()] if len(counts) else completed


def paired_differences(results: pd.DataFrame, baseline: str, metric: str) -> dict[str, NDArray[np.float64]]:
    """Return each variant's differences from the baseline, one per seed that both completed: (pairs,)."""
    by_seed = comparable(results).pivot(index="seed", columns="variant", values=metric).astype(float)
    names = [name for name in results["variant"].unique() if name != baseline]
    by_seed = by_seed.reindex(columns=[baseline, *names])
    return {name: (by_seed[name] - by_seed[baseline]).dropna().to_numpy() for name in names}


def paired_comparisons(results: pd.DataFrame, baseline: str, compare: CompareSettings) -> pd.DataFrame:
    """Compare every variant with the baseline, seed by seed, on the metric that the study declares.

    Args:
        results: The results table; only completed trials of one environment count.
        baseline: The variant that the others are compared with.
        compare: Metric, margin, alpha, correction, and how often the results may be looked at.

    Returns:
        One row per variant other than the baseline, in the table's order: ``difference`` is variant minus
        baseline; the other columns are explained by `ablation.analysis.inference.judge`.
    """
    judged = judge(paired_differences(results, baseline, compare.metric), compare)
    named = judged.rename_axis("variant").reset_index()
    named = named.assign(baseline=baseline, metric=compare.metric, margin=compare.margin)
    return named[COMPARISON_COLUMNS]
