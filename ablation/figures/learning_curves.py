"""Accuracy and loss over the epochs, one column of panels per variant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation.analysis.intervals import mean_intervals
from ablation.figures.line_legend import MEASURED, line_legend
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import Drawing, mean_curve, panel_title, percent_axis, regular, seeds_phrase
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MEASURES = ["train_accuracy", "val_accuracy", "train_loss", "val_loss"]
_PANELS_A_ROW, _HEIGHT = 6, 2.4  # the height of a panel is in inches


def learning_curves_data(history: pd.DataFrame) -> pd.DataFrame:
    """Return ``variant, epoch, metric, mean, low, high, n``, the mean over seeds at every epoch."""
    return mean_intervals(history, ["variant", "epoch"], _MEASURES)


def drawings(run: Run) -> list[Drawing]:
    """Draw the learning curves of every variant that has any."""
    data = learning_curves_data(run.history)
    variants = list(data["variant"].unique())
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    columns = min(len(variants), _PANELS_A_ROW)
    blocks = math.ceil(len(variants) / columns)
    figure = regular(2 * blocks, columns, max(2.3, 4.5 / columns), _HEIGHT)
    axes = figure.subplots(2 * blocks, columns, squeeze=False, sharex=True, sharey="row")
    _close_up(axes)
    for i, variant in enumerate(variants):
        block, column = divmod(i, columns)
        of_variant = data[data["variant"] == variant]
        for row, measure in enumerate(("accuracy", "loss")):
            ax = axes[2 * block + row, column]
            draw_learning_curve(ax, of_variant, measure, styles[variant])
            if row == 0:
                panel_title(ax, variant)
                percent_axis(ax.yaxis)
            else:
                ax.set_xlabel("epoch")
                ax.tick_params(labelbottom=True)
            if column == 0:
                ax.set_ylabel(measure if row == 0 else "cross-entropy loss" if _is_entropy(run) else "loss")
    for i in range(len(variants), blocks * columns):
        for row in range(2):
            axes[2 * (i // columns) + row, i % columns].set_visible(False)
    _share_rows(axes, blocks)
    line_legend(figure, MEASURED, loc="lower left", bbox_to_anchor=(axes[0, 0].get_position().x0, 1))
    caption = (
        "Training (dashed) and validation (solid) accuracy and loss after every epoch, both measured in "
        f"inference mode: mean over {seeds_phrase(data['n'])} and its 95% confidence interval (Student's t)."
    )
    last = data[data["metric"].isin(["train_accuracy", "val_accuracy"])].groupby(
        ["variant", "metric"], sort=False
    )
    ends = last["mean"].last().unstack()
    alt = "Learning curves. At the last epoch: " + "; ".join(
        f"{v}: training {ends.loc[v, 'train_accuracy']:.1%}, validation {ends.loc[v, 'val_accuracy']:.1%}"
        for v in variants
    )
    return [Drawing("learning_curves", "Learning curves", figure, caption, alt)]


def draw_learning_curve(ax: Axes, data: pd.DataFrame, measure: str, style: VariantStyle) -> None:
    """Draw one variant's training and validation curve of one measure.

    Args:
        ax: The panel to draw in.
        data: The rows of `learning_curves_data` of the variant.
        measure: ``accuracy`` or ``loss``.
        style: The variant's colour.
    """
    from matplotlib.ticker import MaxNLocator

    for part, dashes in zip(("train", "val"), MEASURED.values(), strict=True):
        mean_curve(ax, data[data["metric"] == f"{part}_{measure}"], dashes, style.colour)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def _close_up(axes: Any) -> None:
    """Stretch the two panels of a block into the empty space between them."""
    more = 0.22 / (len(axes) * _HEIGHT)
    for row, panels in enumerate(axes):
        for ax in panels:
            left, bottom, width, height = ax.get_position().bounds
            ax.set_position([left, bottom - more * (row % 2 == 0), width, height + more])


def _share_rows(axes: Any, blocks: int) -> None:
    """Give all blocks of panels the same range, so that variants in different blocks can be compared."""
    for row in range(2):
        panels = [ax for block in range(blocks) for ax in axes[2 * block + row] if ax.get_visible()]
        limits = [ax.get_ylim() for ax in panels]
        for ax in panels:
            ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _is_entropy(run: Run) -> bool:
    return all(v.training.loss == "categorical_crossentropy" for v in run.study.variants)
