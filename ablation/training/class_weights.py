"""The weight of each class in the loss that training minimises."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.errors import AblationError, did_you_mean


def class_weights(setting: str | Mapping[str, float] | None, dataset: Dataset) -> NDArray[np.float32]:
    """Return one weight per class, of shape (classes,).

    Args:
        setting: None, for weights of 1; ``balanced``, for weights with which every class of the training
            images counts the same; or weights by the name or the number of a class, 1 for all others.
        dataset: The classes, and the training images.

    Raises:
        AblationError: Images have several labels, or there is no such class.
    """
    names = dataset.class_names
    weights = np.ones(len(names), np.float32)
    if setting is None:
        return weights
    if dataset.is_multi_label:
        raise AblationError(
            "class_weight is for images of exactly one class, but these images have any number of labels."
        )
    if setting == "balanced":
        counts = np.bincount(dataset.train.labels, minlength=len(names))
        return np.divide(len(dataset.train), len(names) * counts, out=weights, where=counts > 0)
    assert not isinstance(setting, str)
    for key, weight in setting.items():
        weights[_number(key, names)] = weight
    return weights


def _number(key: str, names: tuple[str, ...]) -> int:
    """Return the number of a class from its name or, if no class has that name, from its number as text."""
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(names):
        return int(key)
    raise AblationError(
        f"class_weight: there is no class '{key}'.{did_you_mean(key, names)} A class can also be given by "
        f"its number, from 0 to {len(names) - 1}."
    )
