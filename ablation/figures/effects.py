"""The effects of a fractional design: what each factor does, and each sum of aliased interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.aliases import SEPARATED, interactions_of
from ablation.analysis.phrases import MARKS, interval_phrase, method_phrase, points
from ablation.figures.forest import DECIDED
from ablation.figures.palette import hue
from ablation.figures.style import FAINT, Drawing, beside, label, new_figure, seeds_phrase
from ablation.grid.compare_settings import CompareSettings
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS = ("main effect", "interaction", SEPARATED)
_TITLES = {
    "main effect": "Main effects",
    "interaction": "Interactions, and sums of aliased ones",
    SEPARATED: "After the fold-over: the parts of the sums that have a verdict",
}
_PAIRS_PER_LINE = 2


def effects_data(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects to draw, the largest of each kind first.

    Args:
        effects: The table of effects.

    Returns:
        The rows of main effects, of interactions, and of the parts of a sum with a verdict that a fold-over
        separates, as far as they have an interval, with ``name``, the lines that name the effect.
    """
    drawn = effects[effects["kind"].isin(_KINDS) & effects["low"].notna()]
    drawn = drawn[(drawn["kind"] != SEPARATED) | drawn["declared"].astype(bool)]
    order = drawn["kind"].map(_KINDS.index)
    ranked = drawn.assign(order=order, size=drawn["difference"].abs())
    ranked = ranked.sort_values(["order", "size"], ascending=[True, False], kind="stable")
    with_levels = ranked.duplicated(["kind", "effect"], keep=False)
    names = [_name(row, of) for row, of in zip(ranked.to_dict("records"), with_levels, strict=True)]
    return ranked.assign(name=names).drop(columns=["order", "size"]).reset_index(drop=True)


def _name(row: dict[object, object], with_levels: bool) -> str:
    """Return the lines that name an effect: a factor with its level, or interactions, some per line.

    Args:
        row: A row of the table of effects.
        with_levels: Whether an interaction is named with its levels, because there are others of its factors.
    """
    if row["kind"] == "main effect":
        return label(f"{row['effect']} = {row['levels']}")
    pairs = interactions_of(str(row["effect"]))
    if with_levels:
        return f"{label(pairs[0], 32)}\n{label(str(row['levels']), 32)}"
    lines = [pairs[k : k + _PAIRS_PER_LINE] for k in range(0, len(pairs), _PAIRS_PER_LINE)]
    return " +\n".join(" + ".join(label(pair, 32) for pair in line) for line in lines)


def drawings(run: Run) -> list[Drawing]:
    """Draw one panel per kind of effect, if effects are what the study asks."""
    is_fraction = run.study.design == "fractional"
    asks = is_fraction or run.compare.questions == "effects"
    data = effects_data(run.effects) if asks else pd.DataFrame()
    if data.empty:
        return []
    kinds = list(dict.fromkeys(data["kind"]))
    heights = [1 + sum(0.16 + 0.2 * (name.count("\n") + 1) for name in data["name"][data["kind"] == kind])
               for kind in kinds]  # fmt: skip
    figure = new_figure(9.5, sum(heights))
    panels = figure.subplots(len(kinds), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for ax, kind in zip(panels, kinds, strict=True):
        draw_effects(ax, data[data["kind"] == kind], run.compare)
        ax.set_title(_TITLES[kind] if is_fraction else _TITLES[kind].partition(",")[0], loc="left")
    compare, metric = run.compare, run.compare.metric_in_words
    unit = "percentage points" if compare.in_points else metric
    panels[-1].set_xlabel(f"effect on {metric} ({unit})" if compare.in_points else f"effect on {metric}")
    together = "; the design measures some of them together, as a sum" if is_fraction else ""
    caption = (
        f"Effects on {metric}, over {seeds_phrase(data['n'])}. Main effects: the mean at a level of a "
        "factor minus the mean at its first level. Interactions: how much larger the effect of one factor is "
        f"at a level of the other than at its first{together}. Bars: the interval "
        f"from which a verdict is read ({method_phrase(compare)}); shaded: within the margin, in {unit}."
    )
    alt = f"Effects on {metric}: " + "; ".join(
        f"{row.effect}: {points(row.difference, compare)}" for row in data.itertuples(index=False)
    )
    return [Drawing("effects", f"Effects on {metric}", figure, caption, alt)]


def draw_effects(ax: Axes, data: pd.DataFrame, compare: CompareSettings) -> None:
    """Draw one row per effect: its estimate and its interval; beside it, number and verdict."""
    scale = 100 if compare.in_points else 1
    ax.axvspan(-scale * compare.margin, scale * compare.margin, color="#eeeeee", linewidth=0, zorder=0)
    ax.axvline(0, color=FAINT, linewidth=1)
    for place, row in enumerate(data.to_dict("records")):
        verdict = row["verdict"]
        colour = hue(0) if verdict in DECIDED else FAINT
        low, mean, high = (scale * row[key] for key in ("low", "difference", "high"))
        ax.plot([low, high], [place, place], color=colour, linewidth=2)
        ax.plot([mean], [place], linestyle="", marker="o", markersize=7, color=colour)
        text = f"{points(row['difference'], compare)}  ({interval_phrase(row, compare)})"
        text += f"  {MARKS.get(verdict, '')} {verdict or 'exploratory'}"
        beside(ax, place, text, bold=verdict in DECIDED)
    ax.set_yticks(range(len(data)), list(data["name"]), fontsize=8.5)
    ax.set_ylim(len(data) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
