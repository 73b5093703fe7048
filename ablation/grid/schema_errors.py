"""Validate parts of a grid file strictly; every error becomes a sentence with its place in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import ValidationError

from ablation.errors import did_you_mean
from ablation.grid.key_places import SECTIONS, belongs
from ablation.grid.mistyped_values import shown, spelling_hint
from ablation.grid.settings_group import Settings
from ablation.grid.value_text import counted, yaml_text
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

# What the types of pydantic are called in the page of the grid.
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_NUMBER = re.compile(r"[\d.]+(e[+-]?\d+)?")
_FIRST_KEYS = {"dataset": "name", "compare": "metric"}
S = TypeVar("S", bound=Settings)


def validate(
    schema: type[S],
    values: dict[str, Any],
    source: LocatedYaml,
    places: Mapping[str, KeyPath],
    section: KeyPath,
) -> S:
    """Validate settings strictly, as JSON: `true` is not a number, and a list may become a tuple.

    Args:
        schema: The class of the settings.
        values: The settings as the file gives them.
        source: The file, for errors.
        places: The paths of those settings that are not in ``section``.
        section: The path of the section that contains all other settings.

    Raises:
        GridError: A key or a value is not valid.
    """
    try:
        return schema.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        problems = error.errors()
        unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
        problem = problems[0]
        if problem["type"] == "missing" and unknown:  # the missing key is probably misspelt
            problem = unknown[0]
        loc: KeyPath = problem["loc"]
        path = (*places.get(str(loc[0]), (*section, loc[0])), *loc[1:]) if loc else section
        if problem["type"] == "tuple_type" and str(loc[-1]) != "seeds":
            raise source.error(path, _as_a_list(schema, values, problem)) from None
        message = explain(problem, _valid_keys(schema, loc))
        is_varied = section in (("model",), ("training",)) and path == (*section, loc[-1])
        if problem["type"] in (*_KINDS, "literal_error") and is_varied:
            message += several(problem["input"], loc[-1])
        raise source.error(path, message) from None
    except (TypeError, ValueError, RecursionError):
        raise source.error(section, "expected text, numbers, lists and mappings only.") from None


def several(given: Any, setting: object) -> str:
    """Return where several values of a setting are written; empty if the given value is no list of them."""
    is_list = isinstance(given, list) and len(given) > 1
    return f" To compare several values, list them under `factors:` as `{setting}`." if is_list else ""


def _valid_keys(schema: type[Settings], loc: KeyPath) -> list[str]:
    """Return the keys that are valid at the level of ``loc``."""
    parent = _parent(schema, loc)
    return list(parent.model_fields) if parent else []


def _parent(schema: type[Settings], loc: KeyPath) -> type[Settings] | None:
    """Return the class that the last part of ``loc`` is a field of; None if it is of another kind."""
    parts = iter(loc[:-1])
    for part in parts:
        field = schema.model_fields.get(str(part))
        inner = [c for c in _classes(field.annotation) if issubclass(c, Settings)] if field else []
        if not inner:
            return None
        schema = inner[0]
        if field and get_origin(field.annotation) in (dict, tuple):
            next(parts, None)  # the key of the mapping, or the place in the list
    return schema


def _as_a_list(schema: type[Settings], values: dict[str, Any], problem: Any) -> str:
    """Say that a list was expected, with an example that is valid."""
    loc, given = problem["loc"], problem["input"]
    parent = _parent(schema, loc)
    field = parent.model_fields.get(str(loc[-1])) if parent else None
    default = [*field.default] if field and isinstance(field.default, tuple) else []
    is_nothing = given in (None, False) or str(given).lower() in ("none", "null")
    for example in ([],) if is_nothing else filter(None, ([given], [[given]], default)):
        try:
            schema.model_validate_json(json.dumps(_replaced(values, loc, example), default=str), strict=True)
        except (ValidationError, LookupError, TypeError):
            continue
        return f"expected a list, like {_listed(example)}, not {shown(given)}."
    return f"expected a list, not {shown(given)}."


def _replaced(values: Any, loc: tuple[str | int, ...], new: Any) -> Any:
    """Return nested values with the one at ``loc`` replaced."""
    if not loc:
        return new
    copied = values.copy()
    copied[loc[0]] = _replaced(values[loc[0]], loc[1:], new)
    return copied


def _listed(values: list[Any]) -> str:
    return f"[{', '.join(_listed(v) if isinstance(v, list) else yaml_text(v) for v in values)}]"


def unknown_key(key: str, valid: Iterable[str], excepted: Collection[str] = ()) -> str:
    """Return that a key is not known, and what may have been meant instead.

    Args:
        key: The key.
        valid: The keys that are valid in its place.
        excepted: Other sections in which it is not valid either.
    """
    names = list(valid)
    bare, colon, value = key.partition(":")
    if colon and bare in names:
        return f"unknown key '{key}'. A space is missing after the colon; write `{bare}: {value}`."
    if _NUMBER.fullmatch(key):
        return (
            f"unknown key '{key}'. If it is a part of a number, write a decimal point instead of the comma."
        )
    return f"unknown key '{key}'.{belongs(key, excepted) or did_you_mean(key, names)}"


def _classes(annotation: Any) -> Iterable[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [c for c in getattr(annotation, "__args__", ()) if isinstance(c, type)]


def explain(problem: Any, valid_keys: list[str]) -> str:
    """Turn an error of pydantic into a sentence that says what is wrong and what was expected.

    Args:
        problem: The error, as pydantic lists it.
        valid_keys: The keys that are valid in its place.
    """
    key, given = str(problem["loc"][-1]) if problem["loc"] else "", problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            is_deep = len(problem["loc"]) > 2  # below the sections, names mean something else
            return unknown_key(key, valid_keys, SECTIONS if is_deep else ())
        case "missing" if isinstance(problem["loc"][-1], int):
            return f"expected at least {counted(problem['loc'][-1] + 1, 'value')}, not {shown(given)}."
        case "missing":
            return f"the key '{key}' is missing."
        case "literal_error":
            valid = [name.strip("'") for name in problem["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            return f"{yaml_text(given)} is not a valid value.{did_you_mean(str(given), valid)}"
        case "too_short":
            least = problem["ctx"]["min_length"]
            return f"expected at least {counted(least, 'value')}, not {shown(given)}."
        case "too_long":
            most = problem["ctx"]["max_length"]
            text = yaml_text(given)
            return f"expected at most {counted(most, 'value')}{f', not {text}' if len(text) < 80 else ''}."
        case "finite_number":
            return f"expected a finite number, not {shown(given)}."
        case "string_too_short":
            return "expected text, and this text is empty."
        case "string_too_long":
            most = problem["ctx"]["max_length"]
            return f"expected at most {counted(most, 'character')}, not {len(given):,}."
        case "tuple_type" if key != "seeds":
            return f"expected a list, not {shown(given)}."
        case "tuple_type":
            return (
                "expected a number of seeds, like 5, or a list of seeds, like [0, 1, 7], not "
                f"{shown(given)}.{spelling_hint(given, 'int_type')}"
            )
        case "value_error":
            return f"{problem['ctx']['error']}."
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{problem['msg'].replace('Input should be', 'expected a value')}, not {shown(given)}."
        case type_ if type_ in _KINDS:
            hint = spelling_hint(given, type_)
            if key in _FIRST_KEYS and isinstance(given, str):
                hint = hint or f" Write `{{{_FIRST_KEYS[key]}: {given}}}`."
            kind = "true, false or raw" if "save_models" in problem["loc"] else _KINDS[type_]
            return f"expected {kind}, not {shown(given)}.{hint}"
    message = problem["msg"]
    return f"{message[0].lower()}{message[1:]}, not {shown(given)}."
