"""An effect as a contrast of variants."""

from __future__ import annotations

from typing import NamedTuple


class Contrast(NamedTuple):
    """An effect as a weighted sum of variants, which is taken within each seed.

    Attributes:
        kind: ``main effect``, ``interaction``, ``effect where`` (a simple effect) or ``Shapley share``; after
            a fold-over, ``separated interaction`` or ``with fold-over``, too.
        effect: The factor, or factors; of interactions that are aliased, each of them.
        levels: The level, or levels, against the factor's first.
        weights: The weight of each variant, without those of weight 0.
        missing: Why it cannot be estimated, if the study lacks a variant; else empty.
    """

    kind: str
    effect: str
    levels: str
    weights: dict[str, float]
    missing: str = ""
