"""The JSON Schema of the grid file, by which an editor completes keys and shows errors while one types.

It is made of the classes of the settings. What it adds to them are the names of components, the sections that
a grid is read by in a second step, and the rules between the keys of one section. What only the product can
know is listed on the page ``editor.md``, from which a test reads it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from grid_page import EXAMPLES, KEYS
from ruamel.yaml import YAML
from schema_parts import (
    USER_OBJECT,
    Schema,
    by_name,
    component,
    definitions,
    given,
    if_then,
    levels,
    of_class,
    parameter,
    reference,
    with_components,
)

from ablation.grid.grid_file import GridFile
from ablation.grid.keras_names import KINDS
from ablation.grid.model_file import FILE_KEYS, SUFFIXES
from ablation.grid.settings import (
    BuilderSettings,
    CnnSettings,
    DenseSettings,
    FileSettings,
    TrainingSettings,
)
from ablation.grid.settings_group import Settings
from ablation.grid.tune_settings import TuneSettings
from ablation.search.settings import SearchSettings

_VISIBLE = r"\S"
_MARGIN = r"^\s*\+?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][+-]?\d+)?\s*pp$"
_METRIC = r"^((train|val|test)_.+|gap_(accuracy|loss))$"
_FAMILIES = ["cnn", "dense"]
_OF_USERS = ("builder", "file")


def schema_text() -> str:
    """Return the schema as a JSON file."""
    return json.dumps(grid_schema(), indent=1, ensure_ascii=False) + "\n"


def grid_schema() -> Schema:
    """Return the schema of a grid file."""
    whole = of_class(GridFile)["properties"]
    keys = {key: whole[key] | _examples(key) for key in KEYS}
    keys["study"]["pattern"] = _VISIBLE
    keys["seeds"]["anyOf"][0]["maximum"] = keys["seeds"]["anyOf"][1]["maxItems"]
    keys["seeds"]["anyOf"][1]["uniqueItems"] = True
    keys["gpus"] = keys["gpus"] | {"anyOf": [{"maximum": 1}, {"multipleOf": 1}]}
    keys["vary"] |= if_then({"contains": {"const": "test"}}, {"contains": {"const": "split"}})
    keys["variants"]["propertyNames"] = {"minLength": 1, "maxLength": 100, "pattern": _VISIBLE}
    keys["dataset"] = _dataset(keys["dataset"])
    keys["compare"] = _compare(keys["compare"])
    keys["ablate"] = _ablate(keys["ablate"])
    keys["model"] |= _model()
    keys["training"] |= {
        "properties": {name: reference(name) for name in TrainingSettings.model_fields},
        "additionalProperties": False,
    }
    keys["search"] |= _search()
    keys["tune"] |= _tune()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:ablation-harness:grid",
        "$comment": "Written by `ablation schema`; made of the code by `python ablation/docs/generate.py`.",
        "title": "Grid file of ablation",
        "description": "A study: variants of an image classifier, each trained with the same seeds.",
        "examples": [_example("")],
        "type": "object",
        "required": ["study"],
        "properties": keys,
        "additionalProperties": False,
        **_by_model(),
        "definitions": {
            **{f"{kind}.component": component(kind) for kind in KINDS},
            **{f"space.{model}": _space(model) for model in (*_OF_USERS, "family")},
            **definitions(_settings()),
        },
    }


@cache
def _settings() -> dict[str, Schema]:
    """Return the definition of each setting of the built-in models and of training, by its name."""
    settings = {**of_class(DenseSettings)["properties"], **of_class(CnnSettings)["properties"]}
    settings["family"] = {"description": settings["family"]["description"], "enum": _FAMILIES}
    settings["weights"] = of_class(FileSettings)["properties"]["weights"]
    settings["augmentation"]["uniqueItems"] = True
    settings |= of_class(TrainingSettings)["properties"]
    settings["metrics"]["uniqueItems"] = True
    mapping = next(c for c in settings["class_weight"]["anyOf"] if c.get("type") == "object")
    mapping["minProperties"] = 1
    for kind in KINDS:
        settings[kind] = with_components(kind, settings[kind])
    return settings


def _references(settings: type[Settings]) -> dict[str, Schema]:
    return {name: reference(name) for name in settings.model_fields}


def _model() -> Schema:
    """Return the schema of `model`: a builder's, a saved one, or one of the families."""
    builder = of_class(BuilderSettings)["properties"]["builder"] | USER_OBJECT
    of_file = {key: of_class(FileSettings)["properties"][key] for key in FILE_KEYS}
    of_file["file"]["pattern"] = rf"\.({'|'.join(suffix[1:] for suffix in SUFFIXES)})$"
    of_file |= {key: reference(key) for key in ("weights", "augmentation")}
    cnn, dense = _references(CnnSettings), _references(DenseSettings)
    dense["dense"] = of_class(DenseSettings)["properties"]["dense"]
    closed = {"additionalProperties": False}
    return if_then(
        given("builder"),
        {"properties": {"builder": builder}, "not": {"required": ["file"]}},  # its arguments are any
        if_then(
            given("file"),
            {
                "properties": of_file
                | {"weights": reference("weights"), "augmentation": reference("augmentation")},
                **closed,
            },
            if_then(
                given("family", "dense"),
                {"properties": dense, **closed},
                {"properties": cnn | {"builder": builder, "file": of_file["file"]}, **closed},
            ),
        ),
    )


def _by_model() -> Schema:
    """Return the rules of the sections that name settings, which depend on the model."""
    of_users = {key: {"properties": {"model": given(key)}, "required": ["model"]} for key in _OF_USERS}
    sections = {model: {"properties": _sections(model)} for model in (*_OF_USERS, "family")}
    return if_then(
        of_users["builder"],
        sections["builder"],
        if_then(of_users["file"], sections["file"], sections["family"]),
    )


def _sections(model: str) -> dict[str, Schema]:
    """Return the sections that name settings, for a model of this kind: builder, file or family."""
    space = {"properties": {"space": reference("space", model)}}
    sections: dict[str, Schema] = {
        "factors": _named(model, "levels"),
        "variants": {"additionalProperties": _named(model) | {"minProperties": 1}},
        "search": space,
        "tune": space,
    }
    return sections if model in _OF_USERS else sections | {"ablate": {"type": ["string", "array"]}}


def _space(model: str) -> Schema:
    """Return what a search can try with a model of this kind; it names settings without their sections."""
    schema = _named(model, "parameter", *([("model", "weights")] if model == "file" else []))
    schema["properties"].pop("family", None)
    del schema["patternProperties"]
    return schema


def _named(model: str, kind: str = "", *further: tuple[str, str]) -> Schema:
    """Return the schema of a mapping of the settings that a model of this kind has."""
    training = [("training", name) for name in TrainingSettings.model_fields]
    names = [*{**CnnSettings.model_fields, **DenseSettings.model_fields}] if model == "family" else []
    names += ["augmentation"] if model == "file" else []
    schema = by_name([*(("model", name) for name in names), *further, *training], kind)
    if model != "builder":
        return schema
    of_arguments = {"levels": levels({}), "parameter": parameter({}), "": {}}  # which may be anything
    return schema | {"additionalProperties": of_arguments[kind]}


def _dataset(schema: Schema) -> Schema:
    """Return the schema of `dataset` with the rules of which source needs, or knows, which key."""
    keys = schema["properties"]
    for key in ("validation_size", "test_size"):
        share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
        null = [{"type": "null"}] if key == "test_size" else []
        kept = {name: keys[key][name] for name in ("description", "default") if name in keys[key]}
        keys[key] = kept | {"anyOf": [share, {"type": "integer", "minimum": 1}, *null]}
    keys["loader"]["anyOf"][0] |= USER_OBJECT
    keys["class_names"]["anyOf"][0] = {
        **keys["class_names"]["anyOf"][0],
        "minItems": 2,
        "uniqueItems": True,
    }
    pictures, hubs = ("folder", "csv"), ("tfds", "huggingface")
    own = given("loader")
    named = {"anyOf": [given("name"), own]}
    rules = [
        *(if_then(given("name", name), given("path")) for name in ("npz", *pictures)),
        if_then(given("name", "own"), own),
        if_then(own, {"properties": {"name": {"const": "own"}}}),
        if_then(given("name", "tfds"), given("id")),
        if_then(given("name", "huggingface"), {"anyOf": [given("id"), given("path")]}),
        if_then(given("path"), named),
        if_then(given("name", "digits"), {"properties": {"path": {"type": "null"}}}),
        if_then(given("id"), given("name", *hubs)),
        if_then(given("image_size"), given("name", *pictures, *hubs)),
        if_then(given("on_error", "skip"), given("name", *pictures, "huggingface")),
        if_then(given("class_names"), {"anyOf": [given("name", "npz", *pictures, "own"), own]}),
    ]
    return schema | {"allOf": rules}


def _compare(schema: Schema) -> Schema:
    keys = schema["properties"]
    keys["holds_for"]["contains"] = {"const": "seeds"}
    next(c for c in keys["margin"]["anyOf"] if c["type"] == "string")["pattern"] = _MARGIN
    columns = [f"{part}_{name}" for part in ("test", "val", "train") for name in ("accuracy", "loss")]
    offered = {"type": "string", "enum": [*columns, "gap_accuracy", "gap_loss"]}
    keys["metric"]["anyOf"] = [offered, {"type": "string", "pattern": _METRIC}]
    return schema


def _ablate(schema: Schema) -> Schema:
    """Return the schema of `ablate` with what its mapping must name."""
    mapping = next(c for c in schema["anyOf"] if "properties" in c)
    parts = mapping["properties"]
    mapping["anyOf"] = [{"required": [key], "properties": {key: {"minItems": 1, "minProperties": 1}}}
                        for key in ("remove", "replace", "change")]  # fmt: skip
    target = parts["remove"]["items"]
    target["anyOf"] = [{"required": [key]} for key in ("kind", "layers", "branch", "penalty")]
    parts["remove"]["items"] = {"anyOf": [{"type": "string", "minLength": 1}, target]}
    return schema


def _search() -> Schema:
    schema = of_class(SearchSettings)
    keys = schema["properties"]
    keys["space"] = {"description": keys["space"]["description"], "type": "object"}
    keys["hypermodel"]["anyOf"][0] |= USER_OBJECT
    space = {"required": ["space"], "properties": {"space": {"minProperties": 1}}}
    return {
        "properties": keys,
        "additionalProperties": False,
        "oneOf": [space, given("hypermodel")],
    }


def _tune() -> Schema:
    keys = of_class(TuneSettings)["properties"]
    keys["space"] = {"description": keys["space"]["description"], "type": "object", "minProperties": 1}
    return {"properties": keys, "additionalProperties": False, "required": ["space"]}


def _examples(key: str) -> Schema:
    """Return the examples of a section of the grid that the reference shows."""
    sections = [path for path in EXAMPLES if path and path.partition(",")[0].partition(".")[0] == key]
    examples = [example[key] for example in map(_example, sections) if key in example]
    return {"examples": examples} if examples else {}


def _example(section: str) -> Any:
    return YAML(typ="safe", pure=True).load(EXAMPLES[section])
