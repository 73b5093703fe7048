"""Test accuracy against cost: parameters, multiply-adds, seconds, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.trial_tables import COSTS
from ablation.figures.naming import NamedPoint, name_points
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import FAINT, Drawing, new_figure, percent_axis, seeds_phrase
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


UNITS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds per image",
    "seconds": "seconds per trial",
    "memory": "peak memory (MiB)",
}
_MOST_NAMED = 8
_WIDTH, _HEIGHT = 5.4, 3.7  # of a panel with its labels, in inches


def cost_data(table: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Return the variants whose cost is known: ``variant, cost, accuracy, low, high, front``."""
    known = table[table[cost].notna()].sort_values([cost, "test_accuracy"], kind="stable")
    names = {cost: "cost", "test_accuracy": "accuracy", f"pareto_{cost}": "front"}
    renamed = known.rename(columns=names)[["variant", "cost", "accuracy", "low", "high", "front"]]
    return renamed.astype({"cost": float, "front": bool}).reset_index(drop=True)


def drawings(run: Run) -> list[Drawing]:
    """Draw test accuracy against each cost that is known."""
    costs = [cost for cost in COSTS if run.cost[cost].notna().any()]
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    figure, panels = _panels(len(costs))
    for ax, cost in zip(panels, costs, strict=True):
        draw_cost(ax, cost_data(run.cost, cost), styles)
        ax.set_xlabel(UNITS[cost])
        percent_axis(ax.yaxis)
    caption = (
        "Test accuracy against cost. Bars: 95% confidence intervals of the mean over "
        f"{seeds_phrase(run.cost['n'])} (Student's t). Line: the Pareto front of the means, that is, the "
        "variants for which no other is at least as cheap and at least as accurate, and better in one of the "
        f"two; neighbours on it may differ by chance.{_named(len(run.cost))} Multiply-adds: convolutions and "
        "Dense layers, for one image in inference mode; seconds: wall time per trial; memory: peak memory of "
        "the trial's process, TensorFlow and the images included."
    )
    alt = "Test accuracy against cost. On the Pareto front: " + "; ".join(
        f"by {UNITS[c]} {', '.join(run.cost.loc[run.cost[f'pareto_{c}'].astype(bool), 'variant'])}"
        for c in costs
    )
    return [Drawing("cost", "Accuracy against cost", figure, caption, alt)]


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, at most two per row, of a size that is known before it is drawn."""
    columns = min(count, 2)
    rows = -(-count // columns)
    width, height = _WIDTH * columns, _HEIGHT * rows
    figure = new_figure(width, height, layout=None)
    figure.subplots_adjust(
        left=0.65 / width, right=1, bottom=0.5 / height, top=1, wspace=0.06, hspace=0.2
    )  # fmt: skip
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in axes[:, 0]:
        ax.set_ylabel("test accuracy")
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, list(axes.flat[:count])


def _named(variants: int) -> str:
    return " Names: the most accurate variants on the front." if variants > _MOST_NAMED else ""


def draw_cost(ax: Axes, data: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw the variants and a line along the Pareto front; if there are many, only the front is named."""
    front = data[data["front"]]
    ax.step(front["cost"], front["accuracy"], where="post", color=FAINT, linewidth=1, zorder=0)
    for row in data.itertuples(index=False):
        style = styles[row.variant]
        ax.vlines(row.cost, row.low, row.high, color=style.colour, linewidth=1.5, alpha=0.7)
        ax.plot(row.cost, row.accuracy, style.marker, color=style.colour, markersize=7)
    _cost_axis(ax, data["cost"].min(), data["cost"].max())
    named = data if len(data) <= _MOST_NAMED else front.tail(_MOST_NAMED)
    points = [
        NamedPoint(row.variant, row.cost, row.accuracy, styles[row.variant].colour)
        for row in named.sort_values("accuracy", ascending=False).itertuples(index=False)
    ]
    ends = data[["low", "high"]].apply(lambda end: end.fillna(data["accuracy"]))
    name_points(ax, points, list(zip(data["cost"], ends["low"], ends["high"], strict=True)))


def _cost_axis(ax: Axes, least: float, most: float) -> None:
    """Scale the axis of a cost, and write round numbers on it, few enough to be read."""
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

    if most > 10 * least:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if most > 100 * least else (1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    # "k" and "M" for many; for few it would have "m", of which nobody thinks thousandths of a second
    ax.xaxis.set_major_formatter(EngFormatter(sep="") if least >= 1 else "{x:g}")
    ax.tick_params(axis="x", labelsize=8)
    ax.margins(x=0.28, y=0.1)  # room for names
