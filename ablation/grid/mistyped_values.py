"""Values that are written in another way than YAML expects, and how to write them."""

from __future__ import annotations

import json
import re
from typing import Any

from ablation.grid.value_text import yaml_text

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_PERCENTAGE = re.compile(r"([+-]?\d+(?:\.\d+)?) ?%")
_SWITCHES = {
    "true": True,
    "yes": True,
    "y": True,
    "on": True,
    "false": False,
    "no": False,
    "n": False,
    "off": False,
}
_NOTHING = ("none", "null", "nil", "nan", "~")
_NUMBERS = ("int_type", "int_from_float", "float_type")
_MOST_CHARACTERS = 200


def shown(given: Any) -> str:
    """Return a value as the grid file has it; text that looks like another value in quotation marks."""
    if isinstance(given, str) and (
        not given or _is_number(given) or given.lower() in ("true", "false", "null")
    ):
        return json.dumps(given, ensure_ascii=False)
    text = yaml_text(given)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 20]} ... {text[-15:]}"


def spelling_hint(given: Any, expected: str) -> str:
    """Return how to write a value that is not of the expected type; empty if that is not known.

    Args:
        given: The value.
        expected: The type of the error, as pydantic names it.
    """
    if given is None and expected in ("dict_type", "model_type"):
        return " Nothing is indented below this key. Indent the keys that belong to it, or remove it."
    if expected == "string_type" and isinstance(given, bool | int | float):
        return f' Write "{yaml_text(given)}", in quotation marks.'
    if not isinstance(given, str):
        return ""
    text = given.strip()
    if text.lower() in _NOTHING:
        return " To set nothing, remove the key."
    if expected == "bool_type" and text.lower() in _SWITCHES:
        quoted = ", without quotation marks" if text.lower() in ("true", "false") else ""
        return f" Write {yaml_text(_SWITCHES[text.lower()])}{quoted}."
    if expected in _NUMBERS:
        return number_hint(text)
    if expected == "dict_type" and re.fullmatch(r"\w+:\S+", text):
        return f" A space is missing after the colon; write `{text.replace(':', ': ', 1)}`."
    return ""


def number_hint(given: Any) -> str:
    """Return how to write a number that was given as text; empty if it was not."""
    if not isinstance(given, str):
        return ""
    if _DECIMAL_COMMA.fullmatch(given):
        return f" Write {given.replace(',', '.')}, with a decimal point."
    if percentage := _PERCENTAGE.fullmatch(given):
        return f" Write {float(percentage[1]) / 100:g}, without a percent sign."
    return f" Write {given}, without quotation marks." if _is_number(given) else ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE) is not None
