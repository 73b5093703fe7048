"""Figures with a panel per variant: few enough panels, one legend, and the same order of rows in all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_legible import run_of

from ablation import Run, Study
from ablation.figures import confusion_differences, gap_parts, learning_curves
from ablation.figures.column import column_drawings
from ablation.figures.gap_parts import training_mode
from ablation.figures.style import heat_map, look, percent_axis
from ablation.grid.study import Variant


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(tmp_path_factory.mktemp("eight"), [f"variant {k}" for k in range(1, 8)])


def test_of_many_variants_those_whose_confusions_differ_most_are_drawn(eight: Run) -> None:
    (drawing,) = confusion_differences.drawings(eight)
    panels = [ax for ax in drawing.figure.axes if ax.get_title()]
    assert len(panels) == 6
    width, height = drawing.figure.get_size_inches()
    assert width / 3 >= 3.5  # inches for ten classes
    assert height < 9
    drawn = {ax.get_title() for ax in panels}
    sizes = eight.confusion_differences.assign(size=lambda table: table["difference"].abs())
    ranked = sizes.groupby("variant")["size"].sum().nlargest(6).index
    assert not (eight.confusion_differences["q"] <= 0.05).any()
    assert drawn == set(ranked)
    left_out = [v.name for v in eight.study.variants[1:] if v.name not in drawn]
    assert drawing.caption.endswith(
        "Drawn are the 6 variants with the most such cells, or else the largest differences. Left out: "
        f"{', '.join(left_out)}; their numbers are in confusion_differences.csv."
    )


def test_rows_of_panels_are_as_far_apart_as_a_title_needs(eight: Run) -> None:
    (drawing,) = confusion_differences.drawings(eight)
    with look():
        drawing.figure.draw_without_rendering()
    boxes = [ax.get_position() for ax in drawing.figure.axes if ax.get_title()]
    upper, lower = boxes[0], boxes[3]
    inches = drawing.figure.get_size_inches()[1]
    assert 0.3 < (upper.y0 - lower.y1) * inches < 0.7


@pytest.mark.parametrize(("names", "rotation"), [(("8", "9"), 0), (("cat", "dog"), 90)])
def test_only_names_wider_than_a_column_are_turned(names: tuple[str, str], rotation: float) -> None:
    ax = Figure().subplots()
    confusion_differences.draw_differences(ax, np.zeros((2, 2)), np.zeros((2, 2), bool), names, 1.0)
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {rotation}


def test_shares_have_ticks_at_round_numbers() -> None:
    ax = Figure().subplots()
    ax.set_xlim(0.7, 0.92)
    percent_axis(ax.xaxis)
    labels = [ax.xaxis.get_major_formatter()(tick) for tick in ax.get_xticks() if 0.7 <= tick <= 0.92]
    assert labels == ["70%", "75%", "80%", "85%", "90%"]


def test_the_most_significant_cells_come_first() -> None:
    table = pd.DataFrame({
        "variant": [f"v{k}" for k in range(8)], "difference": [0.1 * k for k in range(8)], "q": [0.01] + 7 * [1.0],
    })  # fmt: skip
    assert confusion_differences.most_different(table) == ["v0", "v3", "v4", "v5", "v6", "v7"]


@pytest.mark.parametrize("panels", [1, 2, 6])
def test_the_first_class_is_on_top_of_every_panel(panels: int) -> None:
    axes = Figure().subplots(1, panels, sharey=True, squeeze=False)[0]
    names, texts = ("first", "second"), np.full((2, 2), "", object)
    for ax in axes:
        heat_map(ax, np.eye(2), texts, (0, 1), "Blues", (names, names))
    assert {ax.get_ylim() for ax in axes} == {(2.0, 0.0)}


def test_one_legend_says_what_the_lines_of_all_panels_are(eight: Run) -> None:
    for module, words in (
        (learning_curves, ["training", "validation"]),
        (gap_parts, ["logged gap", "true gap"]),
    ):
        (drawing,) = module.drawings(eight)
        legends = [*drawing.figure.legends, *(one for part in drawing.figure.subfigs for one in part.legends)]
        assert [[text.get_text() for text in legend.get_texts()] for legend in legends] == [words]
        in_panels = [ax.get_legend() for ax in drawing.figure.axes if ax.get_xlabel() == "epoch"]
        assert in_panels
        assert not any(in_panels)
    of_a_column = next(drawing for drawing in column_drawings(eight) if drawing.name == "learning_curves")
    (legend,) = of_a_column.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]


def with_model(study: Study, **model: object) -> Study:
    changed: list[Variant] = [
        variant.model_copy(update={"model": variant.model.model_copy(update=model)}) for variant in study.variants
    ]  # fmt: skip
    return study.model_copy(update={"variants": tuple(changed)})


def test_the_bias_of_the_log_is_named_after_what_the_models_have(eight: Run, tmp_path: Path) -> None:
    plain = eight.study
    assert training_mode(plain) == "these models compute the same"
    assert training_mode(with_model(plain, dropout=0.3)) == "Dropout is active"
    assert training_mode(with_model(plain, augmentation=("shift",))) == "images are augmented"
    assert training_mode(with_model(plain, batch_norm=True)) == "BatchNorm uses the statistics of its batch"
    assert training_mode(with_model(plain, dropout=0.3, augmentation=("flip",), batch_norm=True)) == (
        "Dropout is active, images are augmented and BatchNorm uses the statistics of its batch"
    )
    (tmp_path / "model.py").write_text("def build(image_shape, classes): ...", "utf-8")
    grid = tmp_path / "own.yaml"
    grid.write_text(
        "study: own\nmodel: {builder: model:build}\nvariants: {b: {learning_rate: 0.1}}\n", "utf-8"
    )
    assert training_mode(Study.from_yaml(grid)) == (
        "Dropout and noise are active, images are augmented and BatchNorm uses the statistics of its batch, "
        "in models that have them"
    )
    (drawing,) = gap_parts.drawings(eight)
    words = [
        text.get_text()
        for ax in drawing.figure.axes
        if ax.get_legend()
        for text in ax.get_legend().get_texts()
    ]
    assert sorted(words) == ["logged gap", "running-average lag", "training-mode bias", "true gap"]
