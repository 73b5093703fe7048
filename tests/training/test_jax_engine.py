"""The JAX engine: seeds trained together are the trials that they are alone, and those of TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUICK_COMPILATION, tiny_trial

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.executors.contract import Task
from ablation.executors.local import LocalExecutor
from ablation.grid.settings import Component, EarlyStopping
from ablation.grid.trial import Trial, TrialResult
from ablation.training.trial_runner import run_trial

SEEDS = (0, 1, 2)
FADING = Component(
    name="ExponentialDecay", arguments={"initial_learning_rate": 0.05, "decay_steps": 5, "decay_rate": 0.8}
)
CASES: dict[str, dict[str, Any]] = {
    "conv, pooling, BatchNorm, Dropout, augmentation, Adam": {
        "dropout": 0.3, "batch_norm": True, "augmentation": ("flip",),
    },
    "Dense, SGD with momentum, schedule": {
        "family": "dense", "optimizer": Component(name="SGD", arguments={"momentum": 0.9}), "learning_rate": FADING,
    },
    "AdamW, class weights": {"family": "dense", "optimizer": "adamw", "class_weight": "balanced"},
}  # fmt: skip

Train = Callable[..., dict[int, TrialResult]]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    """An executor whose one process serves all tests."""
    executor = LocalExecutor(1, tmp_path_factory.mktemp("logs"), keep=True, engine="jax")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", QUICK_COMPILATION)
        yield executor
        executor.close()


@pytest.fixture(scope="module")
def dataset_file(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("images") / "dataset.npz"
    tiny_dataset.save(file)
    return file


@pytest.fixture
def train(worker: LocalExecutor, dataset_file: Path, tmp_path: Path) -> Train:
    """Return a function that trains trials together, in one worker process, and returns results by seed."""

    def run(trials: list[Trial], folder: Path = tmp_path, **options: Any) -> dict[int, TrialResult]:
        tasks = [Task(trial, folder / trial.id, **options) for trial in trials]
        for task in tasks:
            task.folder.mkdir(exist_ok=True, parents=True)
        ended = worker.run(tasks, dataset_file, 1, lambda _: None)
        return {task.trial.seed: result for task, result in ended}

    return run


def trials_of(dataset: Dataset, **changes: Any) -> list[Trial]:
    keeps_state = changes.pop("keeps_state", False)
    small = {} if changes.get("family") == "dense" else {"blocks": ((3,),)}  # compiled in no time
    settings = small | {"dense": (4,)} | changes
    trials = [tiny_trial(dataset, seed=seed, **dict(settings)) for seed in SEEDS]
    return [trial.model_copy(update={"keeps_state": keeps_state}) for trial in trials]


def bits(result: TrialResult) -> object:
    return result.metrics, [record.model_copy(update={"seconds": 0}) for record in result.history]


@pytest.mark.parametrize(
    "case", [*list(CASES)[:2], pytest.param("AdamW, class weights", marks=pytest.mark.slow)]
)
def test_seeds_that_are_trained_together_are_those_trained_alone(
    case: str, train: Train, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    trials = trials_of(tiny_dataset, **CASES[case])
    together = train(trials)
    assert [r.provenance["seeds at once"] for r in together.values()] == ["3"] * 3
    alone = train(trials[1:2], tmp_path / "alone")[1]
    assert alone.provenance["seeds at once"] == "1"
    assert alone.initial_weights == together[1].initial_weights
    for one, other in zip(alone.history, together[1].history, strict=True):
        assert one.order == other.order
        for name in ("loss", "active_loss", "train_loss", "val_loss", "penalty"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-5)
    probabilities = [
        np.load(folder / trials[1].id / "test_probabilities.npy") for folder in (tmp_path, tmp_path / "alone")
    ]
    np.testing.assert_allclose(*probabilities, atol=1e-5)


def test_both_engines_start_alike_and_take_the_same_first_step(
    train: Train, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    batch = len(tiny_dataset.train)
    trial = tiny_trial(
        tiny_dataset, seed=1, epochs=1, batch_size=batch, optimizer="sgd", learning_rate=0.1, batch_norm=True
    )
    by_jax = train([trial], save_model=True)[1]
    (tmp_path / "tensorflow").mkdir()
    by_tensorflow = run_trial(trial, tiny_dataset, tmp_path / "tensorflow")
    assert by_jax.initial_weights == by_tensorflow.initial_weights
    (jax,), (tensorflow,) = by_jax.history, by_tensorflow.history
    assert jax.order == tensorflow.order
    for name in ("loss", "accuracy", "active_loss", "train_loss", "val_loss"):
        assert getattr(jax, name) == pytest.approx(getattr(tensorflow, name), abs=1e-4), name
    assert "tensorflow" not in by_jax.provenance
    assert "jax" not in by_tensorflow.provenance

    import keras

    saved = keras.saving.load_model(tmp_path / trial.id / "model.keras")  # by TensorFlow
    probabilities = saved.predict(tiny_dataset.normalise(tiny_dataset.test.images), verbose=0)
    kept = np.load(tmp_path / trial.id / "test_probabilities.npy")
    np.testing.assert_allclose(probabilities, kept, atol=1e-5)


def _callback(name: str, **arguments: Any) -> Component:
    return Component(name=name, arguments=arguments)


ALIKE: dict[str, dict[str, Any]] = {
    "callbacks": {
        "callbacks": (
            _callback("ReduceLROnPlateau", monitor="val_loss", patience=1, factor=0.1),
            _callback("EarlyStopping", monitor="val_loss", patience=1, restore_best_weights=True),
        ),
        "epochs": 6, "learning_rate": 0.2,
    },
    "averages, each epoch": {
        "optimizer": Component(name="Adam", arguments={"use_ema": True}),
        "callbacks": (_callback("SwapEMAWeights"),),
    },
    "averages, at the end": {"optimizer": Component(name="SGD", arguments={"use_ema": True})},
    "float16": {"precision": "mixed_float16"},
    "another loss, further metrics": {"loss": "categorical_focal_crossentropy", "metrics": ("auc",)},
    "a smaller last batch": {"batch_size": 37},
    "the weights of a class": {"class_weight": {"3": 5.0}},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", ALIKE)
def test_a_model_without_random_layers_is_trained_alike_by_both_engines(
    case: str, train: Train, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    trials = trials_of(tiny_dataset, family="dense", **ALIKE[case])
    by_jax = train(trials)
    for trial in trials:
        (tmp_path / "tensorflow" / trial.id).mkdir(parents=True)
        by_tensorflow = run_trial(trial, tiny_dataset, tmp_path / "tensorflow" / trial.id)
        assert by_jax[trial.seed].metrics == pytest.approx(by_tensorflow.metrics, abs=1e-4)
        assert len(by_jax[trial.seed].history) == len(by_tensorflow.history)
        for one, other in zip(by_jax[trial.seed].history, by_tensorflow.history, strict=True):
            for name in ("loss", "accuracy", "active_loss", "train_loss", "val_loss"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4), name


def test_seeds_resume_to_the_same_bits_and_one_that_diverges_does_so_alone(
    train: Train, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    settings = {"dropout": 0.3, "batch_norm": True}
    whole, again = (
        train(trials_of(tiny_dataset, epochs=4, **settings), tmp_path / name) for name in ("whole", "again")
    )
    assert [*map(bits, whole.values())] == [*map(bits, again.values())]
    train(half := trials_of(tiny_dataset, epochs=2, keeps_state=True, **settings))
    trials = trials_of(tiny_dataset, epochs=4, **settings)
    for short, trial in zip(half, trials, strict=True):
        (tmp_path / "resumed" / trial.id).mkdir(parents=True)
        shutil.copy(tmp_path / short.id / "checkpoint.npz", tmp_path / "resumed" / trial.id)
    _spoil(tmp_path / "resumed" / trials[2].id / "checkpoint.npz")
    resumed = train(trials, tmp_path / "resumed")
    assert [bits(resumed[seed]) for seed in (0, 1)] == [bits(whole[seed]) for seed in (0, 1)]
    assert (resumed[2].status, resumed[2].cause) == ("diverged", "the training loss became nan in epoch 3")
    alone = train(trials[:1], _with_checkpoint(tmp_path, half[0], trials[0]))
    assert bits(alone[0]) == bits(whole[0])  # two lanes are empty, so that sums are rounded as before


@pytest.mark.slow
def test_each_seed_stops_early_by_itself(train: Train, tiny_dataset: Dataset, tmp_path: Path) -> None:
    stopping = EarlyStopping(monitor="val_accuracy", patience=2)
    settings = {"family": "dense", "learning_rate": 0.01, "evaluate": "best"}
    trials = trials_of(tiny_dataset, epochs=12, early_stopping=stopping, **settings)
    together = train(trials)
    lengths = [len(result.history) for result in together.values()]
    assert len({*lengths}) > 1
    for trial in trials[:2]:
        alone = train([trial], tmp_path / "alone")[trial.seed]
        assert len(alone.history) == len(together[trial.seed].history)
        assert alone.best_epoch == together[trial.seed].best_epoch
        assert alone.metrics == pytest.approx(together[trial.seed].metrics, abs=1e-5)


OWN = """
import keras

class Half(keras.layers.Layer):
    def call(self, x):
        return x / 2

def own(image_shape, classes, by_tensorflow=False):
    if by_tensorflow:
        import tensorflow as tf

    return keras.Sequential([
        keras.Input(image_shape), keras.layers.Flatten(), Half(), keras.layers.Dense(classes, "softmax", name="out")
    ])
"""


def test_code_of_the_users_is_trained_one_seed_at_a_time_and_cannot_use_tensorflow(
    quick_compilation: None, tmp_path: Path
) -> None:
    (tmp_path / "own_model.py").write_text(OWN)
    (tmp_path / "grid.yaml").write_text(
        "study: own\nengine: jax\nmodel: {builder: 'own_model:own'}\n"
        "dataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        "training: {epochs: 1}\nseeds: 2\nfactors: {by_tensorflow: [false, true]}\n"
    )
    run = run_study(Study.from_yaml(tmp_path / "grid.yaml"), tmp_path / "run", workers=1)
    results = list(run.trial_results.values())
    because = "2 at once failed: the model has layers of your own, which may hold more than variables."
    assert [r.provenance["seeds at once"] for r in results[:2]] == [f"1 ({because})"] * 2
    note = f"because {because} The results are the same within rounding."
    assert [n for n in run.notes if "seeds at once" in n] == [
        f"plain: 2 trials trained with fewer seeds at once, {note}"
    ]
    assert [(r.status, r.cause) for r in results[2:]] == [
        (
            "failed",
            "the code of the study imports TensorFlow, but the trial is trained with JAX. Import keras instead, or "
            "set `engine: tensorflow`.",
        )
    ] * 2


def _spoil(checkpoint: Path) -> None:
    """Make the weights of a checkpoint not a number."""
    with np.load(checkpoint) as stored:
        arrays = dict(stored)
    arrays["variable0"] = np.full_like(arrays["variable0"], np.nan)
    np.savez(checkpoint, **arrays)


def _with_checkpoint(folder: Path, short: Trial, trial: Trial) -> Path:
    """Return a folder in which a trial has the checkpoint of a shorter one."""
    (folder / "one" / trial.id).mkdir(parents=True)
    shutil.copy(folder / short.id / "checkpoint.npz", folder / "one" / trial.id)
    return folder / "one"
