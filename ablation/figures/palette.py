"""The colours, marks and lines of variants, which are the same in all figures of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DASHES = ["--", "-.", ":", "-"]  # distinguish lines without colours; the baseline's line is solid
MARKERS = "osD^vPX"
HUES = ("#0173b2", "#d55e00", "#029e73", "#cc78bc", "#782d00", "#9678f0", "#96874b", "#692d69")
"""The colours of variants: four of seaborn's colour-blind palette, and four that were searched for.

The rest of that palette is too pale for a projector. Each of these has a contrast of at least 3 to white
(WCAG 2.2, criterion 1.4.11). The two that are hardest to tell apart, the baseline's grey included, are
farther apart than those of seaborn's palette, for readers with normal vision, protanopia, deuteranopia and
tritanopia (simulated as by Machado et al., 2009).
"""
BASELINE_HUE = "#555555"


@dataclass(frozen=True)
class VariantStyle:
    """How a variant looks in every figure of a study."""

    colour: str
    marker: str
    dash: str = "-"


def hue(number: int) -> str:
    """Return one of `HUES`; they are repeated."""
    return HUES[number % len(HUES)]


def variant_styles(variants: Sequence[str], baseline: str) -> dict[str, VariantStyle]:
    """Give each variant a colour, the baseline grey, and a marker that distinguishes repeated colours."""
    others = [name for name in variants if name != baseline]
    styles = {
        name: VariantStyle(hue(i), MARKERS[(i // len(HUES)) % len(MARKERS)], DASHES[i % 4])
        for i, name in enumerate(others)
    }
    return {name: styles.get(name, VariantStyle(BASELINE_HUE, "o")) for name in variants}
