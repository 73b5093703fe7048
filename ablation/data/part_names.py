"""Which part of a dataset a name stands for: the training, validation or test images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, get_args

PartName = Literal["train", "val", "test"]
PARTS: tuple[PartName, ...] = get_args(PartName)
IN_WORDS: dict[PartName, str] = {"train": "training", "val": "validation", "test": "test"}

_WORDS: dict[str, PartName] = {
    "train": "train", "trn": "train", "training": "train", "trainings": "train",
    "val": "val", "valid": "val", "validate": "val", "validation": "val", "dev": "val", "development": "val",
    "test": "test", "tests": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_FILLERS = {"set", "sets", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "split"}


def words(name: str) -> list[str]:
    """Return the words of a name in small letters: ``trainImages``, ``Train-Images`` are train, images."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def part_of(name: str) -> PartName | None:
    """Return the part that a name stands for, as ``Training_set``, ``valid`` and ``test2017`` do, or None."""
    rest = [word for word in words(name) if word not in _FILLERS and not word.isdigit()]
    if len(rest) != 1:
        return None
    return _part(rest[0])


def part_in(name: str) -> PartName | None:
    """Return the part that one word of a name stands for, as in ``seg_train`` or ``test_crops``, or None."""
    parts = {part for word in words(name) if (part := _part(word))}
    return parts.pop() if len(parts) == 1 else None


def are_parts(names: Iterable[str], part: Callable[[str], PartName | None] = part_of) -> bool:
    """Return whether some names are those of the parts of one dataset: of training images and of others."""
    parts = {part(name) for name in names}
    return "train" in parts and bool(parts & {"val", "test"})


def differing_in_part(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that differ in the part alone, like ``train_cats`` and ``test_cats``, or None."""
    seen: dict[tuple[str, ...], str] = {}
    for name in sorted(names):
        rest = tuple(word for word in words(name) if not _part(word))
        if rest and part_in(name) and part_in(first := seen.setdefault(rest, name)) != part_in(name):
            return first, name
    return None


def _part(word: str) -> PartName | None:
    bare = word.rstrip("0123456789")
    return _WORDS.get(bare) or _WORDS.get(bare.removesuffix("set").removesuffix("data"))
