"""A user's model that would divide images by 255 once more is refused: it would see nearly black ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation import Study
from ablation.errors import GridError
from ablation.workflow.check import check_study

MODULE = """
import keras
from keras import layers

def build(image_shape, classes, scales, dtype="float32"):
    first = [layers.Rescaling(scale, name=f"rescaling_{k}") for k, scale in enumerate(scales)]
    output = layers.Dense(classes, activation="softmax")
    return keras.Sequential([keras.Input(image_shape, dtype=dtype), *first, layers.Flatten(), output])

def frozen(image_shape, classes):
    model = build(image_shape, classes, [])
    model.trainable = False
    return model
"""
DIVIDES = (
    "plain: own:build: the layer rescaling_0 divides by {}, as if the images had values from 0 to 255, but models "
    "receive normalised images (dataset.normalise). Remove the layer; or, if it belongs to a model that expects such "
    "values, put layers.Rescaling(255) in front of that model."
)


def study_of(folder: Path, builder: str) -> Study:
    (folder / "own.py").write_text(MODULE)
    (folder / "grid.yaml").write_text(
        "study: s\nseeds: 1\ndataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        f"model: {{builder: {builder}}}\ntraining: {{epochs: 1}}\n"
    )
    return Study.from_yaml(folder / "grid.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("scales: [0.00392156862745098]", DIVIDES.format(255)),
        ("scales: [0.00784313725490196]", DIVIDES.format(127.5)),
        (
            "scales: [], dtype: uint8",
            "plain: own:build: the model's input is uint8, but models receive normalised images, which are floats "
            "(dataset.normalise). Remove `dtype` from the keras.Input.",
        ),
    ],
)
def test_a_model_for_bytes_is_refused_before_the_run(arguments: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GridError) as caught:
        check_study(study_of(tmp_path, f"own:build, {arguments}"))
    assert str(caught.value) == message


@pytest.mark.parametrize("scales", [[255, 1 / 255], [0.5], [2.0], [0.001]])
def test_other_scales_are_the_models_own_affair(scales: list[float], tmp_path: Path) -> None:
    (variant,) = check_study(study_of(tmp_path, f"own:build, scales: {scales}")).variants
    assert variant.error == ""


def test_a_model_that_cannot_be_trained_is_told(tmp_path: Path) -> None:
    (variant,) = check_study(study_of(tmp_path, "own:frozen")).variants
    assert variant.error == "own:frozen: the model has no weights that can be trained."
