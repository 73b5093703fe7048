"""The record of an epoch, and what follows from the records of a trial; both engines share it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.digest import short_digest
from ablation.grid.settings import EarlyStopping
from ablation.grid.trial import EpochRecord, InitialWeights
from ablation.models.augmentation import layers_by_path
from ablation.models.cost import counted_multiply_adds
from ablation.models.layer_paths import own_weights

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[EpochRecord], None]

_ACTIVE = ("active_loss", "active_accuracy")
NOT_MEASURED: dict[str, Any] = dict.fromkeys(
    (*_ACTIVE, "train_loss", "train_accuracy", "val_loss", "val_accuracy"), math.nan
)


def measures_of_epoch(
    train: dict[str, float], val: dict[str, float], active: tuple[float, float], penalty: float
) -> dict[str, Any]:
    """Return what is measured after an epoch, by the names of an `EpochRecord`.

    Args:
        train: The measures of training images in inference mode, by name.
        val: Those of the validation images.
        active: Loss and accuracy of the same training images in training mode.
        penalty: What regularizers and `add_loss` add to the loss of the validation images.
    """
    parts = {"train": dict(train), "val": dict(val)}
    known = {
        f"{part}_{name}": measures.pop(name)
        for part, measures in parts.items()
        for name in ("loss", "accuracy")
    }
    extra = {f"{part}_{name}": value for part, measures in parts.items() for name, value in measures.items()}
    return {**known, **dict(zip(_ACTIVE, active, strict=True)), "penalty": penalty, "extra": extra}


def trouble_in(record: EpochRecord) -> str:
    """Return why training cannot go on after an epoch: a loss is no longer finite. Else it is empty."""
    for name, value in (("training", record.loss), ("validation", record.val_loss)):
        if not math.isfinite(value):
            return f"the {name} loss became {value} in epoch {record.epoch}"
    return ""


def is_best(measures: Mapping[str, Any], history: list[EpochRecord]) -> bool:
    """Return whether an epoch has a higher validation accuracy than every epoch before it."""
    return all(measures["val_accuracy"] > past.val_accuracy for past in history)


def best_of(history: list[EpochRecord]) -> EpochRecord:
    """Return the first epoch with the highest validation accuracy; NaN counts as the lowest."""
    return max(history, key=lambda r: -math.inf if math.isnan(r.val_accuracy) else r.val_accuracy)


def best_epoch(history: list[EpochRecord]) -> int | None:
    """Return the number of the best epoch, from 1; None if none was measured."""
    best = best_of(history)
    return None if math.isnan(best.val_accuracy) else best.epoch


def has_stalled(history: list[EpochRecord], stopping: EarlyStopping) -> bool:
    """Return whether the last ``patience`` epochs brought no improvement over the best epoch before them."""
    sign = -1 if stopping.monitor == "val_loss" else 1
    best, best_at = -math.inf, 0
    for at, record in enumerate(history):
        score = sign * float(getattr(record, stopping.monitor))
        if score > best + stopping.min_delta:
            best, best_at = score, at
    return len(history) - 1 - best_at >= stopping.patience


def final_measures(record: EpochRecord) -> dict[str, float]:
    """Return ``train_*`` and ``val_*`` as they were measured after an epoch."""
    measured = record.model_dump(exclude={"extra"}) | record.extra
    return {key: value for key, value in measured.items() if key.startswith(("train_", "val_"))}


def described(model: keras.Model) -> dict[str, Any]:
    """Return what a result says of its model before training."""
    return {
        "parameters": model.count_params(),
        "multiply_adds": counted_multiply_adds(model),
        "initial_weights": fingerprints(model),
    }


def fingerprints(model: keras.Model) -> dict[str, InitialWeights]:
    """Return the shape and a hash of the weights of each layer that has weights of its own, by path."""
    weights = {path: own_weights(layer) for path, layer in layers_by_path(model).items()}
    arrays = {path: [weight.numpy() for weight in own] for path, own in weights.items() if own}
    return {path: InitialWeights(shape=a[0].shape, digest=_digest(*a)) for path, a in arrays.items()}


def order_digest(order: NDArray[np.int32], dataset: Dataset) -> str:
    """Return a hash of the images that an epoch visits, in its order: equal for trials that are pairs."""
    return _digest(order if dataset.places is None else dataset.places[order])


def built_from(structure: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return what a checkpoint of a model is valid for, beside the environment.

    Modules are left out: which of them a process has noticed depends on what it trained before.
    """
    return {"structure": structure} | {k: v for k, v in files.items() if not k.endswith(".py")}


def _digest(*arrays: NDArray[Any]) -> str:
    return short_digest(b"".join(array.tobytes() for array in arrays))
