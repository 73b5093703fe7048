"""The graph of a model beside those of its variants: what is removed, added and changed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ablation.figures.model_graph import ADDED, CHANGED, REMOVED, Box, Graph, graphs
from ablation.figures.palette import hue
from ablation.figures.style import FAINT, INK, Drawing, label, new_figure
from ablation.grid.trial import slug
from ablation.grid.value_text import counted
from ablation.models.ablated.account import Account, Size
from ablation.results.run import Run
from ablation.store.model_layers import kept_accounts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LAYERS = 60  # of a model that is drawn; the report has a table of those of a larger one
_MOST_PICTURES = 6
_UNIT, _ROW = 1.9, 0.56  # inches of the width of a box with its margins, and of a row
_WIDTH, _HEIGHT, _HIGHER = 0.9, 0.62, 0.84  # of a box, in units and rows; of one with a line more
_SMALLEST = 0.8  # of the usual size of letters, for a long text
_HUES = {REMOVED: 1, ADDED: 0, CHANGED: 6}


def drawn_accounts(run: Run) -> dict[str, Account]:
    """Return what edits do to the model of each variant of a run, by variant, if they do anything."""
    accounts = kept_accounts(run.store)
    named = [variant.name for variant in run.study.variants]
    return {n: accounts[n] for n in named if n in accounts and accounts[n].before != accounts[n].after}


def drawings(run: Run) -> list[Drawing]:
    """Draw both graphs of each variant; nothing for models of many layers, or of which no part is removed."""
    small = {
        name: account
        for name, account in drawn_accounts(run).items()
        if max(len(account.before.layers), len(account.after.layers)) <= MOST_LAYERS
    }
    pictures = []
    for number, (name, account) in enumerate(list(small.items())[:_MOST_PICTURES], 1):
        caption = (
            f"{name}: the layers of the model as it is (left) and of the variant (right), each with its "
            "class and the shape of its output for one image. A layer is below all layers that it depends "
            "on; lines lead from the top to the bottom. Hatched and with a broken outline: removed. With a "
            "thick outline: added, or changed. These are facts about the models, the same for every seed."
        )
        pictures.append(
            Drawing(
                f"models_{number:02d}_{slug(name)}",
                f"The model, and {name}",
                draw_graphs(account, name),
                caption,
                f"The model as it is beside {name}: {account.in_words}.",
            )
        )
    return pictures


def draw_graphs(account: Account, name: str) -> Figure:
    """Draw a model before and after its edits, side by side.

    Args:
        account: The model before and after.
        name: The name of the variant.
    """
    both = graphs(account)
    rows = 1 + max(box.row for graph in both for box in graph.boxes)
    widths = [_extent(graph)[1] - _extent(graph)[0] for graph in both]
    figure = new_figure(_UNIT * (sum(widths) + 0.4), _ROW * rows + 0.6, layout=None)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1 - 0.6 / (_ROW * rows + 0.6), wspace=0.08)
    axes = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    for ax, graph, size, title in zip(
        axes, both, (account.before, account.after), ("The model as it is", name), strict=True
    ):
        _draw_graph(ax, graph)
        ax.set(xlim=_extent(graph), ylim=(rows - 0.45, -0.55))
        ax.set_axis_off()
        ax.text(
            0.5, 1, f"{label(title, 40)}\n", ha="center", va="bottom", weight="bold", fontsize=10.5,
            transform=ax.transAxes,
        )  # fmt: skip
        ax.text(
            0.5, 1, _size_text(size), ha="center", va="bottom", fontsize=8, color="#555555",
            transform=ax.transAxes,
        )  # fmt: skip
    return figure


def _size_text(size: Size) -> str:
    return f"{counted(size.parameters, 'parameter')}, {size.multiply_adds:,} multiply-adds per image"


def _extent(graph: Graph) -> tuple[float, float]:
    """Return the left and the right end of a panel; panels have room for their titles."""
    xs = [x for line in graph.lines for x, _ in line]
    low = min([box.x - 0.5 for box in graph.boxes] + [x - 0.12 for x in xs])
    high = max([box.x + 0.5 for box in graph.boxes] + [x + 0.12 for x in xs])
    lack = max(0.0, 1.9 - (high - low)) / 2
    return low - lack, high + lack


def _draw_graph(ax: Axes, graph: Graph) -> None:
    for line in graph.lines:
        xs, ys = _rounded(line)
        ax.plot(xs, ys, color=FAINT, linewidth=1.3, solid_capstyle="round", zorder=1)
    for box in graph.boxes:
        _draw_box(ax, box)


def _rounded(line: tuple[tuple[float, int], ...]) -> tuple[list[float], list[float]]:
    """Return the points of a line that leaves and enters each row vertically."""
    xs, ys = [line[0][0]], [float(line[0][1])]
    for (x0, y0), (x1, y1) in pairwise(line):
        steps = [k / 12 for k in range(1, 13)] if x0 != x1 else [1.0]
        for step in steps:
            xs.append(x0 + (x1 - x0) * step * step * (3 - 2 * step))
            ys.append(y0 + (y1 - y0) * step)
    return xs, ys


def _draw_box(ax: Axes, box: Box) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    colour = to_rgb(hue(_HUES[box.state]) if box.state else "#b5b5b5")
    height = _HIGHER if box.state else _HEIGHT
    look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.05", "mutation_aspect": _UNIT / _ROW}
    corner = box.x - _WIDTH / 2, box.row - height / 2
    hatch = "////" if box.state == REMOVED else None
    pale = [1 - 0.45 * (1 - part) for part in colour]
    outline: dict[str, Any] = {"linewidth": 2.2 if box.state in (ADDED, CHANGED) else 1, "edgecolor": colour,
               "linestyle": "--" if hatch else "-"}  # fmt: skip
    ax.add_patch(
        FancyBboxPatch(
            corner, _WIDTH, height, facecolor="white", edgecolor=pale, linewidth=0, hatch=hatch, **look
        )
    ).set_zorder(2)
    ax.add_patch(FancyBboxPatch(corner, _WIDTH, height, facecolor="none", **outline, **look)).set_zorder(3)
    texts: list[tuple[str, float, int, Any, str]] = [
        (box.name, 7.6, 25, INK, "bold"),
        (box.text, 6.6, 31, "#555555", "normal"),
    ]
    if box.state:
        texts.append((f"{box.state}: {box.note}" if box.note else box.state, 6.6, 27, colour, "bold"))
    texts = [text for text in texts if text[0]]
    for k, (text, size, fitting, ink, weight) in enumerate(texts):
        ax.text(
            box.x, box.row + (k - (len(texts) - 1) / 2) * 0.25, label(text, round(fitting / _SMALLEST)),
            fontsize=size * min(1, max(_SMALLEST, fitting / len(text))), ha="center", va="center", color=ink,
            weight=weight, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6} if hatch else None,
        )  # fmt: skip
