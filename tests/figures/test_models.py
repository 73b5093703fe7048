"""The graphs of a model and of its variants: what leads to what, in which row, and where boxes are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation.figures.model_graph import (
    ADDED,
    CHANGED,
    IMAGES,
    REMOVED,
    Graph,
    change_text,
    edges_of,
    graphs,
    rows_of,
)
from ablation.figures.models import draw_graphs
from ablation.figures.style import look
from ablation.models.ablated.account import Account, Size
from ablation.models.layer_list import Layer
from ablation.report.model_section import layers_table


def layer(name: str, *inputs: str, kind: str = "Dense", parameters: int = 4, **settings: str) -> Layer:
    return Layer(name, kind, "4", parameters, settings, inputs)


def account(before: list[Layer], after: list[Layer]) -> Account:
    return Account(Size(tuple(before), 10, 20), Size(tuple(after), 8, 15))


RESIDUAL = [layer("stem", IMAGES), layer("conv", "stem"), layer("norm", "conv"), layer("add", "stem", "norm"),
            layer("out", "add")]  # fmt: skip


def places(graph: Graph) -> dict[str, tuple[float, int]]:
    return {box.name: (box.x, box.row) for box in graph.boxes}


def test_a_layer_is_below_all_that_it_depends_on() -> None:
    rows = rows_of(edges_of(RESIDUAL))
    assert rows == {IMAGES: 0, "stem": 1, "conv": 2, "norm": 3, "add": 4, "out": 5}


def test_a_nested_model_is_the_layers_in_it() -> None:
    found = edges_of(
        [
            layer("input", kind="InputLayer"), layer("backbone", IMAGES, kind="Functional"),
            layer("backbone/a", IMAGES), layer("backbone/b", "backbone/a"), layer("out", "backbone"),
        ]
    )  # fmt: skip
    assert found == [("input", "backbone/a"), ("backbone/a", "backbone/b"), ("backbone/b", "out")]


def test_the_main_way_is_straight_and_the_shortcut_passes_beside_it() -> None:
    before, _ = graphs(account(RESIDUAL, RESIDUAL))
    assert len({x for x, _ in places(before).values()}) == 1
    (shortcut,) = [line for line in before.lines if len(line) > 2]
    assert [row for _, row in shortcut] == [1, 2, 3, 4]
    assert all(x > places(before)["conv"][0] + 0.5 for x, _ in shortcut[1:-1])


def test_each_layer_is_marked_and_has_the_same_row_on_both_sides() -> None:
    after = [layer("stem", IMAGES, units="8"), layer("match", "stem"), layer("add", "match"),
             layer("out", "add")]  # fmt: skip
    left, right = graphs(account([layer("stem", IMAGES, units="4"), *RESIDUAL[1:]], after))
    assert {box.name: box.state for box in left.boxes if box.state} == {"conv": REMOVED, "norm": REMOVED}
    assert {box.name: box.state for box in right.boxes if box.state} == {"stem": CHANGED, "match": ADDED}
    assert [box.note for box in right.boxes if box.name == "stem"] == ["units 4 → 8"]
    rows = {name: row for name, (_, row) in places(left).items()}
    assert all(rows.get(name, row) == row for name, (_, row) in places(right).items())


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (layer("a", rate="0.5"), layer("a", rate="0.3"), "rate 0.5 → 0.3"),
        (layer("a", penalty="L2(l2 0.01)"), layer("a", penalty="null"), "penalty L2(0.01) → none"),
        (layer("a", kind="ReLU"), layer("a", kind="Activation"), "ReLU → Activation"),
        (layer("a", parameters=1000), layer("a", parameters=20), "1,000 → 20 parameters"),
        (layer("a"), Layer("a", "Dense", "8", 4, {}), "4 → 8"),
    ],
)
def test_a_change_is_said_in_words(old: Layer, new: Layer, text: str) -> None:
    assert change_text(old, new) == text


@given(st.lists(st.sets(st.integers(0, 11), max_size=3), min_size=2, max_size=12))
def test_no_boxes_overlap_and_every_line_leads_down(inputs: list[set[int]]) -> None:
    layers = [
        layer(f"l{k}", *([f"l{i}" for i in sorted(earlier) if i < k] or [IMAGES]))
        for k, earlier in enumerate(inputs)
    ]
    drawn, _ = graphs(account(layers, layers))
    assert {box.name for box in drawn.boxes} == {IMAGES, *(one.name for one in layers)}
    rows: dict[int, list[float]] = {}
    for box in drawn.boxes:
        rows.setdefault(box.row, []).append(box.x)
    for xs in rows.values():
        assert all(b - a >= 0.999 for a, b in pairwise(sorted(xs)))
    for line in drawn.lines:
        assert all(below == above + 1 for (_, above), (_, below) in pairwise(line))


def test_what_is_drawn_says_each_state_in_words() -> None:
    with look():
        figure = draw_graphs(account(RESIDUAL, [RESIDUAL[0], layer("out", "stem", units="8")]), "-conv")
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts.count("removed") == 3
    assert "changed: units none → 8" in texts
    assert "10 parameters, 20 multiply-adds per image" in texts


def test_a_long_stretch_without_a_difference_is_one_row_of_the_table() -> None:
    chain = [layer("l0", IMAGES), *(layer(f"l{k}", f"l{k - 1}") for k in range(1, 9))]
    rows = layers_table("-l8", account(chain, chain[:-1])).rows
    assert [(row[0].text, row[-1].text) for row in rows] == [
        ("l0", "the same"), ("6 layers, l1 to l6", "the same"), ("l7", "the same"), ("l8", "removed"),
    ]  # fmt: skip
    assert rows[1][4].text == "24"
