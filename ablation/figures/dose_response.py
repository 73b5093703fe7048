"""Dose-response curves: the mean along a numeric factor, its band, and the doses that could be the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation.analysis.dose_curves import are_wide, dose_curves, is_averaged
from ablation.analysis.dose_phrases import best_phrase, curve_name, method_of_curves
from ablation.analysis.dose_response import usable_part
from ablation.analysis.estimates import Measurements
from ablation.figures.palette import MARKERS, hue
from ablation.figures.style import Drawing, label, percent_axis, seeds_phrase, small_multiples, spread
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CURVES = 4  # of single levels of the other factors in one panel; of more, only their average is drawn
_MOST_PANELS = 6
_ROW = 0.045  # of the panel's height, between the sets of two curves
_DASHES = ["-", "--", ":", "-."]


def dose_data(
    table: pd.DataFrame, results: pd.DataFrame, study: Study, metric: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the figure shows: the curves, and the value of each seed.

    Args:
        table: The dose-response table of the run.
        results: The results table.
        study: The study.
        metric: The metric.

    Returns:
        The rows of the table that have a curve, with ``panel``, one per factor for single levels of the other
        factors and one for their average; and one row per curve, dose and seed: ``factor``, ``where``,
        ``dose``, ``seed`` and ``value``. Where more than four single curves would share a panel, only their
        average is kept.
    """
    usable = table[table["reason"] == ""]
    averaged = usable["where"].map(is_averaged).astype(bool)
    usable = usable.assign(panel=usable["factor"] + averaged.map({True: ", averaged", False: ""}))
    singles = usable[~averaged].groupby("factor")["where"].nunique()
    crowded = usable["factor"].map(singles).gt(_MOST_CURVES) & ~averaged
    drawn = usable[~crowded]
    measured, points = Measurements(results, metric), []
    for curve in dose_curves(study):
        if ((drawn["factor"] == curve.factor) & (drawn["where"] == curve.where)).any():
            part, _ = usable_part(curve, measured)
            wide = pd.DataFrame(part.values(measured), measured.seeds(part.every_variant), list(part.doses))
            long = wide.rename_axis("seed").reset_index().melt("seed", var_name="dose", value_name="value")
            points.append(long.assign(factor=curve.factor, where=curve.where))
    columns = ["factor", "where", "dose", "seed", "value"]
    seeds = pd.concat(points, ignore_index=True)[columns] if points else pd.DataFrame(columns=columns)
    return drawn, seeds


def drawings(run: Run) -> list[Drawing]:
    """Draw the curves; nothing if no factor has three numeric levels with enough completed seeds."""
    compare, study = run.compare, run.study
    if run.dose_response.empty:
        return []
    data, seeds = dose_data(run.dose_response, run.results, study, compare.metric)
    panels = list(data["panel"].unique())[:_MOST_PANELS]
    if not panels:
        return []
    figure, axes = small_multiples(len(panels), 5.6 if len(panels) == 1 else 4.6, 3.9, share_x=False)
    figure.set_layout_engine("constrained")  # makes room for the names beside the lines' ends
    in_panels = [data[data["panel"] == panel] for panel in panels]
    for ax, panel, drawn in zip(axes, panels, in_panels, strict=True):
        draw_curves(ax, drawn, seeds, compare)
        if len(panels) > 1:
            ax.set_title(label(panel))
    _leave_room(axes[0], max(len(_curves(drawn)) for drawn in in_panels))
    for ax, drawn in zip(axes, in_panels, strict=True):
        draw_best_doses(ax, drawn)
    metric = compare.metric_in_words
    axes[0].set_ylabel(metric)
    shown = data[data["panel"].isin(panels)]
    return [
        Drawing("dose_response", "Dose–response curves", figure, _caption(run, shown), _alt(shown, metric))
    ]


def _curves(data: pd.DataFrame) -> list[pd.DataFrame]:
    return [curve for _, curve in data.groupby(["factor", "where"], sort=False)]


def _caption(run: Run, data: pd.DataFrame) -> str:
    compare, level = run.compare, f"{100 * (1 - run.compare.alpha):g}%"
    return (
        f"Mean {compare.metric_in_words} at each dose, {seeds_phrase(data['n'])}, which are the faint dots. "
        f"Shaded: the simultaneous {level} band of each curve. Marks below the curves: the doses that could "
        f"be the best, filled at the best mean. {method_of_curves(compare)} These results are "
        "exploratory."
    )


def _alt(data: pd.DataFrame, metric: str) -> str:
    texts = []
    for curve in _curves(data)[:6]:
        means = ", ".join(f"{row.level}: {row.mean:.3f}" for row in curve.itertuples(index=False))
        texts.append(
            f"{curve_name(curve.iloc[0].to_dict())}: {means}; could be the best: {best_phrase(curve)}"
        )
    return f"{metric} along the dose. " + ". ".join(texts)


def draw_curves(ax: Axes, data: pd.DataFrame, seeds: pd.DataFrame, compare: CompareSettings) -> None:
    """Draw the curves of one panel with their bands and seeds, each labelled at its end."""
    curves, ends, colours = _curves(data), [], _colours(data)
    for k, curve in enumerate(curves):
        factor, where = curve[["factor", "where"]].iloc[0]
        own = seeds[(seeds["factor"] == factor) & (seeds["where"] == where)]
        ax.fill_between(curve["dose"], curve["low"], curve["high"], color=colours[k], alpha=0.14, linewidth=0)
        ax.plot(own["dose"], own["value"], "o", color=colours[k], alpha=0.3, markersize=3, linestyle="")
        ax.plot(
            curve["dose"], curve["mean"], color=colours[k], linewidth=1.8,
            linestyle=_DASHES[k % len(_DASHES)], marker=MARKERS[k % len(MARKERS)], markersize=6,
        )  # fmt: skip
        ends.append(float(curve["mean"].iloc[-1]))
    low, high = ax.get_ylim()
    right = float(data["dose"].max())
    for k, height in enumerate(spread(ends, (high - low) * 0.07)):
        where = str(curves[k]["where"].iloc[0])
        beside = "" if is_averaged(where) else label(where, 24)
        ax.annotate(
            beside, (right, height), (10, 0),
            textcoords="offset points", va="center", fontsize=8.5, color=colours[k], annotation_clip=False,
        )  # fmt: skip
    _dose_axis(ax, data)
    if compare.in_points:
        percent_axis(ax.yaxis)


def _colours(data: pd.DataFrame) -> list[Any]:
    return (
        ["#555555"]
        if is_averaged(str(data["where"].iloc[0]))
        else [hue(k) for k in range(len(_curves(data)))]
    )


def _leave_room(ax: Axes, curves: int) -> None:
    """Leave room below the curves of panels that share an axis for their sets of best doses."""
    low, high = ax.get_ylim()
    share = _ROW * (curves + 2)
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    ax.set_ylim(low - (high - low) * share / (1 - share), high)


def draw_best_doses(ax: Axes, data: pd.DataFrame) -> None:
    """Draw one row of marks per curve above the axis: the doses that could be the best."""
    curves, colours, across = _curves(data), _colours(data), ax.get_xaxis_transform()
    for k, curve in enumerate(curves):
        height = 0.03 + _ROW * (len(curves) - 1 - k)
        inside = curve[curve["could_be_best"].astype(bool)]
        ax.plot(
            inside["dose"], [height] * len(inside), "-", color=colours[k], alpha=0.45, linewidth=2,
            transform=across,
        )  # fmt: skip
        for row in inside.itertuples(index=False):
            ax.plot(
                row.dose, height, MARKERS[k % len(MARKERS)], color=colours[k], transform=across,
                markersize=5.5, markerfacecolor=colours[k] if row.dose == row.best else "white",
            )  # fmt: skip
    ax.annotate(
        "could be the best:", (0.01, 0.03 + _ROW * len(curves)), xycoords="axes fraction", va="center",
        fontsize=7.5, color="#555555",
    )  # fmt: skip


def _dose_axis(ax: Axes, data: pd.DataFrame) -> None:
    """Put a tick at each dose, on a logarithmic axis if they are wide apart."""
    from matplotlib.ticker import NullLocator

    ticks = data.drop_duplicates("dose").sort_values("dose")
    if are_wide(list(ticks["dose"])):
        ax.set_xscale("log")
    ax.set_xticks(list(ticks["dose"]), [label(level, 12) for level in ticks["level"]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(label(str(data["factor"].iloc[0])))
