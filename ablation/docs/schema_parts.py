"""The parts of the grid's JSON Schema: what pydantic says of a class in draft-07, components, and settings.

Editors know draft-07; pydantic writes 2020-12, in which a list of fixed length and a reference differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keras_classes import CLASSES, SHORT_NAMES
from markup import prose

from ablation.grid.component_parser import LISTS
from ablation.grid.keras_names import KINDS
from ablation.grid.search_space import Parameter
from ablation.grid.settings import Component
from ablation.grid.settings_group import Settings

Schema = dict[str, Any]
_USER_OBJECT = r"(?!.*\.py:)[^/\\:]+:[^:]+"
USER_OBJECT = {"type": "string", "pattern": rf"^{_USER_OBJECT}$"}
_KEPT = """
    type enum const default minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems
    maxItems pattern required
""".split()
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def of_class(settings: type[Settings]) -> Schema:
    """Return the schema of a class of settings, in draft-07 and without references."""
    schema = settings.model_json_schema()
    return _draft_07(schema, schema.get("$defs", {}))


def _draft_07(schema: Schema, known: Mapping[str, Schema]) -> Schema:
    """Return what pydantic says of a value, in draft-07 and with classes in the place of references."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name == Component.__name__:
            return {"component": True}  # what takes its place depends on the setting
        return _draft_07({**known[name], **{k: v for k, v in schema.items() if k != "$ref"}}, known)
    result: Schema = {"description": prose(schema["description"])} if "description" in schema else {}
    result |= {k: _whole(v) if k in _NUMBERS else v for k, v in schema.items() if k in _KEPT}
    if "const" in result:
        result.pop("enum", None)  # pydantic 2.9 gives both
    if result.get("default", 0) in (None, {}) or isinstance(result.get("default"), dict):
        del result["default"]  # which says no more than that the key may be left out
    if "anyOf" in schema:
        result["anyOf"] = [_draft_07(choice, known) for choice in schema["anyOf"]]
        _move_lengths(result)
    if "prefixItems" in schema:
        result["items"] = [_draft_07(item, known) for item in schema["prefixItems"]]
    elif schema.get("items"):
        result["items"] = _draft_07(schema["items"], known)
    if "properties" in schema:
        result["properties"] = {k: _draft_07(v, known) for k, v in schema["properties"].items()}
        result["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _draft_07(schema["additionalProperties"], known)
    return result


def _whole(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound  # pydantic 2.9 gives 0.0


def _move_lengths(schema: Schema) -> None:
    """Say of a list how many items it has, where pydantic says of the choice how many characters."""
    lengths = {"minLength": "minItems", "maxLength": "maxItems"}
    moved = {lengths[name]: schema.pop(name) for name in lengths if name in schema}
    for choice in schema["anyOf"]:
        if choice.get("type") == "array":
            choice |= moved


def component(kind: str) -> Schema:
    """Return the schema of a component: a name of Keras, ``module:object``, or a mapping of one to arguments.

    Names in lower case are those of the lists. A name with a capital letter is that of a class, and
    whether it exists is up to the installed Keras.
    """
    plain, known = KINDS[kind].plain, CLASSES[kind]
    offered = [*plain, *(name for name in known if _normalised(name) not in map(_normalised, plain))]
    lower = dict.fromkeys(map(_any_underscores, [*known, *SHORT_NAMES.get(kind, ()), *plain]))
    pattern = rf"^({'|'.join(lower)}|\w*[A-Z]\w*|{_USER_OBJECT})$"
    arguments = {"type": ["object", "null"]}
    return {
        "anyOf": [
            {"type": "string", "enum": offered},
            {"type": "string", "pattern": pattern},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "properties": dict.fromkeys(known, arguments),
                "propertyNames": {"pattern": pattern},
                "additionalProperties": arguments,
            },
            {  # as `ablation search --then-ablate` writes it; patterns are not offered
                "type": "object",
                "required": ["name"],
                "patternProperties": {f"^({'|'.join(Component.model_fields)})$": {}},
                "additionalProperties": False,
            },
        ]
    }


def _normalised(name: str) -> str:
    return name.replace("_", "").lower()


def _any_underscores(name: str) -> str:
    """Return a pattern of a class's name in lower case, as ``random_?zoom`` for RandomZoom."""
    return Component(name=name).snake_case.replace("_", "_?")


def with_components(kind: str, schema: Schema) -> Schema:
    """Return the schema of a setting with the components that it may name."""
    named = reference(kind, "component")
    if kind in LISTS:
        return {**schema, "type": "array", "items": named}
    others = [choice for choice in schema["anyOf"] if "component" not in choice and "enum" not in choice]
    return {**schema, "anyOf": [*others, named]}


def by_name(settings: Iterable[tuple[str, str]], kind: str = "") -> Schema:
    """Return the schema of a mapping of settings, each by its name or, after a dot, with its section.

    Args:
        settings: The section and the name of each setting.
        kind: What a setting is mapped to: its ``levels``, a ``parameter`` or, by default, a value.
    """
    pairs = [*settings]
    return {
        "type": "object",
        "properties": {name: reference(name, kind) for _, name in pairs},
        "patternProperties": {rf"^{section}\.{name}$": reference(name, kind) for section, name in pairs},
        "additionalProperties": False,
    }


def reference(name: str, kind: str = "") -> Schema:
    """Return a reference to the definition of a setting or, with a kind, of what belongs to it."""
    return {"$ref": f"#/definitions/{name}{'.' if kind else ''}{kind}"}


def definitions(settings: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the definition of each setting, of its levels as a factor, and of its values in a search."""
    defined = {**settings, **_of_parameters()}
    for name, schema in settings.items():
        description = {"description": schema["description"]}
        defined[f"{name}.levels"] = description | levels(reference(name))
        defined[f"{name}.parameter"] = description | parameter(reference(name))
    return defined


def levels(value: Schema) -> Schema:
    """Return the schema of a factor's levels: a list of values, or a mapping of labels to values."""
    return {
        "anyOf": [
            {"type": "array", "items": value, "minItems": 2, "uniqueItems": True},
            {"type": "object", "additionalProperties": value, "minProperties": 2},
        ]
    }


def parameter(value: Schema) -> Schema:
    """Return the schema of a parameter of a search: a list of values, a choice of them, or a range."""
    choices = {"type": "array", "items": value, "minItems": 2}
    keys: Schema = {
        "range": reference("parameter", "range"),
        "choice": {"anyOf": [choices, {"type": "null"}]},
    }
    keys |= {key: reference("parameter", key) for key in ("step", "log", "when")}
    either = {"allOf": [reference("parameter", "either")]}
    return {
        "anyOf": [choices, {"type": "object", "properties": keys, "additionalProperties": False, **either}]
    }


def _of_parameters() -> dict[str, Schema]:
    """Return what parameters have in common, and that each is either a range or a choice."""
    keys = {f"parameter.{key}": schema for key, schema in of_class(Parameter)["properties"].items()}
    of_choice = {"range": {"type": "null"}, "step": {"type": "null"}, "log": {"const": False}}
    choice = {"required": ["choice"], "properties": {"choice": {"type": "array"}, **of_choice}}
    of_range = {"range": {"type": "array"}, "choice": {"type": "null"}}
    either = {"anyOf": [{"required": ["range"], "properties": of_range}, choice]}
    return keys | {"parameter.either": either}


def given(key: str, *values: Any) -> Schema:
    """Return the schema of a mapping in which a key is set, to one of these values if there are any."""
    allowed = {"enum": [*values]} if values else {"not": {"type": "null"}}
    return {"type": "object", "required": [key], "properties": {key: allowed}}


def if_then(condition: Schema, consequence: Schema, otherwise: Schema | None = None) -> Schema:
    """Return a schema that depends on whether another one holds."""
    result = {"if": condition, "then": consequence}
    return result | {"else": otherwise} if otherwise is not None else result
