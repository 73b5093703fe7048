"""Hand-ins of a class, written and not trained: they agree with themselves as those of a trained run do."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ablation import Study
from ablation.data.datasets import Dataset
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.store.checked_record import checked_text
from ablation.store.run_folder import Store
from ablation.training.epochs import final_measures, order_digest

CLASS_GRID = """
study: class
question: Does a wider model help on a few digits?
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 300}
model: {family: dense, dense: [8]}
training: {epochs: 2, batch_size: 16}
variants:
  wider: {width: 4}
  deeper: {depth: 3}
  dropped: {dropout: 0.5}
compare: {margin: 1pp, holds_for: [seeds]}
seeds: 2
"""
EFFECTS = {"plain": 0.0, "wider": 0.03, "deeper": -0.06, "dropped": 0.003}
"""The true differences in accuracy from the plain variant."""

ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    {"tensorflow": "2.21.0", "keras": "3.15.1", "machine": "x86_64", "cpu features": "avx2 fma"},
    {"tensorflow": "2.21.0", "keras": "3.15.1", "machine": "x86_64", "cpu features": "avx2 avx512f fma"},
    {"tensorflow": "2.20.0", "keras": "3.12.0", "machine": "arm64", "cpu features": "asimd"},
    {"jax": "0.8.1", "keras": "3.15.1", "machine": "x86_64", "accelerator": "NVIDIA T4"},
)
"""A laptop, another one, a Mac, and a GPU in the cloud."""


def write_hand_in(
    folder: Path,
    study: Study,
    dataset: Dataset,
    seeds: Sequence[int],
    environment: Mapping[str, str] = ENVIRONMENTS[0],
    drawn_as: int | None = None,
) -> Path:
    """Write a run folder with every trial of these seeds; noise follows the seed, or another one."""
    study = study.model_copy(update={"seeds": tuple(seeds)})
    store = Store(folder)
    store.open(study, dataset)
    for trial in study.trials(dataset.digest):
        write_trial(store, trial, dataset, environment, trial.seed if drawn_as is None else drawn_as)
    return folder


def write_trial(
    store: Store, trial: Trial, dataset: Dataset, environment: Mapping[str, str], drawn_as: int
) -> None:
    generator = np.random.default_rng([drawn_as, sorted(EFFECTS).index(trial.variant)])
    of_seed = np.random.default_rng([drawn_as, 99]).normal(0, 0.03)
    accuracy = 0.75 + EFFECTS[trial.variant] + of_seed + generator.normal(0, 0.02)
    labels = dataset.test.labels
    right = np.zeros(len(labels), bool)
    right[generator.permutation(len(labels))[: round(accuracy * len(labels))]] = True
    predicted = np.where(right, labels, (labels + 1) % 10)
    probabilities = np.full((len(labels), 10), 0.02, np.float32)
    probabilities[np.arange(len(labels)), predicted] = 0.82
    probabilities[:, :9] += generator.uniform(0, 0.01, (len(labels), 9)).astype(np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    images = dataset.of(trial)
    history = [
        EpochRecord(
            epoch=epoch, loss=1.0, accuracy=0.7, active_loss=1.0, active_accuracy=0.7, train_loss=0.5,
            train_accuracy=0.7 + 0.1 * epoch, val_loss=0.9, val_accuracy=0.6 + 0.05 * epoch, seconds=0.5,
            order=order_digest(trial.randomness.batch_order(epoch, len(images.train)), images),
        )
        for epoch in range(1, trial.training.epochs + 1)
    ]  # fmt: skip
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    result = TrialResult(
        trial_id=trial.id, status="completed", history=tuple(history), best_epoch=2, parameters=1000,
        metrics=final_measures(history[-1])
        | {"test_accuracy": float(np.mean(right)), "test_loss": float(-np.log(of_label).mean())},
        seconds=float(generator.uniform(1, 2)), provenance=dict(environment), structure="s",
    )  # fmt: skip
    np.save(store.scratch(trial) / "test_probabilities.npy", probabilities)
    store.commit(trial, result)


def edit(trial: Path, name: str, content: bytes, with_checksum: bool) -> None:
    """Change a file of a trial, as a student would; one who knows of the checksums changes these, too."""
    (trial / name).write_bytes(content)
    if with_checksum:
        record = json.loads((trial / "trial.json").read_text("utf-8"))
        record["files"][name] = hashlib.sha256(content).hexdigest()
        (trial / "trial.json").write_text(checked_text(record), "utf-8")


def zipped(folder: Path, file: Path, inside: str = "run") -> Path:
    """Write a zip file as the README of a student says: with the run folder in it."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{inside}/{path.relative_to(folder).as_posix()}")
    return file
