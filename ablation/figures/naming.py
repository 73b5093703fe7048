"""Names beside the points of a panel, placed where they touch neither each other nor any point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablation.figures.style import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTERS = 24
_SIZE = 8  # of the letters, in points
_MARK = 4  # half the size of a mark, in points
_AWAY = 8  # points between the middle of a mark and the name beside it
_LINES = 8  # by how many lines a name may be above or below its mark

Box = NDArray[np.float64]
"""Left, bottom, right and top, in points."""


@dataclass(frozen=True)
class NamedPoint:
    """A point with its name: its place in the data's coordinates, and its colour."""

    name: str
    x: float
    y: float
    colour: str


class _Place(NamedTuple):
    """A place for a name: its offset from its point in points, its alignment, and what it covers."""

    offset: tuple[float, float]
    side: Literal["left", "center", "right"]
    box: Box


def name_points(ax: Axes, named: Sequence[NamedPoint], bars: Sequence[tuple[float, float, float]]) -> None:
    """Write names beside points; one that is moved away from its point has a thin line to it.

    A name for which there is no room is left out. The panel must have its final place and contents.

    Args:
        ax: The panel.
        named: The points with names, the most important first.
        bars: Where names may not be: the x, the low and the high end of the bar of each point of the panel.
    """
    ax.autoscale_view()
    taken = [
        np.add([*_at(ax, x, low), *_at(ax, x, high)], [-_MARK, -_MARK, _MARK, _MARK]) for x, low, high in bars
    ]
    panel = np.array(ax.get_window_extent().extents) / _scale(ax)
    for point in named:
        name = label(point.name, _LETTERS)
        width, height = _size(ax, name)
        for place in _places(_at(ax, point.x, point.y), width, height):
            if _is_inside(place.box, panel) and not any(_touch(place.box, other) for other in taken):
                is_moved = abs(place.offset[1]) >= height
                line = {
                    "arrowstyle": "-",
                    "color": point.colour,
                    "linewidth": 0.5,
                    "shrinkA": 0,
                    "shrinkB": 4,
                }
                ax.annotate(
                    name, (point.x, point.y), place.offset, textcoords="offset points", ha=place.side,
                    va="center", fontsize=_SIZE, color=point.colour, arrowprops=line if is_moved else None,
                )  # fmt: skip
                taken.append(place.box)
                break


def _places(at: Box, width: float, height: float) -> Iterator[_Place]:
    """Yield places of a name, the nearest first."""
    for line in range(_LINES):
        for y in dict.fromkeys((line * height, -line * height)):
            bottom = at[1] + y - height / 2
            for x, side, left in _SIDES:
                start = at[0] + x + left * width
                yield _Place((x, y), side, np.array([start, bottom, start + width, bottom + height]))


_SIDES: tuple[tuple[float, Literal["left", "center", "right"], float], ...] = (
    (-_AWAY, "right", -1),  # the first one, because the Pareto front goes on to the right
    (_AWAY, "left", 0),
    (0, "center", -0.5),
)


def _scale(ax: Axes) -> float:
    """Return how many pixels a point has."""
    figure = ax.get_figure(root=True)
    assert figure
    return figure.dpi / 72


def _at(ax: Axes, x: float, y: float) -> Any:
    """Return the place of a point of the data, in points."""
    return ax.transData.transform((x, y)) / _scale(ax)


def _size(ax: Axes, name: str) -> tuple[float, float]:
    """Return the width and the height of a name, in points."""
    text = ax.text(0, 0, name, fontsize=_SIZE)
    extent = text.get_window_extent()
    text.remove()
    return extent.width / _scale(ax), extent.height / _scale(ax)


def _touch(one: Box, other: Box) -> bool:
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())


def _is_inside(box: Box, panel: Box) -> bool:
    return bool((box[:2] >= panel[:2]).all() and (box[2:] <= panel[2:]).all())
