"""The one legend of a figure with a panel per variant: what each kind of line stands for in all panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ablation.figures.style import INK

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

Dash = Literal["-", "--", ":"]
MEASURED: dict[str, Dash] = {"training": "--", "validation": "-"}
"""The lines of curves that are measured on these images."""


def line_legend(figure: FigureBase, dashes: dict[str, Dash], **place: Any) -> None:
    """Explain the lines of all panels of a figure, in a colour that is no variant's.

    Args:
        figure: The figure, or the part of one that has the panels.
        dashes: The kind of line of each meaning.
        place: Where it is, and how large its letters are, as matplotlib's ``legend`` takes it.
    """
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=INK, linestyle=dash, linewidth=1.6) for dash in dashes.values()]
    place = {"fontsize": 8.5, "borderaxespad": 0} | place
    figure.legend(lines, list(dashes), ncols=len(dashes), handlelength=2.4, **place)
