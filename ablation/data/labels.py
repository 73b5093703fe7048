"""Bring labels of any kind to one form: numbers of classes, or rows of 0 and 1."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.control_characters import control_in, visible
from ablation.data.part_names import IN_WORDS, PartName
from ablation.errors import DatasetError, did_you_mean

Labels = NDArray[np.integer[Any]]
"""One class per image, (n,), int64 from 0; or several labels per image, (n, labels), uint8, 0 or 1."""

_MISSING = {"", "nan", "<na>", "n/a", "#n/a", "nat", "null"}
_WHOLE = re.compile(r"(\d+)(\.0*)?")
_COPY = re.compile(r"^copy of | - copy( ?\(\d+\))?$|[ _-](copy|backup|bak)( ?\d+)?$|\.bak$| ?\(\d+\)$")


def as_labels(
    parts: Mapping[PartName, NDArray[Any]], names: Sequence[str], where: object
) -> tuple[dict[PartName, Labels], tuple[str, ...]]:
    """Convert the labels of all parts to `Labels`, and name the classes.

    Args:
        parts: For each part whole numbers from 0 or names of classes, both (n,); or rows of 0 and 1,
            (n, labels). If every row contains exactly one 1, the rows are one-hot classes.
        names: The names of the classes or labels in their order; empty if they are not known.
        where: The source of the labels, for errors.

    Raises:
        DatasetError: The labels do not match each other or the names, are out of range, or are all the same;
            or no training image has one of them.
    """
    refuse_control(names, where)
    first = parts["train"]
    if any(part.shape[1:] != first.shape[1:] for part in parts.values()):
        shapes = " and ".join(
            f"{IN_WORDS[name]} labels of shape {part.shape}" for name, part in parts.items()
        )
        raise DatasetError(f"{where}: {shapes} do not match.")
    if any(part.dtype.kind == "U" for part in parts.values()):
        parts, names = _numbered(parts, names, where)
    if parts["train"].ndim == 2:
        columns = first.shape[1]
        if len(names) not in (0, columns):
            raise DatasetError(
                f"{where}: labels have {columns} columns, but there are {len(names)} class names."
            )
        if all((part.sum(axis=1) == 1).all() for part in parts.values()):
            parts = {name: part.argmax(axis=1) for name, part in parts.items()}
    kind = np.uint8 if parts["train"].ndim == 2 else np.int64
    labels: dict[PartName, Labels] = {name: part.astype(kind) for name, part in parts.items()}
    count = len(names) or (first.shape[1] if first.ndim == 2 else int(labels["train"].max()) + 1)
    _check_range(labels, names, count, where)
    return labels, tuple(names) or tuple(str(k) for k in range(count))


def _numbered(
    parts: Mapping[PartName, NDArray[Any]], names: Sequence[str], where: object
) -> tuple[dict[PartName, NDArray[Any]], Sequence[str]]:
    """Replace names of classes by their numbers; without a list of names, they are sorted."""
    texts = {name: part.astype(str) for name, part in parts.items()}
    refuse_control(np.unique(texts["train"]).tolist(), where)
    if not names:
        _refuse_unclear(texts, where)
    valid = names or sorted_names(set(texts["train"].tolist()))
    numbers = {text: k for k, text in enumerate(valid)}
    for name, part in texts.items():
        for text in np.unique(part).tolist():
            if text not in numbers:
                expected = "is not among class_names" if names else "no training image has"
                raise DatasetError(
                    f"{where}: {IN_WORDS[name]} labels contain '{text}', which {expected}."
                    f"{did_you_mean(text, valid)}"
                )
    return {
        n: np.array([numbers[text] for text in part.tolist()], np.int64) for n, part in texts.items()
    }, valid


def refuse_control(names: Iterable[str], where: object) -> None:
    """Refuse names of classes that cannot be shown, such as those of folders that are not in UTF-8."""
    for name in names:
        if control := control_in(name):
            raise DatasetError(
                f"{where}: the name of the class '{visible(name)}' contains {control}, which cannot be "
                "shown; rename the class."
            )


def is_missing(label: str) -> bool:
    """Return whether a label is what programs write where a value is missing, such as ``nan``."""
    return label.strip().lower() in _MISSING


def refuse_alike(names: Iterable[str], where: object) -> None:
    """Raise an error if two names may mean one class.

    Such names differ only in case, spaces, underscores, invisible characters, or the zeros of a whole number
    (``01``, ``1.0``), or one is that of a copy. Names of a single letter are those of letters, of which ``A``
    and ``a`` are two.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        _refuse_two(seen.setdefault(_folded(name), name), name, where)
    for folded, name in seen.items():
        _refuse_two(seen.get(_COPY.sub("", folded), name), name, where)


def _refuse_two(first: str, second: str, where: object) -> None:
    if first != second:
        raise DatasetError(
            f"{where}: the classes '{first}' and '{second}' may be one. If they are, give them the same "
            "name, or remove one; if not, list all classes under dataset.class_names."
        )


def _folded(name: str) -> str:
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", name) if _is_visible(letter))
    text = " ".join(visible.replace("_", " ").split())
    if whole := _WHOLE.fullmatch(text):
        return str(int(whole[1]))
    return text.casefold() if len(text) > 1 else text


def _is_visible(letter: str) -> bool:
    return unicodedata.category(letter) != "Cf"  # such as the zero-width space, and marks of byte order


def _refuse_unclear(texts: Mapping[PartName, NDArray[Any]], where: object) -> None:
    """Refuse missing labels, and names that may mean one class."""
    for part, labels in texts.items():
        missing = [label for label in np.unique(labels).tolist() if is_missing(label)]
        if missing:
            count = int(np.isin(labels, missing).sum())
            raise DatasetError(
                f"{where}: {count:,} of the {IN_WORDS[part]} labels stand for a missing value "
                f"('{missing[0]}'). Correct them, or remove their images; or, if it is a class, list all "
                "classes under dataset.class_names."
            )
    refuse_alike(np.unique(texts["train"]).tolist(), where)


def sorted_names(names: set[str]) -> list[str]:
    """Sort names of classes, those that are all whole numbers by their values."""
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def _check_range(parts: Mapping[PartName, Labels], names: Sequence[str], classes: int, where: object) -> None:
    """Raise an error for labels out of range, and for classes or labels that no training image has."""
    labels = parts["train"]
    if labels.ndim == 2:
        present = np.flatnonzero(labels.any(axis=0))
    else:
        for name, part in parts.items():
            if not 0 <= part.min() <= part.max() < classes:
                raise DatasetError(
                    f"{where}: {IN_WORDS[name]} labels range from {part.min()} to {part.max()}; "
                    f"expected 0 to {classes - 1}."
                )
        present = np.unique(labels)
    if len(present) < classes:
        gaps = np.flatnonzero(present != np.arange(len(present)))
        missing = int(gaps[0]) if len(gaps) else len(present)
        largest = "" if labels.ndim == 2 else f" The largest label is {labels.max()}."
        if labels.ndim == 1 and labels.min() == 1 and not names:
            largest += " If the labels begin with 1, subtract 1 from all of them."
        named = f" ('{names[missing]}')" if names and names[missing] != str(missing) else ""
        raise DatasetError(
            f"{where}: no training image has the label {missing}{named}, one of {classes} classes.{largest}"
        )
    if classes < 2:
        raise DatasetError(f"{where}: all labels are the same; a classifier needs at least two classes.")


def most_frequent_share(labels: Labels) -> float:
    """Return the accuracy of always predicting the most frequent class, or set of labels.

    Args:
        labels: The classes, (images,), or whether each label applies, (images, labels).
    """
    return float(np.unique(labels, axis=0, return_counts=True)[1].max() / len(labels))
