"""The components of the gap that the training log shows: how far it misleads, and why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import minus, signed_points
from ablation.figures.line_legend import Dash, line_legend
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    INK,
    Drawing,
    mean_curve,
    new_figure,
    panel_title,
    seeds_phrase,
    variant_rows,
)
from ablation.grid.settings import UserModelSettings
from ablation.grid.study import Study
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


PARTS = ["logged_gap", "running_average_lag", "dropout_active_bias", "true_gap"]
_PANELS_A_ROW = 6
# Distinguishable in greyscale; neither is a variant's colour.
_OFF_CENTRE = 0.24  # of the distance of two rows: where the marks of a row are, above and below its bars
_LAG, _BIAS = "#b9b9b9", "#6b6b6b"
_DASHES: dict[str, Dash] = {"logged gap": ":", "true gap": "-"}


def gap_parts_data(history: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the gap's parts as means over seeds, in shares of images.

    Returns:
        Over the epochs (``variant, epoch, metric, mean, low, high, n``), and after each trial's last epoch
        (``variant, metric, mean, low, high, n``); ``metric`` is one of `PARTS`, and the mean of the first
        is the sum of the others' means.
    """
    last = history.groupby(["variant", "seed"], sort=False).tail(1)
    return mean_intervals(history, ["variant", "epoch"], PARTS), mean_intervals(last, ["variant"], PARTS)


def training_mode(study: Study) -> str:
    """Say in a clause what distinguishes training mode from inference mode in the models of a study."""
    models = [variant.model for variant in study.variants]
    own = any(isinstance(model, UserModelSettings) for model in models)  # whose layers are not known here
    parts = [
        "Dropout is active" * any(model.dropout for model in models),
        "Dropout and noise are active" * own,
        "images are augmented" * (own or any(model.augmentation for model in models)),
        "BatchNorm uses the statistics of its batch" * (own or any(model.batch_norm for model in models)),
    ]
    clauses = [part for part in parts if part]
    if not clauses:
        return "these models compute the same"
    listed = " and ".join(filter(None, [", ".join(clauses[:-1]), clauses[-1]]))
    return f"{listed}, in models that have them" if own else listed


def drawings(run: Run) -> list[Drawing]:
    """Draw the logged gap and its components: after the last epoch, and over the epochs."""
    curves, final = gap_parts_data(run.history)
    variants = list(final["variant"].unique())
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    columns = min(len(variants), _PANELS_A_ROW)
    blocks = -(-len(variants) // columns)
    top = 1.2 + 0.62 * len(variants)
    figure = new_figure(max(10.5, 1.75 * columns), top + 2.5 * blocks)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[top, 2.5 * blocks])[:, 0]
    draw_parts(upper.subplots(), final, styles)
    grid = lower.add_gridspec(blocks, columns)
    first: Axes | None = None
    for i, variant in enumerate(variants):
        block, column = divmod(i, columns)
        ax = lower.add_subplot(grid[block, column], sharex=first, sharey=first)
        first = first or ax
        draw_logged_and_true(ax, curves[curves["variant"] == variant], styles[variant])
        panel_title(ax, variant, 16)
        ax.tick_params(labelleft=column == 0)
        if column == 0:
            ax.set_ylabel("gap (pp)")
    line_legend(lower, _DASHES, loc="outside upper left")
    caption = (
        "How far the logged gap misleads, in percentage points (pp). Hollow mark and dotted line: the gap "
        "that the training log shows, logged training accuracy minus validation accuracy. Filled mark and "
        "solid line: the true gap, both accuracies measured after the epoch in inference mode. The "
        "difference has two parts. Running-average lag: the log averages over an epoch in which the "
        "model was still improving. Training-mode bias: the log is recorded in training mode, in which "
        f"{training_mode(run.study)}. Top: after each trial's last epoch; bottom: over the epochs. Means "
        f"over {seeds_phrase(final['n'])}; thin bars and bands: 95% confidence intervals (Student's t)."
    )
    table = final.pivot(index="variant", columns="metric", values="mean").loc[variants]
    alt = "Logged and true gap after the last epoch: " + "; ".join(
        f"{row.Index}: {signed_points(row.logged_gap)} and {signed_points(row.true_gap)} percentage points"
        for row in table.itertuples()
    )
    return [Drawing("gap_parts", "Parts of the logged gap", figure, caption, alt)]


def draw_parts(ax: Axes, final: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw one row per variant: its logged gap, the two parts that mislead, and its true gap.

    Numbers are written at the far ends of a row, so that they never touch those of the row above or below.
    """
    variants = list(final["variant"].unique())
    points = 100 * final.pivot(index="variant", columns="metric", values="mean").loc[variants, PARTS]
    intervals = final.set_index(["variant", "metric"])
    for row, (variant, (logged, lag, bias, _)) in enumerate(zip(variants, points.to_numpy(), strict=True)):
        bar: dict[str, Any] = {"height": 0.13, "linewidth": 0, "zorder": 3}
        named = row == 0
        ax.barh(row - 0.07, -lag, left=logged, color=_LAG, label="running-average lag" * named, **bar)
        ax.barh(row + 0.07, -bias, left=logged - lag, color=_BIAS, label="training-mode bias" * named, **bar)
        style = styles[variant]
        logged_side = 1 if lag + bias > 0 else -1  # on which side of the true gap the logged one is
        for part, height, face, side in (
            ("logged_gap", -_OFF_CENTRE, "white", logged_side),
            ("true_gap", _OFF_CENTRE, style.colour, -logged_side),
        ):
            mean, low, high = 100 * intervals.loc[(variant, part), ["mean", "low", "high"]]
            ax.plot([low, high], [row + height] * 2, color=style.colour, linewidth=1.2)
            ax.plot(
                mean, row + height, style.marker, color=style.colour, markerfacecolor=face, markersize=7.5,
                markeredgewidth=1.6,
            )  # fmt: skip
            ends = [end for end in (mean, low, high) if not math.isnan(end)]
            ax.annotate(
                minus(f"{mean:+.1f}"), (side * max(side * end for end in ends), row + height),
                (7 * side, 0), textcoords="offset points", ha="left" if side > 0 else "right", va="center",
                fontsize=8.5,
            )  # fmt: skip
    ax.plot([], [], "o", color=INK, markerfacecolor="white", markeredgewidth=1.6, label="logged gap")
    ax.plot([], [], "o", color=INK, label="true gap")
    ax.axvline(0, color=FAINT, linewidth=1, zorder=0)
    ax.margins(x=0.1)
    ax.use_sticky_edges = False  # bars without a length would end the axis in the middle of a mark
    variant_rows(ax, variants)
    ax.legend(ncols=4, fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    ax.set(xlabel="gap (percentage points)", title="After the last epoch")


def draw_logged_and_true(ax: Axes, curves: pd.DataFrame, style: VariantStyle) -> None:
    """Draw a variant's logged and true gap over the epochs.

    Args:
        ax: The panel to draw in.
        curves: The rows of the first table of `gap_parts_data` of the variant.
        style: The variant's colour.
    """
    from matplotlib.ticker import MaxNLocator

    for part, dashes in zip(("logged_gap", "true_gap"), _DASHES.values(), strict=True):
        mean_curve(ax, curves[curves["metric"] == part], dashes, style.colour, scale=100)
    ax.axhline(0, color=FAINT, linewidth=1, zorder=0)
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
