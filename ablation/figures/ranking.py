"""The ranking of all variants: between which ranks each lies, as far as the comparisons say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.phrases import confidence_phrase, method_phrase
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import FAINT, Drawing, beside, new_figure, seeds_phrase, variant_rows
from ablation.grid.compare_settings import CompareSettings
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def drawings(run: Run) -> list[Drawing]:
    """Draw the ranks of the variants; nothing if the study compares them with the baseline only."""
    table, compare = run.ranking, run.compare
    if table.empty:
        return []
    metric = compare.metric_in_words
    figure = new_figure(8.0, max(2.4, 1.2 + 0.36 * len(table)))
    styles = variant_styles([v.name for v in run.study.variants], run.study.baseline)
    draw_ranks(figure.subplots(), table, styles, compare)
    caption = (
        f"Variants in the order of their mean {metric}, over {seeds_phrase(table['n'])}; bars: the ranks "
        f"that each can have, from the verdicts on all pairs ({method_phrase(compare)})."
        f"{_confidence(compare)} Filled marks: no variant is shown to be better."
    )
    alt = "Possible ranks: " + "; ".join(
        f"{row.variant}: {row.rank_low} to {row.rank_high}" for row in table.itertuples(index=False)
    )
    return [Drawing("ranking", f"Ranks in {metric}", figure, caption, alt)]


def _confidence(compare: CompareSettings) -> str:
    if compare.correction == "none":
        return " Each pair is judged on its own, so nothing bounds the risk that a bar misses its rank."
    return f" The confidence that all bars hold the true rank is {confidence_phrase(1 - compare.alpha)}."


def draw_ranks(
    ax: Axes, table: pd.DataFrame, styles: dict[str, VariantStyle], compare: CompareSettings
) -> None:
    """Draw one bar per variant from its lowest to its highest possible rank, with its mean beside it."""
    for place, row in enumerate(table.itertuples(index=False)):
        colour = styles[row.variant].colour
        ax.plot([row.rank_low, row.rank_high], [place, place], color=colour, linewidth=3, alpha=0.5)
        ax.plot(
            [row.rank_low, row.rank_high], [place, place], linestyle="", marker="o", markersize=7,
            color=colour, markerfacecolor=colour if row.tied_with_best else "white",
        )  # fmt: skip
        mean = f"{row.mean:.1%}" if compare.in_points else f"{row.mean:.3f}"
        beside(ax, place, mean, color=FAINT, bold=row.tied_with_best)
    variant_rows(ax, list(table["variant"]))
    most = int(table["rank_high"].max())
    ax.set(xlim=(0.5, most + 0.5), xlabel="rank (1 is the best)", title="Ranks that the verdicts allow")
    step = max(1, -(-most // 12))
    ax.set_xticks(range(1, most + 1, step))
