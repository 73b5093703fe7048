"""The forest plot: the compared metric of every variant, its difference from the baseline, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.completed_trials import comparable
from ablation.analysis.convergence import unfinished_note
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import MARKS, interval_phrase, method_phrase, points
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    Drawing,
    beside,
    interval_row,
    new_figure,
    percent_axis,
    seeds_phrase,
    variant_rows,
)
from ablation.grid.compare_settings import CompareSettings
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


DECIDED = ("better", "worse", "equivalent")


def metric_data(results: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the metric per variant (``variant, metric, mean, low, high, n``) and per trial."""
    completed = results.loc[results["status"] == "completed", ["variant", "seed", metric]]
    return mean_intervals(completed, ["variant"], [metric]), completed.reset_index(drop=True)


def difference_data(results: pd.DataFrame, baseline: str, metric: str) -> pd.DataFrame:
    """Return ``variant, seed, difference``: each trial's metric minus the baseline's with the same seed."""
    completed = comparable(results, baseline)[["variant", "seed", metric]]
    reference = completed[completed["variant"] == baseline].set_index("seed")[metric]
    others = completed[completed["variant"] != baseline]
    differences = others.assign(difference=others[metric] - others["seed"].map(reference))
    return differences.dropna(subset=["difference"])[["variant", "seed", "difference"]].reset_index(drop=True)


def drawings(run: Run) -> list[Drawing]:
    """Draw the comparison of all variants with the baseline."""
    compare, baseline = run.compare, run.study.baseline
    summary, trials = metric_data(run.results, compare.metric)
    differences = difference_data(run.results, baseline, compare.metric)
    variants = list(summary["variant"])
    if not variants:  # a custom metric that is NaN throughout
        return []
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure = new_figure(11.5, max(2.8, 1.3 + 0.42 * len(variants)))
    left, right = figure.subplots(1, 2, sharey=True)
    draw_metric(left, summary, trials, styles, compare)
    draw_differences(right, variants, run.baseline_comparisons, differences, styles, baseline, compare)
    read_once = " on the test images, which each trial reads once" if "test" in compare.metric else ""
    title = compare.metric_in_words.capitalize()
    caption = (
        f"Left: {title.lower()}{read_once}; bars: 95% confidence intervals of the mean (Student's t). Right: "
        f"its difference from the baseline, {baseline}, trained with the same seed; bars: the interval from "
        f"which a verdict is read ({method_phrase(compare)}); shaded: within the margin. Small dots: one "
        f"per seed; large marks: the mean over {seeds_phrase(summary['n'])}."
    )
    alt = f"{title}: " + "; ".join(
        f"{row.variant}: {_value(row.mean, compare)}" for row in summary.itertuples(index=False)
    )
    heading, alone = f"{title}, and its difference from {baseline}", unfinished_note(run.convergence)
    return [Drawing("forest", heading, figure, caption, alt, alone)]


def draw_metric(
    ax: Axes,
    summary: pd.DataFrame,
    trials: pd.DataFrame,
    styles: dict[str, VariantStyle],
    compare: CompareSettings,
) -> None:
    """Draw each variant's metric: the mean with its interval, and one dot per seed."""
    variants = list(summary["variant"])
    for row, variant in enumerate(variants):
        values = trials.loc[trials["variant"] == variant, compare.metric]
        interval = summary.loc[summary["variant"] == variant, ["mean", "low", "high"]].iloc[0]
        interval_row(ax, row, values, interval, styles[variant], _value(interval["mean"], compare))
    variant_rows(ax, variants)
    if compare.in_points:
        percent_axis(ax.xaxis)
    name = compare.metric_in_words
    ax.set(xlabel=name, title=name.capitalize())


def draw_differences(
    ax: Axes,
    variants: list[str],
    comparisons: pd.DataFrame,
    differences: pd.DataFrame,
    styles: dict[str, VariantStyle],
    baseline: str,
    compare: CompareSettings,
) -> None:
    """Draw each variant's paired difference from the baseline; beside it, number, interval and verdict."""
    scale = 100 if compare.in_points else 1
    ax.axvspan(-scale * compare.margin, scale * compare.margin, color="#eeeeee", linewidth=0, zorder=0)
    ax.axvline(0, color=FAINT, linewidth=1)
    for row, variant in enumerate(variants):
        if variant == baseline:
            beside(ax, row, "baseline", color=FAINT)
            continue
        compared = comparisons[comparisons["variant"] == variant].iloc[0]
        interval = scale * compared[["difference", "low", "high"]].rename({"difference": "mean"})
        values = scale * differences.loc[differences["variant"] == variant, "difference"]
        interval_row(ax, row, values, interval, styles[variant], "")
        estimate = f"{points(compared['difference'], compare)}  ({interval_phrase(compared, compare)})"
        verdict = compared["verdict"]
        beside(ax, row, f"{estimate}  {MARKS.get(verdict, '')} {verdict}".rstrip(), bold=verdict in DECIDED)
    ax.tick_params(axis="y", labelleft=False)
    unit = "percentage points" if compare.in_points else compare.metric_in_words
    ax.set(xlabel=f"difference ({unit})", title="Difference from the baseline, seed by seed")


def _value(mean: float, compare: CompareSettings) -> str:
    return f"{mean:.1%}" if compare.in_points else f"{mean:.3f}"
