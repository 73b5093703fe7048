"""Grids that take models apart which are not as they should be: each is refused in a sentence, or works."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from ablation.errors import AblationError, GridError
from ablation.grid.grid_file import read_study
from ablation.grid.seeding import Randomness
from ablation.grid.setting_place import located
from ablation.grid.space_checks import settings_of
from ablation.grid.study import Study
from ablation.models.build import build_model
from ablation.workflow.check import check_study
from ablation.workflow.dry_run import plan_study
from ablation.workflow.taking_apart import write_ablation

DATA = "dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}"
SHAPE = (8, 8, 1)


def _grid(folder: Path, ablate: str, model: str = "file: own.keras") -> Study:
    file = folder / "study.yaml"
    ablated = f"ablate: {ablate}\n" if ablate else ""
    file.write_text(f"study: own\n{DATA}\nmodel: {{{model}}}\n{ablated}seeds: 2\n", "utf-8")
    return read_study(file)


def _refusal(folder: Path, study: Study) -> str:
    """Return why a study is refused before anything trains, without the folder."""
    with pytest.raises(AblationError) as caught, located(folder / "study.yaml"):
        plan_study(study)
    return str(caught.value).splitlines()[0].replace(f"{folder}/", "")


def _stack(*hidden: keras.Layer, outputs: int = 10) -> keras.Model:
    ends = layers.Flatten(name="flat"), layers.Dense(outputs, activation="softmax", name="out")
    return keras.Sequential([keras.Input(SHAPE), *hidden, *ends])


def _blocks() -> keras.Model:
    hidden: list[keras.Layer] = []
    for k in (1, 2):
        hidden.append(layers.Conv2D(4, 3, activation="relu", padding="same", name=f"block{k}_conv"))
    return _stack(*hidden, layers.Dropout(0.2, name="block2_drop"))


# --- Variants that would be compared with themselves ---------------------------------------------------------


@pytest.mark.parametrize(
    ("ablate", "message"),
    [
        ("{replace: {relu: relu}}",
         "line 4, ablate.replace.relu: 'relu for relu' would be the same model as 'full', layer for layer. Remove "
         "this part, or let it mean other layers."),
        ("{change: {block1_conv.kernel_size: 3}}",
         "line 4, ablate.change.block1_conv.kernel_size: 'block1_conv.kernel_size=3' would be the same model as "
         "'full', layer for layer. Remove this part, or let it mean other layers."),
        ("{remove: [Dropout, {layers: '*drop'}]}",
         "line 4, value 2 of ablate.remove: '-*drop' would be the same model as '-Dropout', layer for layer. Remove "
         "this part, or let it mean other layers."),
        ("{remove: [Dropout, {layers: 'block2_*'}], how: all}",
         "line 4, value 1 of ablate.remove: '+Dropout' would be the same model as 'plain', layer for layer. Remove "
         "this part, or write `how: leave_one_out`."),
        ("{remove: [Dropout], change: {Dropout.rate: 0.5}, how: all}",
         "line 4, ablate.change.Dropout.rate: 'Dropout.rate=0.5' would be the same model as 'plain', layer for "
         "layer. Remove this part, or write `how: leave_one_out`."),
    ],
)  # fmt: skip
def test_two_variants_with_one_model_are_refused(tmp_path: Path, ablate: str, message: str) -> None:
    _blocks().save(tmp_path / "own.keras")
    assert _refusal(tmp_path, _grid(tmp_path, ablate)) == f"study.yaml, {message}"


def test_parts_that_overlap_are_parts_all_the_same(tmp_path: Path) -> None:
    _blocks().save(tmp_path / "own.keras")
    both = check_study(
        _grid(tmp_path, "{remove: [Dropout, {layers: 'block2_*'}], change: {Dropout.rate: 0.5}}")
    )
    assert [v.name for v in both.variants] == ["full", "-Dropout", "-block2", "Dropout.rate=0.5"]


def test_more_combinations_than_a_grid_may_have_are_refused_at_once(tmp_path: Path) -> None:
    _blocks().save(tmp_path / "own.keras")
    parts = ", ".join(f"{{layers: part{k}}}" for k in range(40))
    with pytest.raises(GridError) as caught:
        _grid(tmp_path, f"{{remove: [{parts}], how: all}}")
    assert (
        str(caught.value)
        .splitlines()[0]
        .endswith(
            "study.yaml, line 4, ablate.how: the grid has 1,099,511,627,776 combinations, and so more than 100,000 "
            "trials. Write `how: leave_one_out`."
        )
    )


def test_what_names_a_file_is_not_searched(tmp_path: Path) -> None:
    _blocks().save(tmp_path / "own.keras")
    study = _grid(tmp_path, "")
    searchable = settings_of(study.variants[0])
    assert {"augmentation", "weights", "learning_rate"} <= searchable
    assert not {"file", "folder", "source", "custom_objects", "edits"} & searchable


# --- Statistics of the data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["initial", "keep"])
def test_what_a_layer_has_learned_of_the_data_stays_with_it(tmp_path: Path, weights: str) -> None:
    norm = layers.Normalization(name="norm")
    images = np.random.default_rng(0).normal(7, 3, (50, *SHAPE))
    norm.adapt(images)
    _stack(norm, layers.Dropout(0.1, name="drop")).save(tmp_path / "own.keras")
    study = _grid(tmp_path, "{remove: [Dropout]}", f"file: own.keras, weights: {weights}")
    for variant in study.variants:
        layer = build_model(variant.model, SHAPE, 10, Randomness(0)).get_layer("norm")
        np.testing.assert_allclose(layer(images), norm(images), atol=1e-5)
        assert abs(float(np.mean(layer(images)))) < 0.01


# --- Files that cannot be used -------------------------------------------------------------------------------


@pytest.mark.parametrize("ablate", ["", "{remove: [Dropout]}"])
def test_a_file_that_cannot_be_used_is_refused_before_anything_trains(tmp_path: Path, ablate: str) -> None:
    inputs = keras.Input(SHAPE)
    x = layers.Dropout(0.1)(layers.Flatten()(inputs))
    two = [layers.Dense(10, activation="softmax")(x), layers.Dense(3)(x)]
    other = keras.Input((4,))
    models = {
        "outputs": keras.Model(inputs, two),
        "named": keras.Model(inputs, {"digit": two[0]}),
        "inputs": keras.Model([inputs, other], layers.Dense(10)(layers.Concatenate()([x, other]))),
        "vector": keras.Sequential([keras.Input((64,)), layers.Dropout(0.1), layers.Dense(10)]),
        "colour": keras.Sequential([keras.Input((32, 32, 3)), layers.Dropout(0.1), layers.Flatten()]),
        "classes": _stack(layers.Dropout(0.1), outputs=7),
        "bytes": _stack(layers.Rescaling(1 / 255, name="scale"), layers.Dropout(0.1)),
    }
    messages = {
        "outputs": "the model's output for an image has the shape ('several outputs',); expected (10,), one "
        "probability per class.",
        "named": "the model's output for an image has the shape ('several outputs',); expected (10,), one "
        "probability per class.",
        "inputs": "the model has 2 inputs, of 8 × 8 × 1 and 4; expected one, an image.",
        "vector": "the model takes values of the shape 64; expected images, height × width × channels. Begin the "
        "model with layers.Flatten or layers.Reshape.",
        "colour": "the model takes images of 32 × 32 × 3, but the dataset's are 8 × 8 × 1.",
        "classes": "the model's output for an image has the shape (7,); expected (10,), one probability per class.",
        "bytes": "the layer scale divides by 255, as if the images had values from 0 to 255, but models receive "
        "normalised images (dataset.normalise). Remove the layer; or, if it belongs to a model that expects such "
        "values, put layers.Rescaling(255) in front of that model.",
        "text": "it is not a file that Keras has saved.",
    }
    for name, message in messages.items():
        file = tmp_path / f"{name}.keras"
        if name in models:
            models[name].save(file)
        else:
            file.write_text("not a model", "utf-8")
        study = _grid(tmp_path, ablate, f"file: {file.name}")
        refusal = _refusal(tmp_path, study)
        assert refusal.startswith("study.yaml, line 3, model.file: ")
        assert refusal.endswith(message)


def test_a_model_that_was_never_built_is_refused(tmp_path: Path) -> None:
    keras.Sequential([layers.Dropout(0.1), layers.Flatten(), layers.Dense(10)]).save(tmp_path / "own.keras")
    message = (
        "own.keras holds a model that was saved before it was built, so that the shapes of its weights are not "
        "known. Begin it with keras.Input, or call it on an image, and save it again."
    )
    assert _refusal(tmp_path, _grid(tmp_path, "{remove: [Dropout]}")).endswith(message)
    with pytest.raises(AblationError) as caught:
        write_ablation(str(tmp_path / "own.keras"), tmp_path / "new")
    assert str(caught.value) == f"{tmp_path}/{message}"


# --- The grid that `init --from` writes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a, b", "c: d", "e #f", "{g}", "[1]", "123", "true", "mödel 'x'", 'say "hi"']
)
def test_init_writes_names_as_yaml_reads_them(tmp_path: Path, name: str) -> None:
    model = _stack(layers.Conv2D(3, 1, name="a?b: c, d"), layers.Dropout(0.1, name="drop"))
    model.save(tmp_path / f"{name}.keras")
    grid, _ = write_ablation(str(tmp_path / f"{name}.keras"), tmp_path / "new")
    assert read_study(grid).variants
    grid.write_text(grid.read_text("utf-8").replace("# - {layers", "- {layers"), "utf-8")
    assert len(read_study(grid).variants) == 4
    if name == 'say "hi"':  # the layer that it names is the same in all of them
        assert len(check_study(read_study(grid)).variants) == 4


def test_init_refuses_a_model_for_something_else(tmp_path: Path) -> None:
    inputs = keras.Input(SHAPE)
    x = layers.Dropout(0.1)(layers.Flatten()(inputs))
    keras.Model(inputs, [layers.Dense(10)(x), layers.Dense(3)(x)]).save(tmp_path / "own.keras")
    with pytest.raises(AblationError) as caught:
        write_ablation(str(tmp_path / "own.keras"), tmp_path / "new")
    assert str(caught.value) == (
        f"{tmp_path}/own.keras: the model's output for an image has the shape ('several outputs',); expected one "
        "probability per class."
    )
    assert not (tmp_path / "new").exists()


def test_an_error_of_a_builder_that_is_taken_apart_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def build(image_shape, classes):\n    raise ValueError('not today')\n", "utf-8"
    )
    study = _grid(tmp_path, "{remove: [Dropout]}", "builder: 'mine:build'")
    assert _refusal(tmp_path, study) == (
        "study.yaml, line 3, model.builder: full: ValueError: not today (mine.py, line 2)."
    )
