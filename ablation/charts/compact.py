"""Numbers as a page holds them: five significant digits, and null where there is no number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

DIGITS = 5  # significant ones: more than a screen shows, and a third of what a double has


def number(value: float) -> float | None:
    """Return a number, rounded to five significant digits; None for NaN and infinity, which JSON lacks."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def compact(values: Iterable[float]) -> list[float | None]:
    """Return numbers, each as `number` returns it."""
    return [number(value) for value in values]


def whole(values: Iterable[Any]) -> list[int]:
    """Return whole numbers, such as seeds, as Python's own."""
    return [int(value) for value in values]
