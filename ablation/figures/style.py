"""What all figures share: colours, labels, the style, and how they are written to disk."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.figures.fonts import further_fonts, without_glyph_warnings
from ablation.figures.palette import VariantStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure


INK = "#222222"
FAINT = "#8a8a8a"
MOST_NAMED = 20  # classes whose names and numbers can be read
_BETWEEN_ROWS = 0.85  # inches: the label of an axis, and below it a title of two lines
_ROW_NAME = 36  # letters of a line of a row's name

_RC: dict[str, Any] = {
    "axes.edgecolor": "#cccccc",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.5,
    "figure.dpi": 100,
    "font.size": 9.5,
    "grid.color": "#ececec",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ablation",  # the same figure is the same file
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
}


@dataclass(frozen=True)
class Drawing:
    """A drawn figure with its texts.

    Attributes:
        name: The file name without its extension.
        title: A heading for the report.
        figure: The drawing.
        caption: What the figure shows, with n and the kind of interval; `write` adds of which images.
        alt: What a reader who cannot see the figure should know.
        alone: What a reader should know who does not see the report around it.
    """

    name: str
    title: str
    figure: Figure
    caption: str
    alt: str
    alone: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture on disk, ``<folder>/<name>.png`` and ``.svg``, of the figure named ``figure``.

    Attributes:
        name: The file name without its extension.
        title: A heading.
        caption: What it shows, with n and the kind of interval.
        alt: What a reader who cannot see it should know.
        folder: The folder of its files.
        figure: The figure that it belongs to.
        images: Of which images it is, and what else a page that shows many pictures says once.
    """

    name: str
    title: str
    caption: str
    alt: str
    folder: Path
    figure: str
    images: str

    @property
    def whole_caption(self) -> str:
        """The caption of the picture if it is shown alone."""
        return f"{self.caption} {self.images}"

    @property
    def png(self) -> Path:
        """The bitmap."""
        return self.folder / f"{self.name}.png"

    @property
    def svg(self) -> Path:
        """The vector drawing."""
        return self.folder / f"{self.name}.svg"

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows."""
        return self.png.read_bytes()


class DrawnPictures(list[Picture]):
    """The pictures of a run, and why others could not be drawn.

    Args:
        pictures: The pictures.
        missing: The reason why a figure could not be drawn, by its name.
    """

    def __init__(self, pictures: Iterable[Picture] = (), missing: Mapping[str, str] | None = None) -> None:
        super().__init__(pictures)
        self.missing = dict(missing or {})

    def joined(self, others: DrawnPictures) -> DrawnPictures:
        """Return these pictures and others."""
        return DrawnPictures([*self, *others], self.missing | others.missing)

    def moved(self, folder: Path) -> DrawnPictures:
        """Return the same pictures as files of another folder."""
        return DrawnPictures((replace(picture, folder=folder) for picture in self), self.missing)


@contextmanager
def look(texts: Iterable[str] | None = None) -> Iterator[None]:
    """Draw figures in the style of the reports.

    Args:
        texts: The names that they contain, which decide on the fonts; by default the fonts stay as they are.
    """
    import matplotlib as mpl
    import seaborn as sns

    settings: dict[Any, Any] = {**sns.axes_style("ticks"), **_RC}
    fonts = settings.pop("font.family")
    with mpl.rc_context(settings), without_glyph_warnings():
        if texts is not None:
            mpl.rcParams["font.family"] = [*fonts, *further_fonts(texts)]
        yield


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure.

    Args:
        width: In inches.
        height: In inches.
        layout: What places the panels.
    """
    from matplotlib.figure import Figure  # not before something is drawn: it takes long to import

    return Figure(figsize=(width, height), layout=layout)


def label(name: str, longest: int = 36) -> str:
    """Return a name as text that matplotlib draws literally, its middle left out if it is too long."""
    half = (longest - 1) // 2
    short = name if len(name) <= longest else f"{name[: longest - 1 - half]}…{name[-half:]}"
    return short.replace("$", r"\$").replace("\n", " ")


def panel_title(ax: Axes, name: str, width: int = 20) -> None:
    """Name a small panel, a long name in two lines."""
    ax.set_title(in_two_lines(name, width), fontsize=9)


def in_two_lines(name: str, width: int) -> str:
    """Return a name as `label` does, a long one in two lines of about ``width`` letters.

    It is broken between words, or between parts as in ``batch_norm_first``.
    """
    if " " not in name and width < len(name) <= 2 * width:
        for part in re.finditer("[_=/,-]", name[:width]):
            if len(name) - part.end() <= width:
                return f"{label(name[: part.end()])}\n{label(name[part.end() :])}"
    for longest in range(2 * width, width, -1):  # lines that end with a word may hold fewer letters
        lines = textwrap.wrap(label(name, longest), width)
        if len(lines) <= 2:
            break
    return "\n".join(lines[:2])


def spread(positions: Sequence[float], distance: float) -> list[float]:
    """Move positions apart until neighbours are at least ``distance`` away, keeping their order."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [float(positions[i]) for i in order]
    for _ in range(200):
        moved = False
        for i in range(len(placed) - 1):
            lack = distance - (placed[i + 1] - placed[i])
            if lack > distance * 1e-3:
                placed[i] -= lack / 2
                placed[i + 1] += lack / 2
                moved = True
        if not moved:
            break
    result = [0.0] * len(placed)
    for rank, i in enumerate(order):
        result[i] = placed[rank]
    return result


def mean_curve(
    ax: Axes,
    curve: pd.DataFrame,
    dashes: str,
    colour: str,
    name: str = "",
    width: float = 1.8,
    scale: float = 1.0,
) -> None:
    """Draw a mean over the epochs with its interval: a line in a band, or of one epoch a mark with a bar.

    Args:
        ax: The panel to draw in.
        curve: ``epoch``, ``mean``, ``low`` and ``high``, one row per epoch; the latter two may be NaN.
        dashes: The style of the line; the mark of a solid line is filled, any other one is hollow.
        colour: The colour.
        name: What the legend calls it, if it has one.
        width: The width of the line.
        scale: What the values are multiplied by: 100 shows shares as percentage points.
    """
    epochs, (means, low, high) = curve["epoch"], (scale * curve[c] for c in ("mean", "low", "high"))
    if len(curve) > 1:
        ax.plot(epochs, means, linestyle=dashes, color=colour, linewidth=width, label=name)
        ax.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
        return
    face = colour if dashes == "-" else "white"
    ax.plot(epochs, means, "o", color=colour, markerfacecolor=face, markersize=6, label=name, zorder=3)
    ax.vlines(epochs, low, high, color=colour, linewidth=1.4)
    epoch = float(epochs.iloc[0])
    ax.set_xlim(epoch - 0.3, epoch + 0.9)  # with room for names on the right


def percent_axis(axis: Any) -> None:
    """Show shares as percent, at round numbers that matplotlib chooses, with the decimals they need."""
    axis.get_major_locator().set_params(steps=[1, 2, 5, 10])  # no 2.5: 70%, 72.5%, 75%
    axis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}%")


def seeds_phrase(counts: pd.Series[int], unit: str = "seed") -> str:
    """Return ``n = 5 seeds``, or the range if the variants' counts differ."""
    fewest, most = int(counts.min()), int(counts.max())
    return f"n = {most if fewest == most else f'{fewest} to {most}'} {unit}{'s' if most > 1 else ''}"


def variant_rows(ax: Axes, variants: Sequence[str]) -> None:
    """Label one row per variant, with the first on top; long names have two lines."""
    ax.set_yticks(range(len(variants)), [in_two_lines(name, _ROW_NAME) for name in variants])
    ax.set_ylim(len(variants) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def interval_row(
    ax: Axes, row: int, values: pd.Series, interval: pd.Series, style: VariantStyle, text: str
) -> None:
    """Draw a row of a chart: a mean with its interval and its value as text, and below it one dot per seed.

    Args:
        ax: The panel to draw in.
        row: The row's position on the y axis.
        values: One value per seed.
        interval: ``mean``, ``low`` and ``high``; the latter two may be NaN.
        style: The variant's colour and marker.
        text: What to write above the mean.
    """
    ax.plot(values, [row + 0.22] * len(values), "o", color=style.colour, alpha=0.4, markersize=3.5)
    ax.plot([interval["low"], interval["high"]], [row, row], color=style.colour, linewidth=2.2)
    ax.plot(interval["mean"], row, style.marker, color=style.colour, markersize=8)
    ax.annotate(text, (interval["mean"], row), (0, 7), textcoords="offset points", ha="center", fontsize=8.5)


def beside(ax: Axes, row: float, text: str, color: str = INK, bold: bool = False) -> None:
    """Write to the right of a row of a chart."""
    ax.annotate(
        text, (1, row), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
        fontsize=8.5, color=color, fontweight="bold" if bold else "normal", annotation_clip=False,
    )  # fmt: skip


def percent_cell(share: float) -> str:
    """Return a share in percent for a cell of a heat map, or a dash if it is not a number."""
    return "–" if np.isnan(share) else f"{100 * share:.0f}"


def heat_map(
    ax: Axes,
    values: NDArray[np.float64],
    texts: NDArray[np.object_],
    limits: tuple[float, float],
    colours: str,
    names: tuple[Sequence[str], Sequence[str]],
    fontsize: float = 8,
) -> QuadMesh:
    """Draw a matrix as coloured cells with texts; seaborn's heat map takes seconds to measure every label.

    Args:
        ax: The panel to draw in.
        values: The numbers that the colours show, (rows, columns).
        texts: The texts in the cells, empty strings for none, (rows, columns).
        limits: The values of the first and of the last colour.
        colours: The name of a colour map.
        names: The names of the rows and of the columns; if there are too many to read, none are shown.
        fontsize: The size of the texts.
    """
    few = len(names[1]) <= MOST_NAMED
    mesh = ax.pcolormesh(
        values, vmin=limits[0], vmax=limits[1], cmap=colours, edgecolors="white", linewidth=0.5 * few
    )
    ax.set_ylim(len(values), 0)  # panels can share the axis, so that turning it round once more would undo it
    square = len(names[0]) == len(names[1])  # classes both ways
    for axis, labels in (
        (ax.yaxis, names[0] if few or not square else ()),
        (ax.xaxis, names[1] if few else ()),
    ):
        axis.set_ticks(np.arange(len(labels)) + 0.5, labels)
    for (row, column), text in np.ndenumerate(texts):
        if text and few:
            red, green, blue, _ = mesh.cmap(mesh.norm(values[row, column]))
            dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.4
            cell_text = ax.text(
                column + 0.5, row + 0.5, str(text), ha="center", va="center", fontsize=fontsize,
                color="white" if dark else INK,
            )  # fmt: skip
            cell_text.set_in_layout(False)  # the layout engine would measure each of them many times
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return mesh


def regular(rows: int, columns: int, width: float, height: float) -> Figure:
    """Return a figure for a regular grid of panels of the given size in inches, with room for labels.

    It needs no layout engine, which would measure each of a hundred panels many times.
    """
    figure = new_figure(width * columns, height * rows, layout=None)
    figure.subplots_adjust(
        left=1 / (width * columns), right=1, bottom=0.6 / (height * rows), top=1 - 0.4 / (height * rows),
        wspace=0.14, hspace=_BETWEEN_ROWS / (height - _BETWEEN_ROWS),
    )  # fmt: skip
    return figure


def small_multiples(
    count: int, width: float, height: float, share_x: bool = True, columns: int = 6
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its ``count`` panels of the given size in inches, at most ``columns`` per row."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = regular(rows, columns, width, height)
    grid = figure.subplots(rows, columns, sharex=share_x, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for unused in panels[count:]:
        unused.set_visible(False)
    for k in range(count):  # the lowest panel of each column names the axis
        if k + columns >= count:
            panels[k].tick_params(labelbottom=True)
    return figure, panels[:count]
