"""Test accuracy of every variant, and its paired difference from the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablation.figures.style import (
    FAINT,
    Drawing,
    VariantStyle,
    interval_row,
    percent_axis,
    seeds_phrase,
    variant_rows,
    variant_styles,
)
from ablation.statistics import mean_intervals

if TYPE_CHECKING:
    from ablation.study import Run


def accuracy_data(results: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return test accuracy summarised a variant (``variant, metric, mean, low, high, n``), and a trial."""
    completed = results.loc[results["status"] == "completed", ["variant", "seed", "test_accuracy"]]
    return mean_intervals(completed, ["variant"], ["test_accuracy"]), completed.reset_index(drop=True)


def difference_data(results: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return ``variant, seed, difference`` of test accuracy from the baseline with the same seed."""
    completed = results.loc[results["status"] == "completed", ["variant", "seed", "test_accuracy"]]
    reference = completed[completed["variant"] == baseline].set_index("seed")["test_accuracy"]
    others = completed[completed["variant"] != baseline]
    differences = others.assign(difference=others["test_accuracy"] - others["seed"].map(reference))
    return differences.dropna(subset=["difference"])[["variant", "seed", "difference"]].reset_index(drop=True)


def drawings(run: Run) -> list[Drawing]:
    """Draw the comparison of all variants with the baseline."""
    summary, trials = accuracy_data(run.results)
    differences = difference_data(run.results, run.study.baseline)
    variants = list(summary["variant"])
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure = Figure(figsize=(10.5, max(2.8, 1.3 + 0.42 * len(variants))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_accuracies(left, summary, trials, styles)
    draw_differences(right, variants, run.comparisons, differences, styles, run.study.baseline)
    caption = (
        "Left: accuracy on the test images, which each trial reads once. Right: its difference from the "
        f"baseline, {run.study.baseline}, trained with the same seed. A small dot a seed; large marks: the "
        f"mean over {seeds_phrase(summary['n'])}; bars: its 95% confidence interval (Student's t), not "
        f"adjusted for the number of variants. {run.dataset.describe()}."
    )
    alt = "Test accuracy: " + "; ".join(
        f"{row.variant}: {row.mean:.1%}" for row in summary.itertuples(index=False)
    )
    return [Drawing("comparison", "Test accuracy", figure, caption, alt)]


def draw_accuracies(
    ax: Axes, summary: pd.DataFrame, trials: pd.DataFrame, styles: dict[str, VariantStyle]
) -> None:
    """Draw each variant's test accuracy: the mean with its interval, and a dot a seed."""
    variants = list(summary["variant"])
    for row, variant in enumerate(variants):
        values = trials.loc[trials["variant"] == variant, "test_accuracy"]
        interval = summary.loc[summary["variant"] == variant, ["mean", "low", "high"]].iloc[0]
        interval_row(ax, row, values, interval, styles[variant], f"{interval['mean']:.1%}")
    variant_rows(ax, variants)
    percent_axis(ax.xaxis)
    ax.set(xlabel="test accuracy", title="Test accuracy")


def draw_differences(
    ax: Axes,
    variants: list[str],
    comparisons: pd.DataFrame,
    differences: pd.DataFrame,
    styles: dict[str, VariantStyle],
    baseline: str,
) -> None:
    """Draw each variant's paired difference from the baseline, in percentage points."""
    for row, variant in enumerate(variants):
        if variant == baseline:
            ax.annotate(
                "baseline",
                (0, row),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=FAINT,
                fontsize=8.5,
            )
            continue
        compared = comparisons.loc[comparisons["variant"] == variant, ["difference", "low", "high"]].iloc[0]
        interval = 100 * compared.rename({"difference": "mean"})
        values = 100 * differences.loc[differences["variant"] == variant, "difference"]
        interval_row(ax, row, values, interval, styles[variant], f"{interval['mean']:+.1f}")
    ax.axvline(0, color=FAINT, linewidth=1)
    ax.tick_params(axis="y", labelleft=False)
    ax.set(xlabel="difference (percentage points)", title="Difference from the baseline, seed by seed")
