"""Validate parts of a grid file strictly; every error becomes a sentence with its place in the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ablation.errors import did_you_mean
from ablation.grid.settings import Settings
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
}
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
        raise source.error(path, explain(problem, _valid_keys(schema, loc))) from None
    except (TypeError, ValueError, RecursionError):
        raise source.error(section, "expected text, numbers, lists and mappings only.") from None


def _valid_keys(schema: type[Settings], loc: KeyPath) -> list[str]:
    """Return the keys that are valid at the level of ``loc``."""
    for part in loc[:-1]:
        field = schema.model_fields.get(str(part))
        inner = [c for c in _classes(field.annotation) if issubclass(c, Settings)] if field else []
        if not inner:
            return []
        schema = inner[0]
    return list(schema.model_fields)


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
            return f"unknown key '{key}'.{did_you_mean(key, valid_keys)}"
        case "missing":
            return f"the key '{key}' is missing."
        case "literal_error":
            valid = [name.strip("'") for name in problem["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            return f"{yaml_text(given)} is not a valid value.{did_you_mean(str(given), valid)}"
        case "too_short":
            least = problem["ctx"]["min_length"]
            return f"expected at least {counted(least, 'value')}, not {yaml_text(given)}."
        case "tuple_type":
            if key == "seeds":
                return (
                    "expected a number of seeds, like 5, or a list of seeds, like [0, 1, 7], not "
                    f"{yaml_text(given)}."
                )
            return f"expected a list, like [{yaml_text(given)}], not {yaml_text(given)}."
        case "value_error":
            return f"{problem['ctx']['error']}."
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{problem['msg'].replace('Input should be', 'expected a value')}, not {yaml_text(given)}."
        case type_ if type_ in _KINDS:
            return f"expected {_KINDS[type_]}, not {yaml_text(given)}."
    message = problem["msg"]
    return f"{message[0].lower()}{message[1:]}, not {yaml_text(given)}."
