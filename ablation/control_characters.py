"""Characters that are not shown but change how other text is shown, or what a terminal does."""

from __future__ import annotations

import unicodedata
from typing import Any

_BETWEEN_LINES = "\n\t"
_REVERSING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of characters, separators of lines and paragraphs


def is_control(character: str) -> bool:
    """Return whether a character is a control character other than a line break or a tab."""
    return character not in _BETWEEN_LINES and (
        character in _REVERSING or unicodedata.category(character) in _CATEGORIES
    )


def control_in(value: Any) -> str:
    """Return the first control character of a text as ``U+001B``; empty if there is none.

    Args:
        value: A text, or what JSON consists of, in which all texts are looked at.
    """
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return ""
        return next((f"U+{ord(character):04X}" for character in value if is_control(character)), "")
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    return next(filter(None, map(control_in, value)), "") if isinstance(value, list) else ""


def whole_characters(text: str) -> str:
    r"""Return a text in which characters that JSON writes as two halves, like ``\ud83c\udf89``, are whole."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def visible(text: str) -> str:
    r"""Return a text in which each control character is written as in Python, like ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ascii(c)[1:-1] if is_control(c) else c for c in text)
