"""Means with confidence intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ablation.grid.compare_settings import limits

CONFIDENCE = 0.95


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
