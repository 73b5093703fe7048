"""Interaction plots: lines are parallel if a factor has the same effect at every level of the other one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from ablation.analysis.completed_trials import comparable
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import effect_conclusion
from ablation.figures.palette import MARKERS, hue
from ablation.figures.style import (
    Drawing,
    in_two_lines,
    label,
    percent_axis,
    seeds_phrase,
    small_multiples,
    spread,
)
from ablation.grid.study import Study
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MOST_PANELS = 12
_LEVEL_NAME = 12  # letters of a line of a level's name
_APART = 0.06  # between two lines at a level, so that their intervals do not overlap
_DASHES = ["-", "--", ":", "-."]


def interaction_data(results: pd.DataFrame, study: Study, metric: str) -> pd.DataFrame:
    """Return the mean of a metric at each pair of levels of two factors, for every two factors.

    Within a seed the metric is averaged over the levels of the other factors; seeds that miss one of these
    variants do not count. Pairs of levels for which the study has not all variants are left out.

    Returns:
        ``across`` and ``along`` (two factors), ``across_level``, ``along_level``, ``mean``, ``low``,
        ``high`` (95% interval over seeds, Student's t) and ``n``.
    """
    levels = {v.name: v.levels for v in study.variants if v.crossed}
    crossed = comparable(results, study.baseline)
    crossed = crossed[crossed["variant"].isin(list(levels))]
    tables = []
    for across, along in combinations(study.factors, 2):
        others = [f for f in study.factors if f not in (across, along)]
        needed = 1
        for factor in others:
            needed *= len(study.factors[factor])
        named = crossed.assign(
            across_level=crossed["variant"].map(lambda name, f=across: levels[name][f]),
            along_level=crossed["variant"].map(lambda name, f=along: levels[name][f]),
        )
        cells = named.groupby(["across_level", "along_level", "seed"], sort=False)[metric].agg(
            ["mean", "count"]
        )
        whole = cells[cells["count"] == needed].reset_index().rename(columns={"mean": metric})
        if len(whole):
            summary = mean_intervals(whole, ["across_level", "along_level"], [metric])
            tables.append(summary.drop(columns="metric").assign(across=across, along=along))
    columns = ["across", "along", "across_level", "along_level", "mean", "low", "high", "n"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def drawings(run: Run) -> list[Drawing]:
    """Draw one panel for every two factors; nothing if the study crosses fewer."""
    compare, factors = run.compare, run.study.factors
    data = interaction_data(run.results, run.study, compare.metric)
    pairs = list(data[["across", "along"]].drop_duplicates().itertuples(index=False))
    if not pairs:
        return []
    drawn = pairs[:_MOST_PANELS]
    wide = 5.2 if len(drawn) == 1 else 3.6
    figure, panels = small_multiples(len(drawn), wide, 3.4, share_x=False)
    figure.set_layout_engine("constrained")  # makes room for the names beside the lines' ends
    metric = compare.metric_in_words
    for ax, (across, along) in zip(panels, drawn, strict=True):
        of_pair = data[(data["across"] == across) & (data["along"] == along)]
        draw_interaction(ax, of_pair, factors, compare.in_points)
    panels[0].set_ylabel(metric)
    effects = run.effects[(run.effects["kind"] == "interaction") & run.effects["low"].notna()]
    sentences = " ".join(
        effect_conclusion(row, compare, len(factors)) for row in effects.head(3).to_dict("records")
    )
    left_out = ""
    if len(pairs) > len(drawn):
        left_out = f" Shown: the first {len(drawn)} of {len(pairs)} pairs of factors."
    caption = (
        f"Mean {metric} at each pair of levels, averaged over the other factors within each seed; bars: 95% "
        f"confidence intervals of the mean (Student's t), {seeds_phrase(data['n'])}. Parallel lines mean no "
        "interaction. Whether they are parallel is judged within each seed, which the bars do not show. "
        f"{sentences}{left_out}"
    )
    alt = f"{metric} at each pair of levels: " + "; ".join(
        f"{row.across}={row.across_level}, {row.along}={row.along_level}: {row.mean:.3f}"
        for row in data.head(12).itertuples(index=False)
    )
    return [Drawing("interaction", "Interactions", figure, caption, alt)]


def draw_interaction(
    ax: Axes, data: pd.DataFrame, factors: Mapping[str, tuple[str, ...]], in_points: bool
) -> None:
    """Draw one factor's levels along the axis, and one line per level of the other, labelled at its end."""
    across, along = data[["across", "along"]].iloc[0]
    places = {level: k for k, level in enumerate(factors[across])}
    lines = [level for level in factors[along] if level in set(data["along_level"])]
    ends = []
    for k, level in enumerate(lines):
        line = data[data["along_level"] == level].assign(x=lambda t: t["across_level"].map(places))
        line = line.sort_values("x")
        offset = _APART * (k - (len(lines) - 1) / 2)
        error = [line["mean"] - line["low"], line["high"] - line["mean"]]
        ax.errorbar(
            line["x"] + offset, line["mean"], yerr=error, color=hue(k), linewidth=1.8,
            linestyle=_DASHES[k % len(_DASHES)], marker=MARKERS[k % len(MARKERS)], markersize=6,
        )  # fmt: skip
        ends.append(float(line["mean"].iloc[-1]))
    low, high = ax.get_ylim()
    beside = len(places) - 1 + _APART * (len(lines) - 1) / 2
    for k, height in enumerate(spread(ends, (high - low) * 0.07)):
        ax.annotate(
            label(f"{along}={lines[k]}", 24), (beside, height), (10, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=hue(k), annotation_clip=False,
        )  # fmt: skip
    ax.set_xticks(range(len(places)), [in_two_lines(level, _LEVEL_NAME) for level in places])
    ax.set_xlim(-0.35, len(places) - 0.65)
    ax.set_xlabel(label(across))
    if in_points:
        percent_axis(ax.yaxis)
