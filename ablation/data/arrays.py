"""Check images and labels from any source, and convert them to one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablation.data.labels import Labels, as_labels, most_frequent_share
from ablation.data.part_names import IN_WORDS, PARTS, PartName, part_of, words
from ablation.data.scales import refuse_other_scales, scale_notes, scaling_hint
from ablation.errors import DatasetError

__all__ = ["Labels", "RawImages", "most_frequent_share", "raw_images"]

CLASS_NAMES = ("class_names", "label_names")
_IMAGES = {"x", "images", "image", "imgs", "img", "data"}
_LABELS = {"y", "labels", "label", "targets", "target"}

Content = Literal["x", "y"]
Arrays = dict[tuple[PartName, Content], NDArray[Any]]


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
        val_images: The images of the source's own validation set, or None if it has none.
        val_labels: The labels of the validation images, or None.
        notes: What was found while reading and should be known, in whole sentences.
    """

    images: NDArray[Any]
    labels: Labels
    test_images: NDArray[Any] | None
    test_labels: Labels | None
    class_names: tuple[str, ...]
    origin: str
    val_images: NDArray[Any] | None = None
    val_labels: Labels | None = None
    notes: tuple[str, ...] = ()


def raw_images(
    arrays: Mapping[str, Any],
    origin: str,
    where: object,
    class_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> RawImages:
    """Return images from arrays by their usual names: x_train, y_train, x_val, ..., y_test, or x and y.

    Labels are one whole number or one name per image, or one row of 0 and 1 per image. If every row contains
    exactly one 1, the rows are one-hot classes; otherwise, images have any number of labels.

    Args:
        arrays: The arrays by name; ``class_names`` is optional.
        origin: A description of the images.
        where: The source of the arrays, for errors.
        class_names: The names of the classes in their order, instead of those in ``arrays``.
        notes: What was found while reading.

    Raises:
        DatasetError: Arrays are missing, or are not images with labels.
    """
    found, unread = _by_part(arrays, where)
    if ("train", "x") not in found or ("train", "y") not in found:
        array_names = ", ".join(sorted(set(arrays) - set(CLASS_NAMES)))
        raise DatasetError(
            f"{where} contains {array_names or 'no arrays'}; expected x_train and y_train "
            "(with x_test and y_test if there is a test set), or x and y."
        )
    for part in ("val", "test"):
        if ((part, "x") in found) != ((part, "y") in found):
            raise DatasetError(f"{where}: expected both x_{part} and y_{part}, or neither of them.")
    checked = {
        part: _checked_part(found[part, "x"], found[part, "y"], f"{where}, {IN_WORDS[part]} set")
        for part in PARTS
        if (part, "x") in found
    }
    images = {part: x for part, (x, _) in checked.items()}
    refuse_other_scales(images, where)
    names = tuple(class_names) or _names_in(arrays, where)
    labels, names = as_labels({part: y for part, (_, y) in checked.items()}, names, where)
    return RawImages(
        images["train"], labels["train"], images.get("test"), labels.get("test"), names, origin,
        images.get("val"), labels.get("val"), (*notes, *unread, *scale_notes(images)),
    )  # fmt: skip


def _names_in(arrays: Mapping[str, Any], where: object) -> tuple[str, ...]:
    """Return the names of the classes that the source gives; empty if it gives none."""
    for key in CLASS_NAMES:
        if (given := arrays.get(key)) is None or np.size(given) == 0:
            continue
        names = tuple(str(name) for name in given) if np.ndim(given) == 1 else ()
        if not names or len(set(names)) < len(names):
            raise DatasetError(f"{where}: {key} is not a list of different names, one per class.")
        return names
    return ()


def _by_part(arrays: Mapping[str, Any], where: object) -> tuple[Arrays, list[str]]:
    """Find what each array is by its name; the arrays that are not read are named in a note."""
    names: dict[tuple[PartName, Content], str] = {}
    whole: dict[Content, str] = {}
    unread = []
    for name in arrays:
        role = _role(name)
        if role is None:
            unread += [name] if name not in CLASS_NAMES else []
        elif role[0] is None:
            if role[1] in whole:
                raise _two_arrays(where, whole[role[1]], name, "images" if role[1] == "x" else "labels")
            whole[role[1]] = name
        elif other := names.get((role[0], role[1])):
            what = f"the {IN_WORDS[role[0]]} {'images' if role[1] == 'x' else 'labels'}"
            raise _two_arrays(where, other, name, what)
        else:
            names[role[0], role[1]] = name
    for content, name in whole.items():
        if ("train", content) in names:
            unread.append(name)
        names.setdefault(("train", content), name)
    note = f"These arrays are not read: {', '.join(sorted(unread))}."
    return {role: arrays[name] for role, name in names.items()}, [note] if unread else []


def _two_arrays(where: object, first: str, second: str, what: str) -> DatasetError:
    return DatasetError(f"{where} contains both {first} and {second}; expected one array of {what}.")


def _role(name: str) -> tuple[PartName | None, Content] | None:
    """Return part and content of an array by its name; the part is None if the name does not say it."""
    split = words(name)
    if len(split) == 1 and split[0][0] in "xy" and part_of(split[0][1:]):  # xtrain
        split = [split[0][0], split[0][1:]]
    kinds: list[Content] = ["x" if w in _IMAGES else "y" for w in split if w in _IMAGES | _LABELS]
    rest = [word for word in split if word not in _IMAGES | _LABELS]
    if len(kinds) != 1 or len(rest) > 1:
        return None
    part = part_of(rest[0]) if rest else None
    return (part, kinds[0]) if part or not rest else None


def _checked_part(x: NDArray[Any], y: NDArray[Any], where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images = x[..., None] if x.ndim == 3 else x
    labels = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if images.ndim != 4 or 0 in images.shape:
        hint = " Convert rows of pixels with x.reshape(-1, height, width)." if x.ndim == 2 else ""
        raise DatasetError(
            f"{where}: images have the shape {x.shape}; expected (n, height, width) or "
            f"(n, height, width, channels).{hint}"
        )
    if images.shape[1] in (1, 3, 4) and images.shape[1] < images.shape[2] and images.shape[3] > 4:
        raise DatasetError(
            f"{where}: images have the shape {x.shape}, and their channels seem to come first; expected (n, "
            "height, width, channels). Convert them with x.transpose(0, 2, 3, 1)."
        )
    return _checked_images(images, where), _checked_labels(labels, y.shape, len(images), where)


def _checked_labels(labels: NDArray[Any], shape: tuple[int, ...], images: int, where: str) -> NDArray[Any]:
    """Return whole numbers, names as text, or rows of 0 and 1."""
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)
    rows = labels.ndim == 2 and labels.dtype.kind in "biuf" and np.isin(labels, (0, 1)).all()
    classes = labels.ndim == 1 and labels.dtype.kind in "iuU"
    if not (rows or classes) or len(labels) != images:
        kind, is_row = labels.dtype.kind, labels.ndim == 1
        whole = is_row and (kind == "b" or (kind == "f" and bool((labels == np.round(labels)).all())))
        hint = " Convert them with y.astype(int)." if whole else ""
        raise DatasetError(
            f"{where}: labels are {labels.dtype} of shape {shape}; expected {images} whole numbers or class "
            f"names, one per image, or rows of 0 and 1, one column per label.{hint}"
        )
    return labels


def _checked_images(images: NDArray[Any], where: str) -> NDArray[Any]:
    if images.dtype.kind == "f":
        least, most = images.min(), images.max()
        if np.isnan(least):
            count = int(np.isnan(images).any(axis=tuple(range(1, images.ndim))).sum())
            raise DatasetError(f"{where}: {count} of {len(images)} images contain NaN.")
        if not (least >= 0 and most <= 1):
            raise DatasetError(
                f"{where}: values of float images must be between 0 and 1; these range from {least:g} to "
                f"{most:g}.{scaling_hint(images)}"
            )
        return images.astype(np.float32)
    if images.dtype != np.uint8:
        raise DatasetError(
            f"{where}: images are {images.dtype}; expected uint8 from 0 to 255, or floats from 0 to 1."
            f"{scaling_hint(images)}"
        )
    return images
