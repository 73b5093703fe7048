"""A study looked at before it is run, and the files of a new one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY_GRID
from processes import in_this_process

from ablation import Study
from ablation.errors import RunError
from ablation.grid.seeding import Randomness
from ablation.grid.settings import CnnSettings
from ablation.models.build import build_model
from ablation.models.cost import counted_multiply_adds, multiply_adds
from ablation.workflow.check import Difference, check_study
from ablation.workflow.scaffold import write_scaffold

MODELS = """
    import keras
    from keras import layers

    def idle(image_shape, classes, dropout=0.0, unused=0, rate=0.1):
        return keras.Sequential([keras.Input(image_shape), layers.Dropout(rate, name="drop"), layers.Flatten(name="flat"),
                                 layers.Dense(classes, "softmax", name="out")])

    def backbone(image_shape, classes, trainable=False, training=False, filters=2, swapped=False):
        i = keras.Input(image_shape)
        x = layers.BatchNormalization(name="norm")(layers.Conv2D(filters, 3, name="conv")(i))
        inner = keras.Model(i, layers.GlobalAveragePooling2D(name="pool")(x), name="backbone")
        inner.trainable = trainable
        i = keras.Input(image_shape)
        ends = [layers.Dense(4, "relu", name="a"), layers.Dense(4, "relu", name="b")]
        x = inner(i) if training else inner(i, training=False)
        x = layers.Dense(4, name="first")(x)
        for layer in ends[::-1] if swapped else ends:
            x = layer(x)
        return keras.Model(i, layers.Dense(classes, "softmax", name="out")(x))

    def stack(image_shape, classes, deeper=False, named=False):
        names = ["one", "two", "out"] if named else [None] * 3
        more = [layers.Dense(4, name=names[0])] if deeper else []
        last = [layers.Dense(5, name=names[1]), layers.Dense(classes, "softmax", name=names[2])]
        return keras.Sequential([keras.Input(image_shape), layers.Flatten(), *more, *last])

    def broken(image_shape, classes, filters=3):
        return keras.Sequential([keras.Input(image_shape), layers.Conv2D(filters, 30), layers.Flatten()])
"""


def test_what_a_variant_adds_changes_and_leaves_out_is_named(tiny_study: Study) -> None:
    check = check_study(tiny_study)
    plain, dropout, *_ = check.variants
    assert (plain.name, plain.parameters, len(plain.layers)) == ("plain", 552, 7)
    assert check.differences(plain) == []
    assert check.differences(dropout)[0] == Difference("block1_conv1_dropout", "–", "Dropout, 4 × 4 × 4")
    assert check.trials == 8
    assert check.description.endswith(" test images; 8 × 8 pixels, 1 channel")


def test_a_setting_that_changes_is_shown_where_the_shape_changes_too(
    write_grid: Callable[[str], Path],
) -> None:
    text = TINY_GRID.replace("model: {", "model: {dropout: 0.1, ").replace(
        "dropout: [0, 0.3]", "width: [1, 2]"
    )
    check = check_study(Study.from_yaml(write_grid(text + "    variants: {both: {width: 2, dropout: 0.3}}")))
    assert Difference(
        "block1_conv1_dropout", "Dropout, 4 × 4 × 4, rate 0.1", "Dropout, 4 × 4 × 8, rate 0.3"
    ) in check.differences(check.variants[-1])


def test_a_variant_that_changes_nothing_is_told_and_a_setting_that_changes_is_shown(tmp_path: Path) -> None:
    (tmp_path / "idle_models.py").write_text(textwrap.dedent(MODELS))
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "{study: s, model: {builder: idle_models:idle}, variants: {nothing: {unused: 1}, more: {rate: 0.4}}}"
    )
    check = check_study(Study.from_yaml(grid))
    assert check.notes[0] == (
        "nothing changes nothing: its model is identical to that of plain, layer for layer, and so is its training."
    )
    assert check.differences(check.variants[2]) == [
        Difference("drop", "Dropout: rate 0.1", "Dropout: rate 0.4")
    ]


def test_a_model_that_cannot_be_built_is_told_with_its_variant(tmp_path: Path) -> None:
    (tmp_path / "idle_models2.py").write_text(textwrap.dedent(MODELS))
    grid = tmp_path / "grid.yaml"
    grid.write_text("{study: s, model: {builder: idle_models2:broken}, variants: {wide: {filters: 9}}}")
    done = in_this_process("check", grid)
    assert done.returncode == 1
    assert "wide cannot be built: ValueError: " in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("width", [1, 2])
def test_multiply_adds_are_those_of_the_formula(width: int) -> None:
    settings = CnnSettings(blocks=((4, 6), (8,)), dense=(16,), width=width, batch_norm=True)
    model = build_model(settings, (12, 12, 3), 5, Randomness(0))
    assert counted_multiply_adds(model) == multiply_adds(settings, (12, 12, 3), 5)


def test_multiply_adds_of_separable_convolutions_are_those_by_hand() -> None:
    import keras

    stack = [keras.layers.SeparableConv2D(8, 3, padding="same"), keras.layers.DepthwiseConv2D(3, strides=2)]
    model = keras.Sequential([keras.Input((12, 12, 3)), *stack])
    assert counted_multiply_adds(model) == 144 * (9 * 3 + 3 * 8) + 25 * 9 * 8


@pytest.mark.parametrize("builder", [False, True])
def test_what_init_writes_is_a_study(builder: bool, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    files = write_scaffold(folder, builder)
    assert [file.name for file in files] == [
        "grid.yaml", *(["my_models.py"] if builder else []), "grid.schema.json"
    ]  # fmt: skip
    check = check_study(Study.from_yaml(folder / "grid.yaml"))
    assert [v.name for v in check.variants] == ["plain", "+Dropout", "+BatchNorm", "+both", "wider"]
    assert not any(v.error for v in check.variants)
    assert check.variants[-1].parameters > check.variants[0].parameters
    with pytest.raises(RunError) as caught:
        write_scaffold(folder, builder)
    assert (
        str(caught.value)
        == f"{folder / 'grid.yaml'} already exists; choose another folder, or move the file away."
    )


def test_the_commands_write_and_check(write_grid: Callable[[str], Path], tmp_path: Path) -> None:
    done = in_this_process("init", tmp_path / "new", "--builder")
    assert (done.returncode, done.stdout) == (
        0,
        "".join(f"{tmp_path / 'new' / name}\n" for name in ("grid.yaml", "my_models.py", "grid.schema.json")),
    )
    done = in_this_process("check", tmp_path / "new" / "grid.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "batch_norm2  –      BatchNormalization, 2 × 2 × 32, 128 parameters" in done.stdout
    done = in_this_process("check", write_grid(TINY_GRID.replace("dropout:", "dropuot:")))
    assert done.returncode == 2
    assert "Did you mean 'dropout'?" in done.stderr


def test_an_augmentation_is_told_by_its_layer(write_grid: Callable[[str], Path]) -> None:
    grid = write_grid(
        """
        study: s
        factors:
          augmentation:
            little: [{RandomZoom: {height_factor: 0.1}}]
            much: [{RandomZoom: {height_factor: 0.4}}]
        """
    )
    check = check_study(Study.from_yaml(grid))
    assert check.differences(check.variants[1]) == [
        Difference(
            "augment_random_zoom",
            "RandomZoom: height_factor 0.1",
            "RandomZoom: height_factor 0.4",
        )
    ]


def test_a_nested_model_is_shown_layer_by_layer(tmp_path: Path) -> None:
    (tmp_path / "nested_models.py").write_text(textwrap.dedent(MODELS))
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "{study: s, model: {builder: nested_models:backbone}, variants: {tuned: {trainable: true}, "
        "training: {training: true}, wider: {filters: 3}, swapped: {swapped: true}}}"
    )
    check = check_study(Study.from_yaml(grid))
    tuned, training, wider, swapped = (check.differences(variant) for variant in check.variants[1:])
    assert not any("changes nothing" in note for note in check.notes)
    assert tuned == [
        Difference("backbone", "Functional: trainable false", "Functional: trainable true"),
        Difference("backbone/conv", "Conv2D: trainable false", "Conv2D: trainable true"),
        Difference(
            "backbone/norm", "BatchNormalization: trainable false", "BatchNormalization: trainable true"
        ),
    ]
    assert training == [Difference("backbone", "Functional: training false", "Functional: training not set")]
    assert (
        Difference(
            "backbone/conv",
            "Conv2D, 6 × 6 × 2, 20 parameters, filters 2",
            "Conv2D, 6 × 6 × 3, 30 parameters, filters 3",
        )
        in wider
    )
    assert swapped == [
        Difference("a", "after first", "after b"),
        Difference("b", "after a", "after first"),
        Difference("out", "after b", "after a"),
    ]


def test_an_order_that_changes_is_no_model_that_changes_nothing(write_grid: Callable[[str], Path]) -> None:
    text = TINY_GRID[: TINY_GRID.index("    factors:")].replace(
        "model: {", "model: {dropout: 0.2, batch_norm: true, "
    )
    check = check_study(
        Study.from_yaml(write_grid(text + "    variants: {other: {order: batch_norm_first}}"))
    )
    assert not any("changes nothing" in note for note in check.notes)
    assert Difference("block1_conv1_dropout", "after block1_pool", "after block1_conv1_batch_norm") in (
        check.differences(check.variants[1])
    )


def test_layers_without_a_name_that_pair_badly_are_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "stack_models.py").write_text(textwrap.dedent(MODELS))
    grid = tmp_path / "grid.yaml"
    text = "{{study: s, model: {{builder: stack_models:stack, named: {}}}, variants: {{deeper: {{deeper: true}}}}}}"
    grid.write_text(text.format("false"))
    assert check_study(Study.from_yaml(grid)).notes[0] == (
        "Name your layers (Dense) with the argument `name`. Layers without a name are numbered, and deeper and plain "
        "have different numbers of them. So layers of the same name need not be the same layer, and the variants are "
        "paired badly: the layers that both have in common start from different weights."
    )
    grid.write_text(text.format("true"))
    assert not any("Name your layers" in note for note in check_study(Study.from_yaml(grid)).notes)
