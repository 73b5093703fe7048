"""Values of settings as text, in the notation of grid files and in that of readers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ablation.grid.settings import Component

MOST_NAMES = 8
"""The names that are listed in full in a sentence."""


def texts_in(value: Any, keys: bool = False) -> Iterator[str]:
    """Yield every text among nested mappings and lists, as JSON and YAML give them.

    Args:
        value: A value of any depth.
        keys: Whether the keys of mappings are yielded, too.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        for inner in [*value, *inside] if keys and isinstance(value, dict) else inside:
            yield from texts_in(inner, keys)


def yaml_text(value: Any) -> str:
    """Return a value in the notation of grid files, but a component as ``SGD(momentum=0.9)``."""
    if _is_component(value):
        return str(Component(**value))
    if isinstance(value, list) and any(map(_is_component, value)):
        return f"[{', '.join(map(yaml_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def written(text: str) -> str:
    """Return a text as it is written in a grid file: in quotation marks if YAML would read it otherwise."""
    try:
        is_plain = YAML(typ="safe", pure=True).load(f"{{key: {text}}}") == {"key": text}
    except YAMLError:
        is_plain = False
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _is_component(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() | {"folder"} == Component.model_fields.keys()


def setting_text(value: Any) -> str:
    """Return the value of a setting in a notation for readers, like ``none`` and ``1,000``."""
    if value is None or value == () or value == []:
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return f"{int(value):,}"
    if isinstance(value, list | tuple):
        return ", ".join(yaml_text(part) for part in value)
    return yaml_text(value)


def counted(number: int, noun: str) -> str:
    """Return ``1 seed``, ``5 seeds``; for nouns whose plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_text(size: int) -> str:
    """Return a number of bytes as ``512 B``, ``3.4 kB``, ``12 MB``, in powers of 1000."""
    amount, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" or amount >= 9.95 else f"{amount:.1f} {units[0]}"


def several(names: Sequence[str], noun: str) -> str:
    """Return names as a list, shortened if there are many: ``a, b, c and 13 other variants``."""
    between = separator(names)
    if len(names) <= MOST_NAMES:
        return between.join(names)
    return f"{between.join(names[:3])} and {len(names) - 3} other {noun}s"


def separator(names: Iterable[str]) -> str:
    """Return what is written between names in a list: a semicolon if a name contains a comma."""
    return "; " if any(", " in name for name in names) else ", "
