"""The overfitting gap, training minus validation accuracy, over the epochs and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.intervals import mean_intervals
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    Drawing,
    interval_row,
    label,
    mean_curve,
    new_figure,
    seeds_phrase,
    spread,
    variant_rows,
)
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MOST_LABELLED = 12


def gap_data(history: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the accuracy gap (training minus validation, inference mode) in three tables.

    Returns:
        Over the epochs (``variant, epoch, metric, mean, low, high, n``); after each trial's last epoch,
        summarised (``variant, metric, mean, low, high, n``); and the same per trial (``variant, seed, gap``).
    """
    gaps = history.assign(gap=history["train_accuracy"] - history["val_accuracy"])
    last = gaps.groupby(["variant", "seed"], sort=False).tail(1)[["variant", "seed", "gap"]]
    return (
        mean_intervals(gaps, ["variant", "epoch"], ["gap"]),
        mean_intervals(last, ["variant"], ["gap"]),
        last.reset_index(drop=True),
    )


def drawings(run: Run) -> list[Drawing]:
    """Draw the gap chart."""
    curves, final, trials = gap_data(run.history)
    variants = list(final["variant"])
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure = new_figure(10.5, max(3.6, 1.6 + 0.34 * len(variants)))
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    draw_gap_curves(left, curves, styles)
    draw_final_gaps(right, final, trials, styles)
    caption = (
        "The overfitting gap: training minus validation accuracy, both measured after the epoch in "
        "inference mode, in percentage points. Left: over the epochs; right: after each trial's last epoch. "
        f"Lines and large marks: mean over {seeds_phrase(final['n'])}; bands and bars: its 95% confidence "
        "interval (Student's t); small dots: one per seed."
    )
    alt = "Overfitting gap after the last epoch: " + "; ".join(
        f"{row.variant}: {100 * row.mean:.1f} percentage points" for row in final.itertuples(index=False)
    )
    return [Drawing("overfitting_gap", "Overfitting gap", figure, caption, alt)]


def draw_gap_curves(ax: Axes, curves: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw the mean gap of each variant over the epochs, with its name at the end of its line."""
    from matplotlib.ticker import MaxNLocator

    ends = []
    variants = list(curves["variant"].unique())
    for variant in variants:
        curve = curves[curves["variant"] == variant]
        mean_curve(ax, curve, styles[variant].dash, styles[variant].colour, width=2, scale=100)
        ends.append((curve["epoch"].iloc[-1], 100 * curve["mean"].iloc[-1]))
    ax.axhline(0, color=FAINT, linewidth=1)
    low, high = ax.get_ylim()
    if len(variants) <= _MOST_LABELLED:
        heights = spread([height for _, height in ends], (high - low) * 0.055)
        for variant, (epoch, _), height in zip(variants, ends, heights, strict=True):
            is_among_curves = epoch < curves["epoch"].max()
            ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}
            ax.annotate(
                label(variant, 20), (epoch, height), (6, 0), textcoords="offset points", va="center",
                fontsize=9, color=styles[variant].colour, annotation_clip=False,
                bbox=ground if is_among_curves else None,
            )  # fmt: skip
    ax.set(xlabel="epoch", ylabel="gap (percentage points)", title="Over the epochs")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))


def draw_final_gaps(
    ax: Axes, final: pd.DataFrame, trials: pd.DataFrame, styles: dict[str, VariantStyle]
) -> None:
    """Draw each variant's final gap: the mean with its interval, and one dot per seed."""
    variants = list(final["variant"])
    for row, variant in enumerate(variants):
        values = 100 * trials.loc[trials["variant"] == variant, "gap"]
        interval = 100 * final.loc[final["variant"] == variant, ["mean", "low", "high"]].iloc[0]
        interval_row(ax, row, values, interval, styles[variant], f"{interval['mean']:.1f}")
    ax.axvline(0, color=FAINT, linewidth=1)
    variant_rows(ax, variants)
    ax.set(xlabel="gap (percentage points)", title="After the last epoch")
