"""Figures for one column of a paper: drawn at its width, with letters that can be read there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation.analysis.phrases import MARKS, points
from ablation.figures.catalogue import texts_of
from ablation.figures.effects import effects_data
from ablation.figures.forest import difference_data
from ablation.figures.learning_curves import learning_curves_data
from ablation.figures.line_legend import MEASURED, line_legend
from ablation.figures.overfitting_gap import gap_data
from ablation.figures.palette import VariantStyle, variant_styles
from ablation.figures.style import (
    FAINT,
    Drawing,
    in_two_lines,
    label,
    look,
    new_figure,
    percent_axis,
    seeds_phrase,
)
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 8.4 / 2.54
"""The width of a column in inches: 8.4 cm."""
_LETTERS: dict[Any, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "pdf.fonttype": 42,  # outlines that journals accept
}
_ROW, _ROW_OF_TWO = 0.17, 0.27  # inches
_MOST_ROWS = 40  # which are as high as a page
_MOST_CURVES = 7  # lines in a panel that can be distinguished
_MOST_PANELS = 30
_NAME = 20  # letters


def column_drawings(run: Run) -> list[Drawing]:
    """Draw the figures of a paper: differences or effects, the overfitting gap, and the learning curves."""
    with look(texts_of(run)):
        import matplotlib as mpl

        mpl.rcParams.update(_LETTERS)
        drawn = [draw(run) for draw in _DRAWN.values()]
    return [drawing for drawing in drawn if drawing]


def write_pdf(drawing: Drawing, folder: Path) -> Path:
    """Write a drawing as PDF, exactly as wide as a column; the same drawing is the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{drawing.name}.pdf"
    with look():
        import matplotlib as mpl

        mpl.rcParams.update(_LETTERS)
        drawing.figure.savefig(file, metadata={"CreationDate": None})
    return file


def _differences(run: Run) -> Drawing | None:
    """Draw each variant's difference from the baseline, the largest ones if they are many."""
    compare, baseline = run.compare, run.study.baseline
    rows = run.baseline_comparisons.dropna(subset=["difference"])
    if run.study.design == "fractional" or rows.empty:
        return None
    shown = _largest(rows, "difference")
    pairs = difference_data(run.results, baseline, compare.metric)
    styles = _styles(run)
    figure = new_figure(WIDTH, 0.55 + _height(shown["variant"]))
    ax = figure.subplots()
    for place, row in enumerate(shown.to_dict("records")):
        of_seeds = pairs.loc[pairs["variant"] == row["variant"], "difference"]
        _interval_row(ax, place, row, of_seeds, styles[str(row["variant"])], run)
    _finish_rows(ax, _names(shown["variant"]), run)
    caption = (
        f"Difference in {compare.metric_in_words} from {baseline}{_unit(run)}. Large marks: the mean over "
        f"{seeds_phrase(shown['n'], 'pair')}; bars: the interval from which the verdict is read; small dots: "
        f"one per seed; shaded: within the margin; {_marks(set(shown['verdict']))}."
        f"{_left_out(shown, rows, 'differences')}"
    )
    return Drawing("differences", "Differences", figure, caption, "")


def _effects(run: Run) -> Drawing | None:
    """Draw the effects of a fractional design's factors, the largest ones if they are many."""
    data = effects_data(run.effects) if run.study.design == "fractional" else pd.DataFrame()
    if data.empty:
        return None
    shown = _largest(data, "difference")
    figure = new_figure(WIDTH, 0.55 + _height(shown["name"]))
    ax = figure.subplots()
    style = VariantStyle("#0173b2", "o")
    for place, row in enumerate(shown.to_dict("records")):
        _interval_row(ax, place, row, pd.Series(dtype=float), style, run)
    _finish_rows(ax, _names(name.replace("\n", " ").replace("_", " ") for name in shown["name"]), run)
    caption = (
        f"Effects on {run.compare.metric_in_words}{_unit(run)}: main effects of the factors, and "
        "interactions, of which the design measures some as a sum. Marks: the mean over "
        f"{seeds_phrase(shown['n'])}; bars: the interval from which the verdict is read; shaded: within the "
        f"margin; {_marks(set(shown['verdict']))}.{_left_out(shown, data, 'effects')}"
    )
    return Drawing("effects", "Effects", figure, caption, "")


def _gap(run: Run) -> Drawing | None:
    """Draw the overfitting gap: over the epochs if the variants are few, and after the last epoch."""
    curves, final, trials = gap_data(run.history)
    final = final.dropna(subset=["mean"])
    if final.empty:
        return None
    styles = _styles(run)
    shown = _largest(final, "mean", list(final.index[final["variant"] == run.study.baseline]))
    few = len(shown) <= _MOST_CURVES and int(curves["epoch"].max()) > 1
    heights = [1.5] * few + [0.45 + _height(shown["variant"])]
    figure = new_figure(WIDTH, sum(heights) + 0.15)
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if few:
        _gap_curves(panels[0], curves, styles)
    for place, row in enumerate(shown.to_dict("records")):
        of_seeds = 100 * trials.loc[trials["variant"] == row["variant"], "gap"]
        ends = [100 * row[key] for key in ("low", "mean", "high")]
        _mark(panels[-1], place, ends, of_seeds, styles[str(row["variant"])])
    _rows(panels[-1], _names(shown["variant"]))
    panels[-1].axvline(0, color=FAINT, linewidth=0.8)
    panels[-1].set_xlabel("gap after the last epoch (points)")
    upper = (
        "Top: over the epochs, in the colours of the rows; bottom: after each trial's last epoch. "
        if few
        else "After each trial's last epoch. "
    )
    caption = (
        "Overfitting gap: training minus validation accuracy, both in inference mode, in percentage points. "
        f"{upper}Lines and large marks: mean over {seeds_phrase(shown['n'])}; bands and bars: its 95% "
        f"confidence interval; small dots: one per seed.{_left_out(shown, final, 'gaps')}"
    )
    return Drawing("overfitting_gap", "Overfitting gap", figure, caption, "")


def _curves(run: Run) -> Drawing | None:
    """Draw training and validation accuracy over the epochs, a small panel per variant."""
    data = learning_curves_data(run.history)
    data = data[data["metric"].isin(["train_accuracy", "val_accuracy"])].dropna(subset=["mean"])
    names = list(data["variant"].unique())
    shown = names[:_MOST_PANELS]
    if not shown or data["epoch"].max() < 2:
        return None
    columns = min(len(shown), 2 if len(shown) <= 4 else 3 if len(shown) <= 12 else 4)
    rows = math.ceil(len(shown) / columns)
    styles = _styles(run)
    figure = new_figure(WIDTH, 0.35 + 0.95 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(axes.flat, shown, strict=False):
        _panel(ax, data[data["variant"] == name], styles[name])
        ax.set_title(label(name, 44 // columns), fontsize=7, fontweight="normal", pad=2)
    for k in range(rows * columns):
        ax = axes.flat[k]
        ax.set_visible(k < len(shown))
        if k + columns >= len(shown):
            ax.tick_params(labelbottom=True)
    percent_axis(axes[0, 0].yaxis)
    figure.supxlabel("epoch", fontsize=7.5)
    figure.supylabel("accuracy", fontsize=7.5)
    line_legend(figure, MEASURED, loc="outside upper right", fontsize=7)
    left = f" The first {len(shown)} of {len(names)} variants." if len(shown) < len(names) else ""
    caption = (
        "Training (dashed) and validation (solid) accuracy after every epoch, both in inference mode: mean "
        "over "
        f"{seeds_phrase(data['n'])}, with its 95% confidence interval.{left}"
    )
    return Drawing("learning_curves", "Learning curves", figure, caption, "")


_DRAWN: dict[str, Callable[[Run], Drawing | None]] = {
    "differences": _differences,
    "effects": _effects,
    "overfitting_gap": _gap,
    "learning_curves": _curves,
}
COLUMN_FIGURES = tuple(_DRAWN)
"""The names of the figures, of which a study can have fewer."""


def _names(names: Iterable[str]) -> list[str]:
    """Return names as labels of rows, in two lines if one is too short to tell them apart, or numbered."""
    full = [str(name) for name in names]
    short = [label(name, _NAME) for name in full]
    if len(set(short)) == len(full):
        return short
    long = [in_two_lines(name, _NAME + 6) for name in full]
    if len(set(long)) == len(full):
        return long
    return [f"{k}: {name}" for k, name in enumerate(short, 1)]


def _height(names: Iterable[str]) -> float:
    """Return the height of a chart's rows in inches."""
    labels = _names(names)
    return len(labels) * (_ROW_OF_TWO if any("\n" in text for text in labels) else _ROW)


def _styles(run: Run) -> dict[str, VariantStyle]:
    return variant_styles([variant.name for variant in run.study.variants], run.study.baseline)


def _unit(run: Run) -> str:
    return ", in percentage points" if run.compare.in_points else ""


def _marks(verdicts: set[str]) -> str:
    words = {"better": "better", "worse": "worse", "equivalent": "equivalent", "unresolved": "unresolved"}
    said = [f"{MARKS[verdict]} {word}" for verdict, word in words.items() if verdict in verdicts]
    return ", ".join([*said, *(["no mark: no verdict"] if "" in verdicts else [])])


def _largest(table: pd.DataFrame, column: str, kept: Sequence[int] = ()) -> pd.DataFrame:
    """Return the rows with the largest values, those that are kept among them, in their order."""
    order = table[column].abs().sort_values(ascending=False, kind="stable").index
    chosen = [*kept, *(k for k in order if k not in kept)][:_MOST_ROWS]
    return table[table.index.isin(chosen)]


def _left_out(shown: pd.DataFrame, every: pd.DataFrame, what: str) -> str:
    return f" The {len(shown)} largest of {len(every)} {what}." if len(shown) < len(every) else ""


def _interval_row(
    ax: Axes, place: int, row: dict[Any, Any], of_seeds: pd.Series[Any], style: VariantStyle, run: Run
) -> None:
    """Draw a row of differences, with its number and the mark of its verdict at the right."""
    scale = 100 if run.compare.in_points else 1
    _mark(ax, place, [scale * row[key] for key in ("low", "difference", "high")], scale * of_seeds, style)
    text = f"{points(row['difference'], run.compare)} {MARKS.get(str(row['verdict']), '')}"
    ax.annotate(
        text, (1, place), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        fontsize=7, annotation_clip=False,
    )  # fmt: skip


def _mark(ax: Axes, place: int, ends: list[float], of_seeds: pd.Series[Any], style: VariantStyle) -> None:
    """Draw a mean with its interval, and a dot per seed below it."""
    low, mean, high = ends
    ax.plot(of_seeds, [place + 0.28] * len(of_seeds), "o", color=style.colour, alpha=0.4, markersize=1.8)
    ax.plot([low, high], [place, place], color=style.colour, linewidth=1.3)
    ax.plot([mean], [place], style.marker, color=style.colour, markersize=4)


def _finish_rows(ax: Axes, names: list[str], run: Run) -> None:
    scale = 100 if run.compare.in_points else 1
    ax.axvspan(
        -scale * run.compare.margin, scale * run.compare.margin, color="#e8e8e8", linewidth=0, zorder=0
    )
    ax.axvline(0, color=FAINT, linewidth=0.8)
    _rows(ax, names)
    ax.set_xlabel("difference (percentage points)" if run.compare.in_points else "difference")


def _rows(ax: Axes, names: list[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)


def _gap_curves(ax: Axes, curves: pd.DataFrame, styles: dict[str, VariantStyle]) -> None:
    for name, curve in curves.groupby("variant", sort=False):
        _band(
            ax, curve.assign(**{key: 100 * curve[key] for key in ("mean", "low", "high")}), styles[str(name)]
        )
    ax.axhline(0, color=FAINT, linewidth=0.8)
    ax.set(xlabel="epoch", ylabel="gap (points)")
    _whole_epochs(ax)


def _band(ax: Axes, curve: pd.DataFrame, style: VariantStyle, dash: str = "") -> None:
    ax.plot(curve["epoch"], curve["mean"], dash or style.dash, color=style.colour, linewidth=1.1)
    ax.fill_between(curve["epoch"], curve["low"], curve["high"], color=style.colour, alpha=0.15, linewidth=0)


def _panel(ax: Axes, data: pd.DataFrame, style: VariantStyle) -> None:
    for metric, dash in zip(("train_accuracy", "val_accuracy"), MEASURED.values(), strict=True):
        _band(ax, data[data["metric"] == metric], style, dash)
    _whole_epochs(ax)


def _whole_epochs(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
