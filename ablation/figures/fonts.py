"""Fonts for names in any script: of the installed fonts, those that have what the usual one lacks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from ablation.errors import AblationWarning

_LATIN = 0x250  # every letter before this one is in every font
_PLACEHOLDERS = "Last Resort"  # a font of boxes


def further_fonts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the families of fonts that have what the usual one lacks of these texts."""
    return _fallbacks(_unusual(texts))[0]


def warn_of_missing_characters(texts: Iterable[str]) -> None:
    """Warn, once for all figures, of characters that no installed font has."""
    if missing := _fallbacks(_unusual(texts))[1]:
        shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        warnings.warn(
            f"the figures show boxes instead of {shown}, because no installed font has these characters. "
            "Install a font that has them, such as one of the Noto fonts, and draw the figures again.",
            AblationWarning,
            stacklevel=2,
        )


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Silence matplotlib, which warns of each missing character again wherever it is measured or drawn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def _unusual(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(letter for text in texts for letter in text if ord(letter) >= _LATIN)


@cache
def _fallbacks(letters: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the families that have the letters which the usual font lacks, and the letters that none has."""
    if not letters:
        return (), ()
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    with mpl.rc_context(sns.axes_style("ticks")):  # as figures are drawn
        usual = findfont(FontProperties(family=["sans-serif"]))
    missing = letters - _letters_of(usual)
    families: list[str] = []
    for font in fontManager.ttflist:
        if not missing:
            break
        if font.style != "normal" or _PLACEHOLDERS in font.name or font.name in families:
            continue
        if has := missing & _letters_of(font.fname):
            families.append(font.name)
            missing -= has
    return tuple(families), tuple(sorted(missing))


@cache
def _letters_of(file: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # a font that was removed, or is damaged
        return frozenset()
