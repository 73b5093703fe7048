"""Test accuracy against cost: parameters, multiply-adds, seconds, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.trial_tables import COSTS
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import FAINT, Drawing, label, new_figure, percent_axis, seeds_phrase, spread
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


UNITS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds per image",
    "seconds": "seconds per trial",
    "memory": "peak memory (MiB)",
}
_MOST_LABELLED = 8


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
    figure = new_figure(3.3 * len(costs), 3.6)
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for ax, cost in zip(panels, costs, strict=True):
        draw_cost(ax, cost_data(run.cost, cost), styles)
        ax.set_xlabel(UNITS[cost])
    panels[0].set_ylabel("test accuracy")
    percent_axis(panels[0].yaxis)
    caption = (
        "Test accuracy against cost. Bars: 95% confidence intervals of the mean over "
        f"{seeds_phrase(run.cost['n'])} (Student's t). Line: the Pareto front of the means, that is, the "
        "variants for which no other is at least as cheap and at least as accurate, and better in one of the "
        "two; neighbours on it may differ by chance. Multiply-adds: convolutions and Dense layers, for one "
        "image in inference mode; seconds: wall time per trial; memory: peak memory of the trial's process, "
        "TensorFlow and the images included."
    )
    alt = "Test accuracy against cost. On the Pareto front: " + "; ".join(
        f"by {UNITS[c]} {', '.join(run.cost.loc[run.cost[f'pareto_{c}'].astype(bool), 'variant'])}"
        for c in costs
    )
    return [Drawing("cost", "Accuracy against cost", figure, caption, alt)]


def draw_cost(ax: Axes, data: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw the variants and a line along the Pareto front; if there are many, only the front is labelled."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    front = data[data["front"]]
    ax.step(front["cost"], front["accuracy"], where="post", color=FAINT, linewidth=1, zorder=0)
    for row in data.itertuples(index=False):
        style = styles[row.variant]
        ax.vlines(row.cost, row.low, row.high, color=style.colour, linewidth=1.5, alpha=0.7)
        ax.plot(row.cost, row.accuracy, style.marker, color=style.colour, markersize=7)
    if data["cost"].max() > 10 * data["cost"].min():
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter("")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    # "k" and "M" for many; for few it would have "m", of which nobody thinks thousandths of a second
    ax.xaxis.set_major_formatter(EngFormatter(sep="") if data["cost"].min() >= 1 else "{x:g}")
    ax.tick_params(axis="x", which="both", labelsize=8)
    ax.margins(x=0.25)
    named = data if len(data) <= _MOST_LABELLED else front.tail(_MOST_LABELLED)
    low, high = ax.get_ylim()
    heights = spread(named["accuracy"].tolist(), (high - low) * 0.055)
    for row, height in zip(named.itertuples(index=False), heights, strict=True):
        ax.annotate(
            label(row.variant, 24), (row.cost, height), (7, 6), textcoords="offset points", va="center",
            fontsize=8, color=styles[row.variant].colour,
        )  # fmt: skip
