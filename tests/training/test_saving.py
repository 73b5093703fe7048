"""A saved model predicts what was tested, and a model that cannot be saved costs no result."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tiny_trial

from ablation import Study, run_study
from ablation.data.datasets import prepare_dataset
from ablation.training.trial_runner import run_trial
from ablation.workflow.dry_run import plan_study

BUILDER = """
import keras
from keras import layers

class Apply(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, images):
        return self.function(images)

def build(image_shape, classes, bias=True):
    stack = [keras.Input(image_shape), layers.Flatten(), Apply(lambda images: images + 1)]
    return keras.Sequential([*stack, layers.Dense(classes, activation="softmax", use_bias=bias)])
"""


@pytest.mark.usefixtures("without_report")
def test_a_model_that_cannot_be_saved_keeps_its_results(tmp_path: Path) -> None:
    (tmp_path / "unsavable.py").write_text(BUILDER)
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "{study: s, dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}, seeds: 2, "
        "model: {builder: 'unsavable:build'}, training: {epochs: 1, batch_size: 30}, save_models: true, "
        "factors: {bias: [true, false]}}"
    )
    study = Study.from_yaml(grid)
    run = run_study(study, tmp_path / "run", executor="inline")
    assert run.results["status"].tolist() == ["completed"] * 4
    (note,) = (note for note in run.notes if "could not save" in note)
    assert note == (
        "Keras could not save the trained models of plain seed 0, plain seed 1, bias=false seed 0, bias=false seed 1: "
        "NotImplementedError: Object Apply was created by passing non-serializable argument values in `__init__()`, "
        "and therefore the object must override `get_config()` in order to be serializable. Their results are kept."
    )
    assert list(tmp_path.glob("run/trials/**/*.keras")) == []
    assert list(tmp_path.glob("run/trials/**/normalisation.json")) == []
    assert plan_study(study, tmp_path / "run").pending_ids == ()  # saving would fail again


@pytest.mark.parametrize("normalise", ["standard", "unit"])
@pytest.mark.parametrize("changes", [{}, {"augmentation": ("flip",), "precision": "mixed_bfloat16"}])
def test_a_raw_model_takes_the_images_as_they_are(
    normalise: str, changes: dict[str, Any], tiny_study: Study, tmp_path: Path
) -> None:
    import keras

    dataset = prepare_dataset(tiny_study.dataset.model_copy(update={"normalise": normalise}))
    trial = tiny_trial(dataset, epochs=1, **changes)
    result = run_trial(trial, dataset, tmp_path, save_model="raw")
    assert (result.model, result.unsaved) == ("raw", "")
    model = keras.saving.load_model(tmp_path / "model.keras")
    tested = np.load(tmp_path / "test_probabilities.npy")
    tolerance = 0.02 if "precision" in changes else 1e-5
    np.testing.assert_allclose(model.predict(dataset.test.images, verbose=0), tested, atol=tolerance)
    about = json.loads((tmp_path / "normalisation.json").read_text())
    assert about["in_model"] is True
    np.testing.assert_allclose(
        dataset.test.images * np.array(about["scale"]) + about["offset"],
        dataset.normalise(dataset.test.images),
        atol=1e-5,
    )


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("save_models", ["raw", True])
def test_the_page_on_saved_models_works(save_models: object, tiny_study: Study, tmp_path: Path) -> None:
    study = tiny_study.model_copy(update={"seeds": (0,), "save_models": save_models})
    run = run_study(study, tmp_path / "run", only=["plain"], executor="inline")
    page = (Path(__file__).parents[2] / "ablation" / "docs" / "saved-models.md").read_text("utf-8")
    blocks = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block.replace("experiments/runs/grid", str(run.folder)), names)
    tested = run.store.test_probabilities(run.trials[0])
    assert tested is not None
    np.testing.assert_allclose(names["probabilities"], tested[:5], atol=1e-5)


@pytest.mark.usefixtures("without_report")
def test_models_that_are_asked_for_later_are_made_without_training_where_the_state_is_kept(
    two_variants: Study, tmp_path: Path
) -> None:
    def study(save_models: object) -> Study:
        return two_variants.model_copy(update={"seeds": (0,), "save_models": save_models})

    def notes(save_models: object) -> list[str]:
        return [note for note in plan_study(study(save_models), tmp_path / "run").notes if "again" in note]

    first = run_study(study(False), tmp_path / "run", executor="inline")
    assert notes(True) == [
        "Trained again, because save_models is set, and the model was not saved (2 trials)."
    ]
    run_study(study(True), tmp_path / "run", executor="inline")
    assert notes(True) == []
    assert notes("raw") == ["Trained again, because the saved model does not take raw images (2 trials)."]
    raw = run_study(study("raw"), tmp_path / "run", executor="inline")
    assert [raw.trial_results[t.id].model for t in raw.trials] == ["raw", "raw"]
    assert raw.results["test_loss"].tolist() == first.results["test_loss"].tolist()
    timing = raw.trial_results[raw.trials[0].id].timing
    assert "train" not in timing
