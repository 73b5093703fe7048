"""Settings that are given beside a grid file, as ``-s training.epochs=5``, instead of those in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import AliasToken

from ablation.control_characters import control_in
from ablation.errors import GridError
from ablation.grid.yaml_syntax import syntax_error


@dataclass(frozen=True)
class Override:
    """A setting of a grid file with another value.

    Attributes:
        key: The keys that lead to it, with dots between them, like ``training.epochs``.
        value: Its value, as YAML would give it.
        place: How an error names it, like ``-s training.epochs=5``.
        path: The keys that lead to it in the file that it is applied to; empty before.
    """

    key: str
    value: Any
    place: str
    path: tuple[Any, ...] = ()


def parse_overrides(texts: Sequence[str]) -> tuple[Override, ...]:
    """Parse what the command line gives as ``-s KEY=VALUE``; the value is YAML.

    Raises:
        GridError: A text is not of this form, or its value is not YAML.
    """
    return tuple(_parsed(text) for text in texts)


def overrides_of(settings: Mapping[str, Any] | None) -> tuple[Override, ...]:
    """Return what Python gives as a mapping of dotted keys to values."""
    return tuple(
        Override(key, list(value) if isinstance(value, tuple) else value, f"settings[{key!r}]")
        for key, value in (settings or {}).items()
    )


def overridden(
    data: Mapping[str, Any], overrides: Sequence[Override]
) -> tuple[dict[str, Any], tuple[Override, ...]]:
    """Return the content of a grid file with other settings, and the overrides with their paths in it.

    Args:
        data: The content of the file, which stays as it is.
        overrides: The settings; of several values for one, the last counts.

    Raises:
        GridError: A key leads through something that has no keys.
    """
    changed, placed = dict(data), []
    for override in overrides:
        path = _path(changed, override)
        changed = _replaced(changed, path, override.value)
        placed.append(Override(override.key, override.value, override.place, path))
    return changed, tuple(placed)


def _parsed(text: str) -> Override:
    key, equals, value = text.partition("=")
    place = f"-s {text}"
    if not equals or not key.strip():
        raise GridError(f"{place}: expected KEY=VALUE, like -s training.epochs=5.")
    yaml = YAML(typ="safe", pure=True)
    try:
        if any(isinstance(token, AliasToken) for token in yaml.scan(value)):
            raise GridError(f"{place}: a value that begins with * needs quotation marks.")
        data = yaml.load(value)
        if control := control_in(key) or control_in(data):
            raise GridError(f"{place}: it contains {control}, a control character, which cannot be shown.")
        return Override(key.strip(), data, place)
    except MarkedYAMLError as error:
        raise GridError(f"{place}: the value is not valid YAML: {syntax_error(error, value)[1]}") from None
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise GridError(f"{place}: the value is not valid YAML: {reason}.") from None


def _path(data: Mapping[str, Any], override: Override) -> tuple[Any, ...]:
    """Return the keys of an override; keys that are there count first, because they may contain dots."""
    path: list[Any] = []
    inner: Any = data
    rest = override.key
    while rest:
        node = {} if inner is None else inner
        if not isinstance(node, Mapping):
            whole, kind = ".".join(map(str, path)), "a list" if isinstance(node, list) else f"{node!r}"
            raise GridError(f"{override.place}: `{whole}` is {kind} and has no keys; set it as a whole.")
        there = [key for key in node if rest == str(key) or rest.startswith(f"{key}.")]
        key = max(there, key=lambda name: len(str(name)), default=None)
        if key is None:
            is_setting = path[:1] == ["factors"] or (path[:1] == ["variants"] and len(path) > 1)
            key = rest if is_setting else rest.partition(".")[0]  # `model.dropout` is a key of `factors`
        path.append(key)
        inner, rest = node.get(key), rest[len(str(key)) + 1 :]
    return tuple(path)


def _replaced(data: Mapping[str, Any] | None, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return nested mappings with the value at a path replaced; those that are shared stay as they are."""
    inner = (data or {}).get(path[0])
    return {**(data or {}), path[0]: value if len(path) == 1 else _replaced(inner, path[1:], value)}
