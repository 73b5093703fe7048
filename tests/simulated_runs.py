"""Run folders with trials that were made up instead of trained: for pages and tables of any size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ablation import Run, Study
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.grid_file import read_study
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.store.run_folder import Store

GRID = """
study: {name}
dataset: {{name: digits, train_size: 60, validation_size: 40, test_size: 100}}
model: {{family: dense, dense: [8]}}
training: {{epochs: {epochs}}}
variants:
{variants}
seeds: {seeds}
"""


def simulated_run(folder: Path, variants: list[str], seeds: int, epochs: int, name: str = "simulated") -> Run:
    """Return a run of made-up trials, the first variant the baseline.

    Args:
        folder: Where the run folder is made.
        variants: The names of the variants, however odd.
        seeds: The number of seeds of each.
        epochs: The number of epochs of each trial.
        name: The name of the study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grid = folder / "grid.yaml"
    lines = [f"  v{k}: {{learning_rate: {0.001 * (k + 1):.4f}}}" for k in range(1, len(variants))]
    grid.write_text(
        GRID.format(name="simulated", epochs=epochs, seeds=seeds, variants="\n".join(lines)), "utf-8"
    )
    study = read_study(grid)
    renamed = tuple(
        variant.model_copy(update={"name": new})
        for variant, new in zip(study.variants, variants, strict=True)
    )
    study = Study.of(
        study.model_copy(
            update={"variants": renamed, "baseline": variants[0], "name": name, "question": name}
        )
    )
    dataset = prepare_dataset(study.dataset)
    store = Store(folder / "run")
    store.open(study, dataset)
    for trial in study.trials(dataset.digest):
        number = variants.index(trial.variant)
        probabilities = _probabilities(dataset, np.random.default_rng([trial.seed, number]), number)
        np.save(store.scratch(trial) / "test_probabilities.npy", probabilities)
        store.commit(trial, _result(trial, number, epochs, probabilities, dataset))
    return Run(store.folder)


def _probabilities(dataset: Dataset, random: np.random.Generator, number: int) -> np.ndarray:
    labels = np.asarray(dataset.test.labels)
    scores = random.normal(0, 1, (len(labels), len(dataset.class_names)))
    scores[np.arange(len(labels)), labels] += 1.5 + 0.15 * (number % 10)
    exponential = np.exp(1.5 * scores)
    return (exponential / exponential.sum(axis=1, keepdims=True)).astype(np.float32)


def _result(
    trial: Trial, number: int, epochs: int, probabilities: np.ndarray, dataset: Dataset
) -> TrialResult:
    random = np.random.default_rng([trial.seed, number, 1])
    history = tuple(_record(epoch, epochs, number, random) for epoch in range(1, epochs + 1))
    last = history[-1]
    right = float((probabilities.argmax(axis=1) == np.asarray(dataset.test.labels)).mean())
    metrics: Mapping[str, Any] = {
        "train_accuracy": last.train_accuracy, "val_accuracy": last.val_accuracy, "test_accuracy": right,
        "train_loss": last.train_loss, "val_loss": last.val_loss, "test_loss": 1 - right,
    }  # fmt: skip
    return TrialResult(
        trial_id=trial.id, status="completed", history=history, metrics=dict(metrics), best_epoch=epochs,
        parameters=1000 * (number + 1), multiply_adds=2000 * (number + 1), seconds=10.0 + number, memory=500.0 + number,
        provenance={"python": "3.12"},
    )  # fmt: skip


def _record(epoch: int, epochs: int, number: int, random: np.random.Generator) -> EpochRecord:
    train = 1 - 0.8 * float(np.exp(-3 * epoch / epochs / (1 + number % 5)))
    noise = random.normal(0, 0.02, 4)
    train = float(np.clip(train + noise[0], 0, 1))
    val = float(np.clip(train - 0.01 * (number % 7) * epoch / epochs + noise[1], 0, 1))
    return EpochRecord(
        epoch=epoch, loss=1 - train, accuracy=train, active_loss=1 - train, active_accuracy=train,
        train_loss=float(1.2 - train + abs(noise[2])), train_accuracy=train,
        val_loss=float(1.3 - val + abs(noise[3])), val_accuracy=val,
        seconds=float(0.5 + 0.01 * number + abs(noise[2])), order="",
    )  # fmt: skip
