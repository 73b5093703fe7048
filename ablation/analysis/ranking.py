"""The ranks of variants that the comparisons of all pairs support."""

from __future__ import annotations

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.grid.compare_settings import CompareSettings

RANKING_COLUMNS = ["variant", "mean", "n", "rank_low", "rank_high", "tied_with_best"]


def ranking_table(results: pd.DataFrame, comparisons: pd.DataFrame, compare: CompareSettings) -> pd.DataFrame:
    """Return between which ranks each variant lies, as far as its comparisons with all others say.

    The pairs are judged as one family, so the ranks hold for all variants together, at confidence 1 - alpha
    (Mogstad, Romano, Shaikh and Wilhelm, 2024, "Inference for ranks with applications to mobility across
    neighbourhoods and academic achievement across countries").

    Args:
        results: The results table.
        comparisons: The comparisons of all pairs of variants.
        compare: The metric, and whether higher values are better.

    Returns:
        One row per variant with completed trials, the best mean first: ``mean`` and ``n`` seeds;
        ``rank_low``, one more than the number of variants that are better, and ``rank_high``, the number of
        variants less those that are worse; ``tied_with_best``: whether no variant is better.
    """
    completed = completed_results(results).dropna(subset=[compare.metric])
    if completed.empty:
        return pd.DataFrame(columns=RANKING_COLUMNS)
    means = mean_intervals(completed, ["variant"], [compare.metric])
    decided = comparisons[comparisons["verdict"].isin(["better", "worse"])]
    is_better = decided["verdict"] == "better"
    winners = decided["variant"].where(is_better, decided["baseline"])
    losers = decided["baseline"].where(is_better, decided["variant"])
    better, worse = losers.value_counts(), winners.value_counts()
    table = means.sort_values("mean", ascending=not compare.higher_is_better, kind="stable")
    table = table.assign(
        rank_low=[1 + int(better.get(name, 0)) for name in table["variant"]],
        rank_high=[results["variant"].nunique() - int(worse.get(name, 0)) for name in table["variant"]],
    )
    table["tied_with_best"] = table["rank_low"] == 1
    return table[RANKING_COLUMNS].reset_index(drop=True)
