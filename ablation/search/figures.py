"""The figures of a search: scores over trials and over budget, parallel coordinates, importance."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablation.figures.fonts import warn_of_missing_characters
from ablation.figures.palette import hue
from ablation.figures.saving import write
from ablation.figures.style import (
    FAINT,
    Drawing,
    Picture,
    beside,
    label,
    look,
    new_figure,
    percent_axis,
)
from ablation.grid.search_space import Parameter
from ablation.grid.value_text import counted, yaml_text
from ablation.search.results import SearchRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_COLOURS = "viridis"


def best_so_far(table: pd.DataFrame, maximise: bool) -> pd.Series:
    """Return the best objective up to and including each trial; NaN before the first trial that has one."""
    return table["objective"].cummax() if maximise else table["objective"].cummin()


def coordinates(parameter: Parameter, values: pd.Series) -> tuple[list[float], list[tuple[float, str]]]:
    """Return a parameter's values as positions on an axis from 0 to 1 (NaN for none), and its ticks."""
    if parameter.choice is not None:
        names = [yaml_text(choice) for choice in parameter.choice]
        places = {name: k / (len(names) - 1) for k, name in enumerate(names)}
        positions = [places.get(yaml_text(v), math.nan) if v is not None else math.nan for v in values]
        return positions, [(place, name) for name, place in places.items()]
    assert parameter.range is not None
    low, high = (math.log(end) if parameter.log else float(end) for end in parameter.range)
    numbers = [math.nan if v is None or v != v else float(v) for v in values]
    scaled = [math.log(n) if parameter.log and not math.isnan(n) else n for n in numbers]
    ends = [(float(k), f"{end:g}") for k, end in enumerate(parameter.range)]
    return [(n - low) / (high - low) for n in scaled], ends


def draw_search_figures(search_run: SearchRun, folder: Path) -> list[Picture]:
    """Draw all figures of a search as PNG and SVG.

    Args:
        search_run: The search.
        folder: The folder that the files are written to.
    """
    settings = search_run.search.settings
    texts = [settings.objective, *settings.space, *(str(p.choice) for p in settings.space.values())]
    warn_of_missing_characters(texts)
    images = f"{search_run.explored.dataset.describe()}."
    with look(texts):
        drawn = [drawing for make in _FIGURES if (drawing := make(search_run))]
        return [write(drawing, folder, drawing.name, images) for drawing in drawn]


def _trials(search_run: SearchRun) -> Drawing:
    return _scores(search_run, "trials", "Objective over trials", "trial", np.arange(len(search_run.table)))


def _budget(search_run: SearchRun) -> Drawing:
    minutes = search_run.table["seconds"].to_numpy(float) / 60
    return _scores(
        search_run, "budget", "Objective over budget", "training so far (minutes of one core)", minutes
    )


def _scores(search_run: SearchRun, name: str, title: str, axis: str, x: np.ndarray) -> Drawing:
    from matplotlib.ticker import MaxNLocator

    settings, results = search_run.search.settings, search_run.explored.results
    figure = new_figure(9.5, 3.8)
    ax = figure.subplots()
    by_trial = results.groupby("variant")[settings.objective]
    for place, trial in zip(x, search_run.table["trial"], strict=True):
        values = by_trial.get_group(trial)
        ax.plot([place] * len(values), values, "o", color=hue(0), alpha=0.35, markersize=3.5)
    ax.plot(x, search_run.table["objective"], "o", color=hue(0), markersize=6.5)
    best = best_so_far(search_run.table, settings.maximise)
    ax.step(x, best, where="post", color=hue(1), linewidth=2)
    reference = by_trial.get_group(search_run.search.baseline.name).mean()
    ax.axhline(reference, color=FAINT, linewidth=1.2, linestyle="--")
    beside(ax, reference, label(search_run.search.baseline.name), color=FAINT)
    if best.notna().any() and abs(best.iloc[-1] - reference) > 0.05 * np.ptp([*ax.get_ylim()]):
        beside(ax, float(best.iloc[-1]), "best so far", color=hue(1))
    metric = settings.objective_name
    ax.set(xlabel=axis, ylabel=metric)
    if settings.in_points:
        percent_axis(ax.yaxis)
    if name == "trials":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    missing = int(search_run.table["objective"].isna().sum())
    failed, seeds = counted(missing, "proposal"), counted(len(settings.seeds), "seed")
    caption = (
        f"{metric.capitalize()} after the last epoch of every proposal of the {settings.proposer_name}. "
        f"Small dots: one per seed; large dots: the mean over n = {seeds}. There are no "
        "intervals, because the scores were used to choose. Line: the best mean so far, which is optimistic "
        "because it was chosen; the confirmation shows by how much. Dashed: the baseline, from which the "
        f"search started, with the same seeds.{f' Left out: {failed} without a score.' if missing else ''}"
    )
    of_all = counted(len(search_run.table), "proposal")
    alt = f"{title}: the best mean {metric} of {of_all} is {best.iloc[-1]:.3f}; "
    return Drawing(
        name, title, figure, caption, f"{alt}{search_run.search.baseline.name} has {reference:.3f}"
    )


def _parallel_coordinates(search_run: SearchRun) -> Drawing:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    settings, table = search_run.search.settings, search_run.table.dropna(subset=["objective"])
    names = list(settings.space)
    figure = new_figure(max(6.0, 1.9 * (len(names) + 1)), 4.2)
    ax = figure.subplots()
    draw_coordinates(ax, table, settings.space)
    scale = Normalize(table["objective"].min(), table["objective"].max())
    bar = figure.colorbar(ScalarMappable(scale, _COLOURS), ax=ax, pad=0.02, aspect=30)
    bar.set_label(settings.objective_name)
    if settings.in_points:
        percent_axis(bar.ax.yaxis)
    caption = (
        f"Each line is one of {counted(len(table), 'proposal')}, with the value of every searched setting; "
        f"colour: its mean {settings.objective_name} over n = {counted(len(settings.seeds), 'seed')}; "
        "lighter is higher. A line is broken where a setting was not searched because of a condition."
    )
    best = table.loc[table["objective"].idxmax() if settings.maximise else table["objective"].idxmin()]
    alt = "The best proposal: " + ", ".join(f"{name} {yaml_text(best[name])}" for name in names)
    return Drawing("parallel_coordinates", "Parallel coordinates", figure, caption, alt)


def draw_coordinates(ax: Axes, table: pd.DataFrame, space: dict[str, Parameter]) -> None:
    """Draw one axis per parameter and one line per proposal, those with the highest objective on top."""
    from matplotlib.colors import Normalize

    columns = {name: coordinates(parameter, table[name]) for name, parameter in space.items()}
    heights = np.array([values for values, _ in columns.values()], float).T
    scale = Normalize(table["objective"].min(), table["objective"].max())
    spread = np.random.default_rng(0).uniform(
        -0.012, 0.012, heights.shape
    )  # separates lines of the same choice
    from matplotlib import colormaps

    for row in np.argsort(table["objective"].to_numpy(), kind="stable"):
        colour = colormaps[_COLOURS](scale(table["objective"].iloc[row]))
        ax.plot(heights[row] + spread[row], "-o", color=colour, linewidth=1.4, markersize=3.5, alpha=0.85)
    for place, (_, ticks) in enumerate(columns.values()):
        ax.axvline(place, color=FAINT, linewidth=1, zorder=0)
        for height, text in ticks:
            ax.annotate(
                label(text, 12), (place, height), (-5, 0), textcoords="offset points", ha="right",
                va="center", fontsize=8, bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
            )  # fmt: skip
    ax.set_xticks(range(len(columns)), [label(name, 20) for name in columns], rotation=20, ha="right")
    ax.set(yticks=[], xlim=(-0.6, len(columns) - 0.8), ylim=(-0.06, 1.06))
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def _importance(search_run: SearchRun) -> Drawing | None:
    table = search_run.importance.dropna(subset=["importance"]).sort_values("importance", ascending=False)
    if table.empty:
        return None
    figure = new_figure(8, 1.2 + 0.4 * len(table))
    ax = figure.subplots()
    rows = np.arange(len(table))
    ax.barh(rows, table["importance"], height=0.55, color=hue(0))
    ax.hlines(rows, table["low"], table["high"], color="#222222", linewidth=1.5)
    for row, value in zip(rows, table["importance"], strict=True):
        beside(ax, float(row), f"{value:.2f}")
    ax.set_yticks(rows, [label(name) for name in table["parameter"]])
    ax.invert_yaxis()
    ax.set_xlabel("loss of explained variance when the setting's values are shuffled")
    explained, trials = table[["explained", "trials"]].iloc[0]
    caption = (
        "Permutation importance: how much less of the variance of the objective a forest of 300 trees, "
        f"fitted to n = {trials:.0f} proposals, explains once the setting's values are shuffled (Breiman, "
        "2001). Bars: means over 50 shuffles; lines: their 2.5% and 97.5% quantiles, which do not cover "
        f"other proposals. On out-of-bag proposals, the forest explains {explained:.0%} of the variance."
    )
    alt = "Importance: " + "; ".join(f"{r.parameter} {r.importance:.2f}" for r in table.itertuples())
    return Drawing("importance", "Importance of the settings", figure, caption, alt)


_FIGURES: tuple[Callable[[SearchRun], Drawing | None], ...] = (
    _trials,
    _budget,
    _parallel_coordinates,
    _importance,
)
