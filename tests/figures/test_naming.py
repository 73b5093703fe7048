"""Names beside points touch neither each other nor a point, however many points there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from test_legible import touching

from ablation.figures.cost import draw_cost
from ablation.figures.palette import variant_styles


def costs(variants: int, least: float, most: float) -> pd.DataFrame:
    """Return variants whose costs and accuracies are crowded: all on the front, in two groups."""
    cost = np.where(np.arange(variants) % 2, most, least) * (1 + 0.01 * np.arange(variants))
    accuracy = 0.8 + 0.002 * np.arange(variants)
    names = [f"+Dropout 0.{k} width=2" for k in range(variants)]
    return pd.DataFrame({
        "variant": names, "cost": cost, "accuracy": accuracy, "front": True,
        "low": accuracy - 0.01, "high": accuracy + 0.01,
    })  # fmt: skip


def drawn(data: pd.DataFrame) -> Axes:
    figure = Figure(figsize=(5.4, 3.7), layout=None)
    ax = figure.subplots()
    draw_cost(ax, data, variant_styles(list(data["variant"]), str(data["variant"].iloc[0])))
    return ax


@pytest.mark.parametrize("variants", [1, 2, 3, 8, 30])
@pytest.mark.parametrize("most", [1_500, 20_000, 9_000_000])
def test_names_and_ticks_of_any_number_of_variants_do_not_touch(variants: int, most: float) -> None:
    ax = drawn(costs(variants, 1000, most))
    assert touching(ax.figure, 0) == []
    named = [text for text in ax.texts if isinstance(text, Annotation)]
    if variants <= 8:  # of more, those for which there is room
        assert len(named) == variants
    assert {"+Dropout 0.0 width=2", f"+Dropout 0.{variants - 1} width=2"} & {
        text.get_text() for text in named
    }
    bars = [segment for lines in ax.collections for segment in lines.get_segments()]
    for text in named:
        box = Text.get_window_extent(text)
        for bar in bars:
            (x, low), (_, high) = ax.transData.transform(bar)
            assert not (box.x0 < x < box.x1 and box.y0 < high and low < box.y1), text.get_text()


@pytest.mark.parametrize(
    ("most", "shown"),
    [(5_000, ["0", "2k", "4k", "6k"]), (20_000, ["1k", "2k", "5k", "10k", "20k"]), (9_000_000, ["1k", "10k", "100k", "1M"])],
)  # fmt: skip
def test_the_ticks_of_a_cost_are_round_numbers(most: float, shown: list[str]) -> None:
    ax = drawn(costs(2, 1000, most))
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    ticks = [tick.get_text() for tick in ax.get_xticklabels() if low <= tick.get_position()[0] <= high]
    assert set(shown) <= set(ticks)
    assert len(ticks) < 9
    assert not [label for label in ax.get_xminorticklabels() if label.get_text()]
