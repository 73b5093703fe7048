"""What in a trial cannot be as it is, although its files agree with their checksums."""

from __future__ import annotations

import json
import math

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.data.predictions import Predictions
from ablation.grid.settings import UserModelSettings
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.store.trial_store import TrialStore
from ablation.training.epochs import best_of, final_measures, order_digest, trouble_in

_PARTS = ("train", "val", "test")
_NAMES = tuple(f"{part}_" for part in _PARTS)
_MEASURED = tuple(f"{part}_{name}" for part in _PARTS for name in ("accuracy", "loss"))
_SMALLEST_PROBABILITY = 1e-30  # below it, float32 is too coarse for a loss
_LOSS_TOLERANCE = 1e-3  # of a loss that was computed from logits, and is computed again from probabilities


def contradiction(store: TrialStore, trial: Trial, result: TrialResult, dataset: Dataset) -> str:
    """Say what in a trial contradicts its settings, its seed or its predictions; empty if nothing is found.

    Args:
        store: Where the trial is kept.
        trial: A trial that completed or diverged.
        result: Its result.
        dataset: The images of the study.
    """
    record = json.loads((store.place(trial) / "trial.json").read_text("utf-8"))
    if record.get("settings") != json.loads(json.dumps(trial.settings)):
        return "trial.json names other settings than those of the study"
    images = dataset.of(trial)
    return (
        _impossible_history(trial, result, images)
        or _impossible_names(result)
        or (_impossible_end(result) if result.status == "diverged" else "")
        or (_impossible_metrics(store, trial, result, images) if result.is_completed else "")
    )


def _impossible_history(trial: Trial, result: TrialResult, images: Dataset) -> str:
    """Compare the epochs with the settings, and their batch orders with those of the seed."""
    epochs, planned = len(result.history), trial.training.epochs
    may_stop = trial.training.early_stopping or trial.training.callbacks or not result.is_completed
    if epochs > planned or epochs == 0 or (epochs < planned and not may_stop):
        return f"its history has {counted(epochs, 'epoch')} instead of {planned}"
    for epoch, known in enumerate(result.history, 1):
        order = order_digest(trial.randomness.batch_order(epoch, len(images.train)), images)
        if known.epoch != epoch or known.order != order:
            return f"the batch order of epoch {epoch} is not that of seed {trial.seed}"
    return ""


def _impossible_names(result: TrialResult) -> str:
    """Refuse measures under names that would be those of other columns of the tables."""
    names = [*result.metrics, *(name for record in result.history for name in record.extra)]
    foreign = [name for name in names if not name.startswith(_NAMES)]
    return f"'{foreign[0]}' is no measure" if foreign else ""


def _impossible_end(result: TrialResult) -> str:
    return "" if trouble_in(result.history[-1]) else "it is said to have diverged, and its losses are finite"


def _impossible_metrics(store: TrialStore, trial: Trial, result: TrialResult, images: Dataset) -> str:
    missing = [name for name in _MEASURED if name not in result.metrics]
    if missing or not result.parameters:
        return f"result.json has no {missing[0] if missing else 'parameters'}"
    return _other_history(trial, result) or _other_predictions(store, trial, result, images)


def _has_own_code(trial: Trial) -> bool:
    """Return whether a user's code may have compiled the model with another loss or optimizer."""
    return isinstance(trial.model, UserModelSettings)


def _other_history(trial: Trial, result: TrialResult) -> str:
    """Compare the metrics with the epoch that they were measured after, unless something may change them."""
    is_plain = isinstance(trial.training.optimizer, str) and not trial.training.callbacks
    if not is_plain or _has_own_code(trial):
        return ""
    history = list(result.history)
    measured = final_measures(best_of(history) if trial.training.evaluate == "best" else history[-1])
    for name, value in measured.items():
        found = result.metrics.get(name, math.nan)
        if found != value and not (math.isnan(found) and math.isnan(value)):
            return f"{name} is {found:.4f}, and the history of the epochs says {value:.4f}"
    return ""


def _other_predictions(store: TrialStore, trial: Trial, result: TrialResult, images: Dataset) -> str:
    """Compute from the kept predictions what can be computed, and compare it with the metrics."""
    probabilities = store.test_probabilities(trial)
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
    if not is_plain or images.is_multi_label or _has_own_code(trial):
        return None
    of_label = probabilities[np.arange(len(probabilities)), images.test.labels].astype(np.float64)
    return float(-np.log(of_label).mean()) if of_label.min() > _SMALLEST_PROBABILITY else None
