"""Run folders whose trials were never trained: a study's folder with results made up, in a second."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import after_epoch

from ablation import Run, Study, Trial, TrialResult
from ablation.data.datasets import prepare_dataset
from ablation.store.run_folder import Store

DIGITS = "dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}"
EPOCHS = 4
PROVENANCE = {
    "python": "3.12.1", "ablation-harness": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1",
    "numpy": "2.4.0", "system": "Linux", "host": "secret-host", "machine": "x86_64",
    "processor": "A Processor", "cpu features": "avx", "accelerator": "none",
    "environment variables": "none", "cores": "8", "threads": "1", "git commit": "0123456789" * 4,
    "git dirty": "no",
}  # fmt: skip


def made_up(trial: Trial, accuracy: float) -> TrialResult:
    """Return a completed result of this test accuracy."""
    more = {"train": 0.1, "val": 0.01, "test": 0.0}
    metrics = {f"{part}_accuracy": accuracy + extra for part, extra in more.items()}
    metrics |= {f"{part}_loss": 1 - accuracy for part in more}
    history = tuple(
        after_epoch(k).model_copy(
            update={"train_accuracy": accuracy * k / EPOCHS + 0.1, "val_accuracy": accuracy * k / EPOCHS}
        )
        for k in range(1, EPOCHS + 1)
    )
    return TrialResult(
        trial_id=trial.id, status="completed", history=history, metrics=metrics, best_epoch=EPOCHS,
        parameters=12_345, multiply_adds=6789, seconds=61.0, provenance=PROVENANCE,
    )  # fmt: skip


def untrained_run(
    grid: str,
    folder: Path,
    result: Callable[[Trial, TrialResult], TrialResult | None] = lambda _, result: result,
) -> Run:
    """Return the run of a grid, with results made up: each variant is 3 points better than the one before it.

    Args:
        grid: The text of the grid file; without a dataset, it is on a few digits.
        folder: Where the grid file and the run folder are written.
        result: What to make of the result of a trial; None leaves the trial pending.
    """
    file = folder / "grid.yaml"
    text = textwrap.dedent(grid)
    file.write_text(text if "dataset:" in text else f"{text}\n{DIGITS}\n", "utf-8")
    study = Study.from_yaml(file)
    dataset, store = prepare_dataset(study.dataset, study.vary), Store(folder / "run")
    store.open(study, dataset)
    names = [variant.name for variant in study.variants]
    for trial in study.trials(dataset.digest):
        place = names.index(trial.variant)
        noise = np.random.default_rng([trial.seed, place]).normal(0, 0.01)
        if made := result(trial, made_up(trial, min(0.5 + 0.03 * place, 0.8) + noise)):
            store.scratch(trial)
            store.commit(trial, made)
    return Run(folder / "run")
