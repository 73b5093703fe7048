"""Images that occur more than once: in one part, or in two parts that should have none in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from ablation.data.splitting import Part
from ablation.grid.value_text import counted


def duplicate_notes(parts: Mapping[str, Sequence[Part]]) -> list[str]:
    """Say how many images are identical in every pixel, within each part and across them.

    Args:
        parts: The images of each part by its name in words, the training images first.
    """
    hashes = {name: [hash(i.tobytes()) for p in some for i in p.images] for name, some in parts.items()}
    known = {name: set(of_part) for name, of_part in hashes.items()}
    across = [
        f"{count:,} of {len(hashes[second]):,} {second} images "
        f"{'is' if count == 1 else 'are'} also among the {first} images"
        for first, second in combinations(parts, 2)
        if (count := sum(value in known[first] for value in hashes[second]))
    ]
    within = [
        f"{count:,} of {len(of_part):,} {name} images "
        f"{'is a copy' if count == 1 else 'are copies'} of another {name} image"
        for name, of_part in hashes.items()
        if (count := len(of_part) - len(known[name]))
    ]
    if not across and not within:
        return []
    remedy = (
        " A model that memorises them seems to generalise better than it does; remove them from one part."
    )
    notes = [
        f"Duplicate images, identical in every pixel: {', '.join(across + within)}.{remedy if across else ''}"
    ]
    if several := _labelled_differently(parts, hashes):
        notes.append(
            f"{counted(several, 'image')} {'has' if several == 1 else 'have'} identical copies with "
            "different labels."
        )
    return notes


def _labelled_differently(parts: Mapping[str, Sequence[Part]], hashes: Mapping[str, list[int]]) -> int:
    """Return how many different images have copies with different labels."""
    counts = Counter(value for of_part in hashes.values() for value in of_part)
    labels: dict[int, set[bytes]] = {value: set() for value, count in counts.items() if count > 1}
    for name, some in parts.items():
        every = (label for part in some for label in part.labels)
        for value, label in zip(hashes[name], every, strict=True):
            if value in labels:
                labels[value].add(label.tobytes())
    return sum(len(found) > 1 for found in labels.values())
