"""The graph of a model as boxes in rows and lines between them, computed apart from how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from ablation.models.ablated.account import Account
from ablation.models.layer_list import Layer

IMAGES = "the images"
REMOVED, ADDED, CHANGED, SAME = "removed", "added", "changed", ""
_SWEEPS = 12
_HALF = {False: 0.5, True: 0.14}  # half the width of a box, and of the bend of a line

Edge = tuple[str, str]


@dataclass(frozen=True)
class Box:
    """A layer in a drawing.

    Attributes:
        name: Its path.
        text: Its class and the shape of its output.
        state: ``removed``, ``added``, ``changed``, or nothing.
        note: What is changed.
        x: The horizontal place of its centre, in widths of a box.
        row: Its row, counted from the top.
    """

    name: str
    text: str
    state: str
    note: str
    x: float
    row: int


@dataclass(frozen=True)
class Graph:
    """A model in a drawing: its boxes, and its lines, each with its points (x, row) from top to bottom."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[tuple[float, int], ...], ...]


def graphs(account: Account) -> tuple[Graph, Graph]:
    """Return the graphs of a model before and after its edits, in which the same layer has the same row."""
    before, after = account.before.layers, account.after.layers
    states = {layer.name: REMOVED for layer in account.removed}
    states |= {layer.name: ADDED for layer in account.added}
    notes = {old.name: change_text(old, new) for old, new in account.changed}
    rows = rows_of([*edges_of(before), *edges_of(after)])
    marked_after = states | dict.fromkeys(notes, CHANGED)
    return _graph(before, rows, states, {}), _graph(after, rows, marked_after, notes)


def change_text(old: Layer, new: Layer) -> str:
    """Return what is different in a layer, such as ``rate 0.5 → 0.3``."""
    if old.kind != new.kind:
        return f"{old.kind} → {new.kind}"
    keys = dict.fromkeys((*old.settings, *new.settings))
    pairs = [(key, old.settings.get(key, "none"), new.settings.get(key, "none")) for key in keys]
    different = [f"{key} {_value(a)} → {_value(b)}" for key, a, b in pairs if a != b]
    if not different and old.parameters != new.parameters:
        different = [f"{old.parameters:,} → {new.parameters:,} parameters"]
    if not different:
        different = [f"{old.output} → {new.output}"]
    return ", ".join(different)


def edges_of(layers: Sequence[Layer]) -> list[Edge]:
    """Return which layer takes the output of which, by name; a nested model is the layers in it."""
    by_name = {layer.name: layer for layer in layers}
    nested = {name.rpartition("/")[0] for name in by_name} & by_name.keys()
    start = next((layer.name for layer in layers if layer.kind == "InputLayer"), IMAGES)
    taken = {(_parent(layer.name), source) for layer in layers for source in layer.inputs}

    def makers(source: str, taker: str) -> Iterable[str]:
        """Return the layers whose outputs a layer takes under one name."""
        if source == IMAGES:
            outer = by_name.get(_parent(taker))
            return [m for given in outer.inputs for m in makers(given, outer.name)] if outer else [start]
        if source in nested:
            inner = [name for name in by_name if _parent(name) == source and (source, name) not in taken]
            return [m for name in inner for m in makers(name, taker)]
        return [source] if source in by_name else []

    edges = [
        (maker, layer.name)
        for layer in layers if layer.name not in nested
        for source in layer.inputs
        for maker in makers(source, layer.name)
    ]  # fmt: skip
    return list(dict.fromkeys(edges))


def rows_of(edges: Iterable[Edge]) -> dict[str, int]:
    """Return the row of each layer: the length of the longest path that leads to it."""
    takes: dict[str, list[str]] = {}
    for maker, taker in edges:
        takes.setdefault(taker, []).append(maker)
        takes.setdefault(maker, [])
    rows: dict[str, int] = {}
    waiting = list(takes)
    while waiting:
        ready = [name for name in waiting if all(maker in rows for maker in takes[name])]
        for name in ready or waiting[:1]:  # a ring of layers cannot be drawn in order, but is drawn
            rows[name] = 1 + max((rows[maker] for maker in takes[name] if maker in rows), default=-1)
        waiting = [name for name in waiting if name not in rows]
    return rows


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _value(text: str) -> str:
    return "none" if text in ("null", "") else re.sub(r"\((\w+) ([^,()]+)\)", r"(\2)", text)


def _graph(
    layers: Sequence[Layer], rows: Mapping[str, int], states: Mapping[str, str], notes: Mapping[str, str]
) -> Graph:
    edges = [edge for edge in edges_of(layers) if rows[edge[0]] < rows[edge[1]]]
    named = {layer.name: layer for layer in layers}
    drawn = [name for name in rows if name in named or any(name == maker for maker, _ in edges)]
    chains = {(a, b): [a, *(f"{a}\n{b}\n{row}" for row in range(rows[a] + 1, rows[b])), b] for a, b in edges}
    bends = {
        name: rows[a] + k
        for (a, _), chain in chains.items() for k, name in enumerate(chain) if _is_bend(name)
    }  # fmt: skip
    places = {name: rows[name] for name in drawn} | bends
    x = _across(places, [pair for chain in chains.values() for pair in pairwise(chain)])
    boxes = [
        Box(name, _text(named.get(name)), states.get(name, SAME), notes.get(name, ""), x[name], rows[name])
        for name in drawn
    ]
    lines = [tuple((x[name], places[name]) for name in chain) for chain in chains.values()]
    return Graph(tuple(boxes), tuple(lines))


def _text(layer: Layer | None) -> str:
    return " · ".join(filter(None, (layer.kind, layer.output))) if layer else ""


def _across(places: Mapping[str, int], edges: Sequence[Edge]) -> dict[str, float]:
    """Return where boxes and the bends of lines are from left to right.

    The order of each row is found by turns, from the middle of the neighbours in the row above and below
    (Sugiyama et al., 1981). What leads to what straight on is then one column (Brandes and Köpf, 2002).
    """
    rows: dict[int, list[str]] = {}
    for name, row in sorted(places.items(), key=lambda item: _is_bend(item[0])):  # bends to the right
        rows.setdefault(row, []).append(name)
    above: dict[str, list[str]] = {name: [] for name in places}
    below: dict[str, list[str]] = {name: [] for name in places}
    for maker, taker in edges:
        above[taker].append(maker)
        below[maker].append(taker)
    for sweep in range(_SWEEPS):
        upwards = bool(sweep % 2)
        for row in sorted(rows, reverse=upwards):
            place = _shares(rows)
            near = below if upwards else above
            middle = {name: fmean(place[o] for o in near[name] or [name]) for name in rows[row]}
            rows[row].sort(key=middle.__getitem__)
    return _columns(rows, above, below)


def _is_bend(name: str) -> bool:
    return "\n" in name


def _shares(rows: Mapping[int, Sequence[str]]) -> dict[str, float]:
    """Return how far each is from the middle of its row."""
    return {name: k - (len(row) - 1) / 2 for row in rows.values() for k, name in enumerate(row)}


def _columns(
    rows: Mapping[int, Sequence[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]
) -> dict[str, float]:
    """Return places at which columns are straight, and no two in a row overlap.

    All columns are moved as far to the left as they can be, and as far to the right: the places are halfway.
    """
    place = _shares(rows)
    head: dict[str, str] = {}
    for row in sorted(rows):
        last = -1e9  # columns do not cross
        for name in rows[row]:
            maker = _straight(above[name], place)
            joins = maker is not None and _straight(below[maker], place) == name and place[maker] > last
            head[name] = head[maker] if joins and maker else name
            last = place[maker] if joins and maker else last
    gaps = [
        (head[a], head[b], _HALF[_is_bend(a)] + _HALF[_is_bend(b)])
        for row in rows.values() for a, b in pairwise(row)
    ]  # fmt: skip
    left = dict.fromkeys(head.values(), 0.0)
    for _ in left:
        for a, b, gap in gaps:
            left[b] = max(left[b], left[a] + gap)
    right = dict.fromkeys(left, max(left.values(), default=0.0))
    for _ in right:
        for a, b, gap in gaps:
            right[a] = min(right[a], right[b] - gap)
    return {name: round((left[column] + right[column]) / 2, 4) for name, column in head.items()}


def _straight(names: Sequence[str], place: Mapping[str, float]) -> str | None:
    """Return which neighbour is straight above or below: a box rather than a bend, that in the middle."""
    boxes = [name for name in names if not _is_bend(name)] or list(names)
    return sorted(boxes, key=place.__getitem__)[(len(boxes) - 1) // 2] if boxes else None
