"""A user's model with methods that only Keras's `fit` would call is refused, naming the method and the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation import Study, run_study
from ablation.errors import GridError
from ablation.workflow.check import check_study

MODULE = """
import keras
from keras import layers

class Model(keras.Model):
    def METHOD(self, *values, **named):
        raise RuntimeError("called")

class Further(Model):
    pass

def build(image_shape, classes):
    images = keras.Input(image_shape)
    return Further(images, layers.Dense(classes, activation="softmax")(layers.Flatten()(images)))

def patched(image_shape, classes):
    images = keras.Input(image_shape)
    model = keras.Model(images, layers.Dense(classes, activation="softmax")(layers.Flatten()(images)))
    model.train_step = lambda data: {}
    return model
"""
LOSS = 'name your loss in the grid (`training: {loss: "module:function"}`), or use `add_loss` in `call`.'
METRIC = 'name your metric in the grid (`training: {metrics: ["module:function"]}`).'


def study_of(folder: Path, method: str, builder: str = "build") -> Study:
    (folder / "own.py").write_text(MODULE.replace("METHOD", method))
    (folder / "grid.yaml").write_text(
        "study: s\nseeds: 1\ndataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        f'model: {{builder: "own:{builder}"}}\ntraining: {{epochs: 1}}\n'
    )
    return Study.from_yaml(folder / "grid.yaml")


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        ("train_step", f"move what it does into `call` or into a layer, {LOSS}"),
        ("compute_loss", LOSS),
        ("test_step", f"move what it does into `call`, or {METRIC}"),
        ("compute_metrics", METRIC),
        ("predict_step", "move what it does into `call`."),
        ("fit", 'name a callback in the grid (`training: {callbacks: ["module:Class"]}`).'),
    ],
)
def test_a_method_that_is_never_called_is_named(method: str, instead: str, tmp_path: Path) -> None:
    with pytest.raises(GridError) as caught:  # before the run
        check_study(study_of(tmp_path, method))
    assert str(caught.value) == (
        f"plain: own:build: the model has a method `{method}` of its own, which is never called: trials train and measure with "
        f"compiled graphs of their own. Remove it, and {instead}"
    )


def test_one_that_an_object_has_got_is_found_too(tmp_path: Path) -> None:
    (variant,) = check_study(study_of(tmp_path, "describe", "patched")).variants
    assert "own:patched: the model has a method `train_step` of its own" in variant.error


def test_a_method_of_another_name_is_the_models_own_affair(tmp_path: Path, without_report: None) -> None:
    run = run_study(study_of(tmp_path, "describe"), tmp_path / "run", executor="inline")
    assert run.results["status"].tolist() == ["completed"]
