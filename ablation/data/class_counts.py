"""How many images of each class there are in each part of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablation.data.splitting import Part

_MOST_NAMED = 20

ClassCounts = Mapping[str, Sequence[int]]
"""The numbers of training, validation and test images of each class, or with each label, by its name."""


def class_counts(names: Sequence[str], parts: Sequence[Part]) -> ClassCounts:
    """Return the numbers of images of each class in the parts, in their order."""
    columns = [
        np.bincount(part.labels, minlength=len(names))
        if part.labels.ndim == 1
        else part.labels.sum(axis=0, dtype=int)
        for part in parts
    ]
    rows = (list(map(int, row)) for row in zip(*columns, strict=True))
    return dict(zip(names, rows, strict=True))


def counts_in_words(counts: ClassCounts) -> str:
    """Return the numbers in one line; of many classes, the fewest and the most."""
    heading = "Images per class (training + validation + test)"
    if len(counts) <= _MOST_NAMED:
        each = (f"{name} {' + '.join(f'{n:,}' for n in row)}" for name, row in counts.items())
        return f"{heading}: {'; '.join(each)}"
    ranges = (f"{min(column):,} to {max(column):,}" for column in zip(*counts.values(), strict=True))
    return f"{heading}, {len(counts):,} classes: {' + '.join(ranges)}"


def absent_class_notes(counts: ClassCounts) -> list[str]:
    """Name the classes that have no training, no validation or no test images."""
    notes = []
    for place, part in enumerate(("training", "validation", "test")):
        absent = [name for name, row in counts.items() if not row[place]]
        if absent:
            names = ", ".join(absent[:_MOST_NAMED])
            rest = f" and {len(absent) - _MOST_NAMED:,} others" if len(absent) > _MOST_NAMED else ""
            notes.append(
                f"There are no {part} images of {names}{rest}: their {part} accuracy is not known, and the "
                "metrics of Keras that are means over classes leave them out."
            )
    return notes
