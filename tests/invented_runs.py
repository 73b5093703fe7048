"""Run folders of invented trials: any number of variants, seeds, epochs and classes, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablation import Run, Study
from ablation.data.datasets import Dataset, Part
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import DenseSettings, TrainingSettings
from ablation.grid.study import Variant
from ablation.grid.trial import EpochRecord, InitialWeights, Trial, TrialResult
from ablation.store.run_folder import Store

Accuracies = Mapping[str, float] | Callable[[str], float]


def invented_dataset(classes: int = 10, test: int = 200) -> Dataset:
    """Return images of noise with labels that are evenly spread over the classes."""
    random, sizes = (
        np.random.default_rng(0),
        {"train": 2 * classes + 100, "val": 2 * classes + 50, "test": test},
    )
    parts = [
        Part(random.integers(0, 256, (n, 8, 8, 1), np.uint8), (np.arange(n) % classes).astype(np.int64))
        for n in sizes.values()
    ]
    names = tuple(f"class {k}" for k in range(classes))
    return Dataset(*parts, names, np.ones(1, np.float32), np.zeros(1, np.float32), "invented images")


def invented_run(
    study: Study,
    folder: Path,
    accuracies: Accuracies,
    dataset: Dataset | None = None,
    deviation: float = 0.02,
    leave: Callable[[Trial], bool] = lambda trial: False,
    fail: Callable[[Trial], bool] = lambda trial: False,
) -> Run:
    """Write a run folder, and return its run.

    Args:
        study: The study.
        folder: The run folder.
        accuracies: The true test accuracy of each variant.
        dataset: The images; by default ten classes of noise.
        deviation: The standard deviation of the true accuracy over the seeds.
        leave: Which trials are pending.
        fail: Which trials failed.
    """
    dataset = dataset or invented_dataset()
    study = study.model_copy(update={"dataset": study.dataset.model_copy(update={"train_size": None})})
    store = Store(folder)
    store.open(study, dataset)
    accuracy = accuracies if callable(accuracies) else accuracies.__getitem__
    names = [variant.name for variant in study.variants]
    difficulty = np.random.default_rng(1).random(len(dataset.test))
    for k, trial in enumerate(study.trials(dataset.digest)):
        if leave(trial):
            continue
        scratch = store.scratch(trial)
        if fail(trial):
            store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of memory"))
            continue
        random = np.random.default_rng([trial.seed, k])
        share = float(np.clip(accuracy(trial.variant) + deviation * random.standard_normal(), 0.0, 1.0))
        probabilities = _probabilities(dataset, difficulty, share, random)
        np.save(scratch / "test_probabilities.npy", probabilities)
        right = float((probabilities.argmax(axis=1) == dataset.test.labels).mean())
        store.commit(trial, _result(trial, names.index(trial.variant), right, random))
    return Run(folder)


def run_of_variants(
    folder: Path, names: Sequence[str], seeds: int, epochs: int, name: str = "invented"
) -> Run:
    """Return an invented run of variants with any names, the first one the baseline.

    Args:
        folder: The run folder.
        names: The names of the variants, however odd.
        seeds: The number of seeds of each.
        epochs: The number of epochs of each trial.
        name: The name of the study, and its question.
    """
    study = study_of(names, seeds, epochs, name)
    return invented_run(study, folder, lambda variant: 0.5 + 0.04 * (list(names).index(variant) % 8))


def study_of(names: Sequence[str], seeds: int, epochs: int = 1, name: str = "invented") -> Study:
    """Return a study of variants with any names, the first one the baseline; see `run_of_variants`."""
    variants = tuple(
        Variant(
            name=variant, model=DenseSettings(), levels={}, crossed=False,
            training=TrainingSettings(epochs=epochs, learning_rate=0.001 * (k + 1)),
        )
        for k, variant in enumerate(names)
    )  # fmt: skip
    return Study(
        name=name,
        question=name,
        dataset=DatasetSettings(validation_size=50),
        variants=variants,
        factors={},
        baseline=names[0],
        seeds=tuple(range(seeds)),
    )


def _probabilities(
    dataset: Dataset, difficulty: NDArray[np.float64], share: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return probabilities, (images, classes), of which about ``share`` are highest for the right class."""
    labels, classes = dataset.test.labels, len(dataset.class_names)
    is_right = 0.7 * difficulty + 0.3 * random.random(len(labels)) < share
    wrong = (labels + random.integers(1, classes, len(labels))) % classes
    sure = 0.55 + 0.4 * random.random(len(labels))
    probabilities = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    probabilities[np.arange(len(labels)), np.where(is_right, labels, wrong)] = sure
    return probabilities.astype(np.float32)


def _result(trial: Trial, place: int, right: float, random: np.random.Generator) -> TrialResult:
    """Return the result of a trial of the variant in this place, whose accuracies rise to that of its test, and a little above it."""
    epochs = trial.training.epochs
    history = tuple(_record(epoch, epochs, right, random) for epoch in range(1, epochs + 1))
    last = history[-1]
    measured = {
        name: getattr(last, name) for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    }
    layer = InitialWeights(shape=(1,), digest=f"{trial.seed:08x}")
    return TrialResult(
        trial_id=trial.id, status="completed", history=history, best_epoch=epochs,
        metrics=measured | {"test_accuracy": right, "test_loss": 1 - right},
        parameters=1000 * (place + 1), multiply_adds=2000 * (place + 1), seconds=60.0, timing={"train": 50.0},
        memory=500.0 + place,
        provenance={"machine": "invented"}, initial_weights={"dense_1": layer}, structure="same",
    )  # fmt: skip


def _record(epoch: int, epochs: int, right: float, random: np.random.Generator) -> EpochRecord:
    reached = epoch / epochs
    train, val = min(1.0, (right + 0.15) * reached**0.3), min(1.0, right * reached**0.2)
    train, val, active = (
        float(np.clip(x + 0.01 * random.standard_normal(), 0, 1)) for x in (train, val, train - 0.1)
    )
    return EpochRecord(
        epoch=epoch, loss=1.2 - active, accuracy=max(0.0, active - 0.03), active_loss=1.1 - active, active_accuracy=active,
        train_loss=1.05 - train, train_accuracy=train, val_loss=1.05 - val, val_accuracy=val, seconds=1.0, order="",
    )  # fmt: skip
