"""Parts of a dataset: how they are split off, and how their pixels are normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.labels import Labels
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings


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

    @property
    def classes(self) -> int:
        """The number of classes that the images have."""
        return len(np.unique(self.labels))

    def take(self, indices: NDArray[np.int64]) -> Part:
        """Return the images at ``indices``."""
        return Part(np.ascontiguousarray(self.images[indices]), self.labels[indices])


def split_off(
    part: Part,
    size: float,
    settings: DatasetSettings,
    classes: int,
    key: str,
    taken: Mapping[str, int] | None = None,
) -> tuple[Part, Part]:
    """Split off ``size`` images, or that share of them if it is below 1.

    The split is stratified by class, or random if images have several labels.

    Args:
        part: The images to split.
        size: The number of images to split off, or their share.
        settings: Where the seed of the split comes from.
        classes: The number of classes that the images should have.
        key: The setting that gives the size, for errors.
        taken: How many images were split off before, by the name of their part, for errors.

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
    if reason := _why_not(part, count, classes):
        raise DatasetError(reason + _before(taken or {}, len(part)), f"dataset.{key}", size)
    rest, chosen = train_test_split(
        np.arange(len(part)),
        test_size=count,
        random_state=settings.split_seed,
        stratify=part.labels if part.labels.ndim == 1 else None,
    )
    return part.take(rest), part.take(chosen)


def _why_not(part: Part, count: int, classes: int) -> str:
    """Say why this many images cannot be split off; empty if they can."""
    available = len(part)
    if count > available:
        return f"cannot take {count:,} images: only {available:,} are available."
    if part.labels.ndim == 2:
        reason = "" if 0 < count < available else "both parts of the split need at least one image."
    else:
        sizes = np.unique(part.labels, return_counts=True)[1]
        smallest = int(sizes.min()) if len(sizes) == classes else 0
        fits = count >= classes and available - count >= classes and smallest >= 2
        reason = "" if fits else (
            f"both parts of the split need at least one image of each of the {classes} classes, but the "
            f"smallest class has {smallest}."
        )  # fmt: skip
    return reason and f"cannot take {count:,} of {available:,} images: {reason}"


def _before(taken: Mapping[str, int], available: int) -> str:
    """Say where the other images went; empty if none were split off before."""
    where = (f"{count:,} are {part} images (dataset.{part}_size)" for part, count in taken.items())
    total = available + sum(taken.values())
    return f" Of the {total:,} images, {' and '.join(where)}." if taken else ""


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
