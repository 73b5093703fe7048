"""What is checked of one hand-in: whether it is whole, untouched, and in agreement with itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from ablation.classroom.hand_ins import MOST_BYTES, Fault
from ablation.data.datasets import Dataset
from ablation.data.predictions import Predictions
from ablation.errors import RunError
from ablation.files import files_below
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.results.left_out import trained_by_earlier_code
from ablation.results.run import Run
from ablation.store.model_layers import kept_accounts
from ablation.store.run_folder import is_search
from ablation.training.epochs import best_of, final_measures, order_digest

_FINISHED = ("completed", "diverged")
_SMALLEST_PROBABILITY = 1e-30  # below it, float32 is too coarse for a loss
_LOSS_TOLERANCE = 1e-3  # of a loss that was computed from logits, and is computed again from probabilities


def open_hand_in(folder: Path) -> Run:
    """Return the run of a hand-in.

    Raises:
        Fault: It is not a run of a study.
    """
    try:
        if is_search(folder):
            raise Fault("it is a search and no run of a study.")
        run = Run(folder)
    except RunError:
        raise Fault("study.json is damaged.") from None
    if not run.study.reads_test:
        raise Fault("its trials do not read the test set, as those of a search.")
    return run


def images_of(run: Run) -> Dataset | None:
    """Return the images of a hand-in; None if it has none, which may be left out where they are many.

    Raises:
        Fault: They are not those that its study names.
    """
    file = run.store.dataset_file
    if not file.is_file():
        return None
    try:
        with ZipFile(file) as arrays:
            is_too_large = sum(member.file_size for member in arrays.infolist()) > MOST_BYTES
        dataset = None if is_too_large else Dataset.load(file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, MemoryError):
        dataset = None
    if dataset is None or dataset.digest != run.trials[0].dataset_digest:
        raise Fault("dataset.npz does not hold the images that study.json names: damaged or edited.")
    return dataset


def require_sound(run: Run, dataset: Dataset) -> None:
    """Check the trials of a hand-in, each against its checksums, its predictions and its seed.

    Args:
        run: The hand-in.
        dataset: The images of the class.

    Raises:
        Fault: A trial is missing, or something in it was changed or cannot come from its seed.
    """
    kept_accounts(run.store)  # which the merged report reads, too
    for trial in run.trials:
        if damage := _foreign_file(run, trial) or run.store.damage(trial):
            raise Fault(f"{_named(trial)}: {damage}: damaged or edited after it was written.")
    _require_all(run)
    for trial in run.trials:
        if problem := _contradiction(run, trial, run.trial_results[trial.id], dataset):
            raise Fault(f"{_named(trial)}: {problem}.")


def _named(trial: Trial) -> str:
    return f"{trial.variant} seed {trial.seed}"


def _foreign_file(run: Run, trial: Trial) -> str:
    """Say whether the record of a trial names a file that is not below its folder; it would be read."""
    folder = run.store.place(trial)
    file = folder / "trial.json"
    if not file.is_file():
        return ""
    try:
        names = set(json.loads(file.read_text("utf-8"))["files"])
    except (ValueError, KeyError, TypeError):
        return "trial.json does not contain what was written"
    foreign = sorted(names - files_below(folder).keys())
    return f"{foreign[0]} is missing" if foreign else ""


def _require_all(run: Run) -> None:
    """Refuse a run of which trials are missing: those that are there may have been chosen."""
    missing = [trial for trial in run.trials if trial.id not in run.trial_results]
    if len(missing) == len(run.trials) and (reasons := trained_by_earlier_code(run)):
        raise Fault(f"its trials were trained by other code: {next(iter(reasons.values()))}.")
    if missing:
        raise Fault(
            f"the run is not finished: {len(missing)} of {counted(len(run.trials), 'trial')} "
            f"{'is' if len(missing) == 1 else 'are'} missing, the first of them {_named(missing[0])}."
        )
    for trial in run.trials:
        result = run.trial_results[trial.id]
        if result.status not in _FINISHED:
            raise Fault(f"{_named(trial)} did not complete: {result.status}, {result.cause.rstrip('.')}.")


def _contradiction(run: Run, trial: Trial, result: TrialResult, dataset: Dataset) -> str:
    """Say what in a trial cannot be as it is, although its checksums agree; empty if nothing is found."""
    record = json.loads((run.store.place(trial) / "trial.json").read_text("utf-8"))
    if record.get("settings") != json.loads(json.dumps(trial.settings)):
        return "trial.json names other settings than those of the study"
    images = dataset.of(trial)
    for epoch, known in enumerate(result.history, 1):
        order = order_digest(trial.randomness.batch_order(epoch, len(images.train)), images)
        if known.epoch != epoch or known.order != order:
            return f"the batch order of epoch {epoch} is not that of seed {trial.seed}"
    if result.status != "completed":
        return ""
    if not result.history or (len(result.history) != trial.training.epochs and _trains_all(trial)):
        return f"{counted(len(result.history), 'epoch')} of {trial.training.epochs} were trained"
    return _other_history(trial, result) or _other_predictions(run, trial, result, images)


def _trains_all(trial: Trial) -> bool:
    return not trial.training.early_stopping and not trial.training.callbacks


def _other_history(trial: Trial, result: TrialResult) -> str:
    """Compare the metrics with the epoch that they were measured after, unless something may change them."""
    if trial.training.callbacks or not isinstance(trial.training.optimizer, str):
        return ""
    history = list(result.history)
    measured = final_measures(best_of(history) if trial.training.evaluate == "best" else history[-1])
    for name, value in measured.items():
        found = result.metrics.get(name, math.nan)
        if found != value and not (math.isnan(found) and math.isnan(value)):
            return f"{name} is {found:.4f}, and the history of the epochs says {value:.4f}"
    return ""


def _other_predictions(run: Run, trial: Trial, result: TrialResult, images: Dataset) -> str:
    """Compute from the kept predictions what can be computed, and compare it with the metrics."""
    probabilities = run.store.test_probabilities(trial)
    labels = images.test.labels
    shape = (len(labels), len(images.class_names))
    if probabilities is None or probabilities.shape != shape or probabilities.dtype != np.float32:
        return f"test_probabilities.npy does not hold float32 numbers of shape {shape}"
    accuracy = float(np.mean(Predictions.of(probabilities, images.is_multi_label).right(labels)))
    found = result.metrics.get("test_accuracy", math.nan)
    if found != accuracy:
        return f"test_accuracy is {found:.4f}, and its predictions give {accuracy:.4f}"
    loss, found = _crossentropy(trial, probabilities, images), result.metrics.get("test_loss", math.nan)
    if loss is not None and not abs(found - loss) <= _LOSS_TOLERANCE * (1 + loss):
        return f"test_loss is {found:.4f}, and its predictions give {loss:.4f}"
    return ""


def _crossentropy(trial: Trial, probabilities: NDArray[np.float32], images: Dataset) -> float | None:
    """Return the mean crossentropy; None if the trial has another loss, or float32 is too coarse for it."""
    is_plain = trial.training.loss == "categorical_crossentropy" and trial.training.precision == "float32"
    if not is_plain or images.is_multi_label:
        return None
    of_label = probabilities[np.arange(len(probabilities)), images.test.labels].astype(np.float64)
    return float(-np.log(of_label).mean()) if of_label.min() > _SMALLEST_PROBABILITY else None
