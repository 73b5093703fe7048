"""Parts of a dataset: how they are split off, and how their pixels are normalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.labels import Labels
from ablation.errors import DatasetError
from ablation.grid.settings import DatasetSettings


@dataclass(frozen=True)
class Part:
    """Some images and their labels.

    Attributes:
        images: (n, height, width, channels), uint8 or float32.
        labels: One class per image, (n,), int64; or several labels per image, (n, labels), uint8.
    """

    images: NDArray[Any]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Part:
        """Return the images at ``indices``."""
        return Part(np.ascontiguousarray(self.images[indices]), self.labels[indices])


def split_off(
    part: Part, size: float, settings: DatasetSettings, classes: int, key: str
) -> tuple[Part, Part]:
    """Split off ``size`` images, or that share of them if it is below 1.

    The split is stratified by class, or random if images have several labels.

    Returns:
        The remaining images, and the images that were split off.

    Raises:
        DatasetError: There are too few images for the split.
    """
    from sklearn.model_selection import train_test_split

    count = round(size * len(part)) if size < 1 else int(size)
    if count == len(part) and key != "validation_size":
        return part.take(np.arange(0)), part.take(
            np.random.default_rng(settings.split_seed).permutation(len(part))
        )
    if part.labels.ndim == 2:
        if not 0 < count < len(part):
            reason = "both parts of the split need at least one image."
            raise DatasetError(f"dataset.{key}: {_not_taken(count, len(part), reason)}")
        rest, taken = train_test_split(
            np.arange(len(part)), test_size=count, random_state=settings.split_seed
        )
        return part.take(rest), part.take(taken)
    smallest = int(np.bincount(part.labels, minlength=classes).min())
    if count < classes or len(part) - count < classes or smallest < 2:
        reason = (
            f"both parts of the split need at least one image of each of the {classes} classes, but the "
            f"smallest class has {smallest}."
        )
        raise DatasetError(f"dataset.{key}: {_not_taken(count, len(part), reason)}")
    rest, taken = train_test_split(
        np.arange(len(part)), test_size=count, random_state=settings.split_seed, stratify=part.labels
    )
    return part.take(rest), part.take(taken)


def _not_taken(count: int, available: int, reason: str) -> str:
    """Say that a part of a split cannot have this many images, and why."""
    if count > available:
        return f"cannot take {count:,} images: only {available:,} are available."
    return f"cannot take {count:,} of {available:,} images: {reason}"


def normalisation(images: NDArray[Any], kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale and the offset per channel, both (channels,), computed on training images."""
    channels = images.shape[-1]
    unit = 1 / 255 if images.dtype == np.uint8 else 1.0
    if kind == "unit":
        return np.full(channels, unit, np.float32), np.zeros(channels, np.float32)
    mean = images.mean(axis=(0, 1, 2), dtype=np.float64)
    deviation = images.std(axis=(0, 1, 2), dtype=np.float64)
    deviation[deviation == 0] = 1.0
    return (1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32)
