"""The figures of a search: scores over trials and over budget, parallel coordinates, importance."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablation.figures.style import FAINT, HUES, Drawing, Picture, beside, label, look, percent_axis, write
from ablation.grid.value_text import yaml_text
from ablation.search.results import SearchRun
from ablation.search.space import Parameter

_COLOURS = "viridis"


def best_so_far(table: pd.DataFrame, maximise: bool) -> pd.Series:
    """Return the best objective up to and with each trial; NaN before the first that has any."""
    return table["objective"].cummax() if maximise else table["objective"].cummin()


def coordinates(parameter: Parameter, values: pd.Series) -> tuple[list[float], list[tuple[float, str]]]:
    """Return where a parameter's values stand on an axis from 0 to 1, NaN for none, and the axis's ticks."""
    if parameter.choice is not None:
        names = [yaml_text(choice) for choice in parameter.choice]
        places = {name: k / (len(names) - 1) for k, name in enumerate(names)}
        shown = [places.get(yaml_text(v), math.nan) if v is not None else math.nan for v in values]
        return shown, [(place, name) for name, place in places.items()]
    assert parameter.range is not None
    low, high = (math.log(end) if parameter.log else float(end) for end in parameter.range)
    numbers = [math.nan if v is None or v != v else float(v) for v in values]
    scaled = [math.log(n) if parameter.log and not math.isnan(n) else n for n in numbers]
    ends = [(float(k), f"{end:g}") for k, end in enumerate(parameter.range)]
    return [(n - low) / (high - low) for n in scaled], ends


def draw_search_figures(found: SearchRun, folder: Path) -> list[Picture]:
    """Draw all figures of a search as PNG and SVG.

    Args:
        found: The search.
        folder: Where the files go.
    """
    with look():
        return [write(drawing, folder, drawing.name) for make in _FIGURES if (drawing := make(found))]


def _trials(found: SearchRun) -> Drawing:
    return _scores(found, "trials", "Objective over trials", "trial", np.arange(len(found.table)))


def _budget(found: SearchRun) -> Drawing:
    minutes = found.table["seconds"].to_numpy(float) / 60
    return _scores(found, "budget", "Budget against score", "training so far (minutes of one core)", minutes)


def _scores(found: SearchRun, name: str, title: str, axis: str, x: np.ndarray) -> Drawing:
    settings, results = found.search.settings, found.explored.results
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    ax = figure.subplots()
    by_trial = results.groupby("variant")[settings.objective]
    for place, trial in zip(x, found.table["trial"], strict=True):
        values = by_trial.get_group(trial)
        ax.plot([place] * len(values), values, "o", color=HUES[0], alpha=0.35, markersize=3.5)
    ax.plot(x, found.table["objective"], "o", color=HUES[0], markersize=6.5)
    best = best_so_far(found.table, settings.maximise)
    ax.step(x, best, where="post", color=HUES[1], linewidth=2)
    plain = by_trial.get_group(found.search.baseline.name).mean()
    ax.axhline(plain, color=FAINT, linewidth=1.2, linestyle="--")
    beside(ax, plain, label(found.search.baseline.name), color=FAINT)
    if best.notna().any() and abs(best.iloc[-1] - plain) > 0.05 * np.ptp([*ax.get_ylim()]):
        beside(ax, float(best.iloc[-1]), "best so far", color=HUES[1])
    metric = settings.objective_name
    ax.set(xlabel=axis, ylabel=metric)
    if settings.maximise:
        percent_axis(ax.yaxis)
    if name == "trials":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    failed = int(found.table["objective"].isna().sum())
    caption = (
        f"{metric.capitalize()} after the last epoch of every proposal of the {settings.tuner} oracle: a "
        f"small dot a seed, a large one the mean over n = {len(settings.seeds)} seeds; no intervals, for "
        "the scores were looked at to choose. Line: the best mean so far, which is flattered by having "
        "been chosen; the confirmation says by how much. Dashed: the setting that the search started from, "
        f"same seeds. {f'{failed} proposals without a score are left out. ' if failed else ''}"
        f"{found.explored.dataset.describe()}."
    )
    alt = f"{title}: the best mean {metric} of {len(found.table)} proposals is {best.iloc[-1]:.3f}; "
    return Drawing(name, title, figure, caption, f"{alt}{found.search.baseline.name} has {plain:.3f}")


def _parallel_coordinates(found: SearchRun) -> Drawing:
    settings, table = found.search.settings, found.table.dropna(subset=["objective"])
    names = list(settings.space)
    figure = Figure(figsize=(max(6.0, 1.9 * (len(names) + 1)), 4.2), layout="constrained")
    ax = figure.subplots()
    draw_coordinates(ax, table, settings.space)
    scale = Normalize(table["objective"].min(), table["objective"].max())
    bar = figure.colorbar(ScalarMappable(scale, _COLOURS), ax=ax, pad=0.02, aspect=30)
    bar.set_label(settings.objective_name)
    if settings.maximise:
        percent_axis(bar.ax.yaxis)
    caption = (
        f"Each line is one of {len(table)} proposals, with the value of every searched setting; colour: "
        f"its mean {settings.objective_name} over n = {len(settings.seeds)} seeds, light is "
        f"high. A line breaks where a condition left a setting out. {found.explored.dataset.describe()}."
    )
    best = table.loc[table["objective"].idxmax() if settings.maximise else table["objective"].idxmin()]
    alt = "The best proposal: " + ", ".join(f"{name} {yaml_text(best[name])}" for name in names)
    return Drawing("parallel_coordinates", "Parallel coordinates", figure, caption, alt)


def draw_coordinates(ax: Axes, table: pd.DataFrame, space: dict[str, Parameter]) -> None:
    """Draw an axis a parameter, and a line a proposal, the best ones on top."""
    columns = {name: coordinates(parameter, table[name]) for name, parameter in space.items()}
    heights = np.array([values for values, _ in columns.values()], float).T
    scale = Normalize(table["objective"].min(), table["objective"].max())
    spread = np.random.default_rng(0).uniform(-0.012, 0.012, heights.shape)  # lines of one choice part
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


def _importance(found: SearchRun) -> Drawing | None:
    table = found.importance.dropna(subset=["importance"]).sort_values("importance", ascending=False)
    if table.empty:
        return None
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(table)), layout="constrained")
    ax = figure.subplots()
    rows = np.arange(len(table))
    ax.barh(rows, table["importance"], height=0.55, color=HUES[0])
    ax.hlines(rows, table["low"], table["high"], color="#222222", linewidth=1.5)
    for row, value in zip(rows, table["importance"], strict=True):
        beside(ax, float(row), f"{value:.2f}")
    ax.set_yticks(rows, [label(name) for name in table["parameter"]])
    ax.invert_yaxis()
    ax.set_xlabel("loss of explained variance when the setting is shuffled")
    explained, trials = table[["explained", "trials"]].iloc[0]
    caption = (
        "How much of the objective each setting explains: by how much a forest of 300 trees, fitted to n = "
        f"{trials:.0f} proposals, explains less once the setting's values are shuffled (Breiman, 2001). "
        "Bars: means over 50 shuffles; lines: their 2.5% and 97.5% quantiles, which do not speak of other "
        f"proposals. Out of its bags the forest explains {explained:.0%} of the variance. "
        f"{found.explored.dataset.describe()}."
    )
    alt = "Importance: " + "; ".join(f"{r.parameter} {r.importance:.2f}" for r in table.itertuples())
    return Drawing("importance", "Which settings matter", figure, caption, alt)


_FIGURES: tuple[Callable[[SearchRun], Drawing | None], ...] = (
    _trials,
    _budget,
    _parallel_coordinates,
    _importance,
)
