"""Check images and labels from any source, and convert them to one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.errors import DatasetError

Labels = NDArray[np.integer[Any]]
"""One class per image, (n,), int64 from 0; or several labels per image, (n, labels), uint8, 0 or 1."""


@dataclass(frozen=True)
class RawImages:
    """Images as read from a source, before any split.

    Attributes:
        images: (n, height, width, channels), uint8 from 0 to 255 or float32 from 0 to 1.
        labels: One class per image, or several labels per image; see `Labels`.
        test_images: The images of the official test set, or None if the source has none.
        test_labels: The labels of the test images, or None.
        class_names: One name per class, or per label.
        origin: A description of the images, for captions.
    """

    images: NDArray[Any]
    labels: Labels
    test_images: NDArray[Any] | None
    test_labels: Labels | None
    class_names: tuple[str, ...]
    origin: str


def raw_images(arrays: Mapping[str, Any], origin: str, where: object) -> RawImages:
    """Return images from arrays named x_train, y_train, x_test and y_test, or x and y.

    Labels are one whole number per image, or one row of 0 and 1 per image. If every row contains exactly one
    1, the rows are one-hot classes; otherwise, images have any number of labels.

    Args:
        arrays: The arrays by name; ``class_names`` is optional.
        origin: A description of the images.
        where: The source of the arrays, for errors.

    Raises:
        DatasetError: Arrays are missing, or are not images with labels.
    """
    x, y = arrays.get("x_train", arrays.get("x")), arrays.get("y_train", arrays.get("y"))
    x_test, y_test = arrays.get("x_test"), arrays.get("y_test")
    names = tuple(str(name) for name in arrays.get("class_names", ()))
    if x is None or y is None:
        array_names = ", ".join(sorted(set(arrays) - {"class_names"}))
        raise DatasetError(
            f"{where} contains {array_names or 'no arrays'}; expected x_train and y_train "
            "(with x_test and y_test if there is a test set), or x and y."
        )
    if (x_test is None) != (y_test is None):
        raise DatasetError(f"{where}: expected both x_test and y_test, or neither of them.")
    images, labels = _checked_part(x, y, f"{where}, training set")
    test_images, test_labels = (
        (None, None)
        if x_test is None or y_test is None
        else _checked_part(x_test, y_test, f"{where}, test set")
    )
    if test_images is not None and test_images.shape[1:] != images.shape[1:]:
        raise DatasetError(
            f"{where}: test images have the shape {test_images.shape[1:]}; expected {images.shape[1:]}, as "
            "training images have."
        )
    parts = {"training": labels} | ({} if test_labels is None else {"test": test_labels})
    parts, classes = _as_classes(parts, len(names), where)
    _check_range(parts, classes, where)
    names = names or tuple(str(k) for k in range(classes))
    return RawImages(images, parts["training"], test_images, parts.get("test"), names, origin)


def _checked_part(x: NDArray[Any], y: NDArray[Any], where: str) -> tuple[NDArray[Any], Labels]:
    images = x[..., None] if x.ndim == 3 else x
    labels = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if images.ndim != 4 or 0 in images.shape:
        raise DatasetError(
            f"{where}: images have the shape {x.shape}; expected (n, height, width) or "
            "(n, height, width, channels)."
        )
    rows = labels.ndim == 2 and labels.dtype.kind in "biuf" and np.isin(labels, (0, 1)).all()
    numbers = labels.ndim == 1 and labels.dtype.kind in "iu"
    if not (rows or numbers) or len(labels) != len(images):
        raise DatasetError(
            f"{where}: labels are {labels.dtype} of shape {y.shape}; "
            f"expected {len(images)} whole numbers, one per image, or rows of 0 and 1, one column per label."
        )
    if images.dtype.kind == "f":
        least, most = images.min(), images.max()
        if np.isnan(least):
            count = int(np.isnan(images).any(axis=tuple(range(1, images.ndim))).sum())
            raise DatasetError(f"{where}: {count} of {len(images)} images contain NaN.")
        if not (least >= 0 and most <= 1):
            raise DatasetError(
                f"{where}: values of float images must be between 0 and 1; these range from {least:g} to "
                f"{most:g}."
            )
        images = images.astype(np.float32)
    elif images.dtype != np.uint8:
        raise DatasetError(
            f"{where}: images are {images.dtype}; expected uint8 from 0 to 255, or floats from 0 to 1."
        )
    return images, labels.astype(np.uint8 if rows else np.int64)


def _as_classes(parts: dict[str, Labels], name_count: int, where: object) -> tuple[dict[str, Labels], int]:
    """Convert one-hot rows to classes, and count the classes or labels; other labels are unchanged."""
    labels = parts["training"]
    if any(part.shape[1:] != labels.shape[1:] for part in parts.values()):
        shapes = " and ".join(f"{name} labels of shape {part.shape}" for name, part in parts.items())
        raise DatasetError(f"{where}: {shapes} do not match.")
    if labels.ndim == 1:
        return parts, name_count or int(labels.max()) + 1
    columns = labels.shape[1]
    if name_count not in (0, columns):
        raise DatasetError(f"{where}: labels have {columns} columns, but there are {name_count} class names.")
    if all((part.sum(axis=1) == 1).all() for part in parts.values()):
        parts = {name: part.argmax(axis=1) for name, part in parts.items()}
    return parts, columns


def _check_range(parts: dict[str, Labels], classes: int, where: object) -> None:
    """Raise an error for labels out of range, and for classes or labels that no training image has."""
    labels = parts["training"]
    if labels.ndim == 2:
        is_present = labels.any(axis=0)
    else:
        for name, part in parts.items():
            if not 0 <= part.min() <= part.max() < classes:
                raise DatasetError(
                    f"{where}: {name} labels range from {part.min()} to {part.max()}; "
                    f"expected 0 to {classes - 1}."
                )
        is_present = np.bincount(labels, minlength=classes) > 0
    if not is_present.all():
        missing = int(np.flatnonzero(~is_present)[0])
        largest = "" if labels.ndim == 2 else f" The largest label is {labels.max()}."
        raise DatasetError(
            f"{where}: no training image has the label {missing}, one of {classes} classes.{largest}"
        )
    if classes < 2:
        raise DatasetError(f"{where}: all labels are the same; a classifier needs at least two classes.")


def most_frequent_share(labels: Labels) -> float:
    """Return the accuracy of always predicting the most frequent class, or set of labels.

    Args:
        labels: The classes, (images,), or whether each label applies, (images, labels).
    """
    return float(np.unique(labels, axis=0, return_counts=True)[1].max() / len(labels))
