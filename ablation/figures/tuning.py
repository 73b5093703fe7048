"""The budget of tuning: the best validation score so far after each proposal, one panel per search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import Drawing, beside, label, new_figure, percent_axis, spread
from ablation.grid.value_text import counted
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES = {1: "First search", 2: "Second search, with other seeds"}


def tuning_data(proposals: pd.DataFrame) -> pd.DataFrame:
    """Return ``search, variant, proposal, objective, best``, one row per proposal of each search."""
    return proposals[["search", "variant", "proposal", "objective", "best"]]


def drawings(run: Run) -> list[Drawing]:
    """Draw the best score so far of every variant; nothing if the variants were not tuned."""
    tune, data = run.study.tune, tuning_data(run.proposals)
    if not tune or data["best"].isna().all():
        return []
    searches = list(data["search"].unique())
    figure = new_figure(4.6 * len(searches) + 1.2, 3.4)
    axes = figure.subplots(1, len(searches), squeeze=False, sharey=True)[0]
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    for ax, search in zip(axes, searches, strict=True):
        draw_best_so_far(ax, data[data["search"] == search], styles)
        ax.set(title=_NAMES[search], xlabel="proposals per variant")
    axes[0].set_ylabel(f"best {tune.objective_name} so far")
    if tune.in_points:
        percent_axis(axes[0].yaxis)
    metric, seeds = tune.objective_name, counted(tune.seeds, "seed")
    caption = (
        f"Lines: the best {metric} so far of each variant, after each proposal of the {tune.proposer_name}. "
        f"Dots: the proposals, each the mean over n = {seeds} of the {metric} after the last epoch. There "
        "are no intervals, because the scores were used to choose, so that the best of them is optimistic."
    )
    last = data.groupby(["search", "variant"], sort=False)["best"].last()
    alt = "Best score after all proposals: " + "; ".join(
        f"{variant}, search {search}: {value:.3f}" for (search, variant), value in last.items()
    )
    return [Drawing("tuning", "Tuning: the best score so far by budget", figure, caption, alt)]


def draw_best_so_far(ax: Axes, data: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    """Draw a line and the proposals of every variant, each named at the end of its line.

    Args:
        ax: The panel.
        data: The rows of `tuning_data` of one search.
        styles: How the variants look.
    """
    from matplotlib.ticker import MaxNLocator

    ends: dict[str, float] = {}
    for variant, rows in data.groupby("variant", sort=False):
        style = styles[str(variant)]
        ax.step(
            rows["proposal"],
            rows["best"],
            where="post",
            color=style.colour,
            linestyle=style.dash,
            linewidth=2,
        )
        ax.plot(
            rows["proposal"], rows["objective"], style.marker, color=style.colour, alpha=0.45, markersize=4
        )
        if pd.notna(rows["best"].iloc[-1]):
            ends[str(variant)] = float(rows["best"].iloc[-1])
    low, high = ax.get_ylim()
    heights = spread(list(ends.values()), (high - low) * 0.06)
    for variant, height in zip(ends, heights, strict=True):
        beside(ax, height, label(variant, 18), color=styles[variant].colour)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
