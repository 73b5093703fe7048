"""The page of the grid file: every key with its type, default and meaning, and one example per section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markup import code, one_of, prose, table

from ablation.grid.grid_file import GridFile
from ablation.grid.settings import (
    MODEL_FAMILIES,
    BuilderSettings,
    Component,
    FileSettings,
    ModelSettings,
    TrainingSettings,
)
from ablation.grid.settings_group import Settings
from ablation.grid.tune_settings import TuneSettings
from ablation.grid.value_text import yaml_text
from ablation.search.settings import SearchSettings

Schema = dict[str, Any]  # the JSON schema of a class, from pydantic

INTRODUCTION = """
A study is one YAML file; `study` is the only required key. A key that does not exist is reported with its
line and the nearest valid name. Every key of `model` and of `training` is a setting, which can be fixed
there, varied under `factors`, or changed under `variants`.
"""
KEYS = (
    "study", "question", "dataset", "model", "training", "factors", "variants", "ablate", "design",
    "baseline", "seeds", "compare", "save_models", "threads", "vary", "timeout", "engine", "gpus", "search",
    "tune",
)  # fmt: skip  # in the order in which a grid file is written
READ_LATER: dict[str, type[Settings]] = {
    "training": TrainingSettings,
    "search": SearchSettings,
    "tune": TuneSettings,
}
COMPONENTS = """
A component is an optimizer, a learning-rate schedule, a loss, a metric, a callback, or a layer that changes
training images. It is written as a name that Keras knows (`RandomZoom`, `huber`, `f1_score`), as
`module:object`, or as a mapping of such a name to arguments. In `module:object`, the module is a file beside
the grid file; the object is a class, a function that returns an object, or a function that is itself a loss
or a metric.

A component that does not exist, or that does not accept these arguments, is reported with its line before
anything starts. The file of your own component is part of the id of a trial: if you change the file, its
trials are run again. Labels are one-hot and outputs are probabilities. The sparse crossentropy is the same
loss with one-hot labels; a metric whose name begins with `sparse` is rejected. So are, for two classes,
metrics that pool both outputs: of these, precision and recall would be the accuracy. Write
`{Precision: {class_id: 1}}` and `{AUC: {multi_label: true}}`. A loss is the mean over images:
`reduction: sum` is rejected, and so is a binary crossentropy of a model that ends in softmax.

Callbacks are called at the beginning and the end of training, of each epoch, and of the measurements after
it. They receive the losses that Keras would give them, including penalties. A callback that must be called
for every batch is rejected, because the steps of an epoch are compiled. For the same reason, a callback may
change the values of variables, like the learning rate or weights. If it changes anything else that training
has read already, such as which layers are trainable, the trial ends and says so.

With `use_ema: true`, an optimizer keeps moving averages of the weights. As in Keras, they replace the weights
at the end of training. The averages are tested and saved. With the callback `SwapEMAWeights`, the averages
are measured after each epoch, too.
"""
_OWN_MODEL = """
**What your code compiles** is used: the optimizer with its learning rate, and the loss. A grid that sets
`optimizer`, `learning_rate` or another `loss` beside it is refused before the run, because its setting would
have no effect. Metrics other than accuracy, and `jit_compile`, are refused unless the grid sets the same.
`loss_weights` are refused, because a classifier has one loss. `steps_per_execution` and `run_eagerly` change
no result and are ignored. Without a call of `compile`, the grid decides everything.

**Images** are normalised before your model gets them: by default, they are floats from 0 to 1. A model that
divides by 255 itself, and one whose input has whole numbers, is refused. In front of a model that expects
values from 0 to 255, put `layers.Rescaling(255)`.

**Logits** are accepted if the loss says so, as in `SparseCategoricalCrossentropy(from_logits=True)`, in your
code or under `training: {loss: ...}`. Training computes the loss from the logits. Predictions are
probabilities, metrics receive probabilities, and saved models output them. Losses of integer labels are
computed with one-hot labels. A loss of your own receives one-hot labels and probabilities.

**Random numbers.** A layer's initial weights and random generators, wherever it holds them, get a seed from
the trial's seed and the path of the layer. The path is the layer's name, preceded by the names of the models
and layers that contain it. Layers without a name are numbered, so that an added layer renames those after it.
Name your layers, and variants are paired by these names. A layer with a `seed` keeps it. `keras.random`
without a `seed` follows the trial, too. Random numbers that TensorFlow, NumPy or Python draw inside a model
are refused, because no checkpoint holds their state. Use `keras.random` with a `keras.random.SeedGenerator`
that is an attribute of the layer.
"""
_PLURALS = {"whole number": "whole numbers", "number": "numbers", "text": "texts", "any value": "values"}

# The examples by the path of the section. Every top-level section has one; a nested section may have one.
EXAMPLES = {
    "": """
study: digits
question: Does Dropout help?
factors: {dropout: [0, 0.2]}
baseline: plain
seeds: 5
""",
    "dataset": "dataset: {name: digits, train_size: 120, validation_size: 400, test_size: 700}",
    "model": "model: {blocks: [[32, 64], [64]], dense: [32], dropout: 0.2, augmentation: [flip, shift]}",
    "model, family: dense": "model: {family: dense, dense: [64, 32], activation: gelu}",
    "model, builder": """
model: {builder: my_models:build, filters: 16}
factors: {dropout: [0, 0.3]}
""",
    "model, file": """
model: {file: my_model.keras, weights: initial}
ablate: {remove: [Dropout, BatchNormalization], how: all}
""",
    "training": "training: {epochs: 40, batch_size: 16, optimizer: adamw, learning_rate: 0.001}",
    "training.early_stopping": "training: {early_stopping: {patience: 3}, evaluate: best}",
    "factors": """
factors:
  dropout: [0, 0.2]
  batch_norm: [false, true]
  blocks: {shallow: [[32]], deep: [[32, 64], [64]]}   # labels, where the values are long
""",
    "variants": """
variants:
  wider: {width: 2}
  perceptron: {family: dense, dense: [64]}
""",
    "ablate": """
factors: {dropout: [0, 0.2], batch_norm: [false, true], augmentation: [[], [shift]]}
ablate: [leave_one_out, add_one_in]
baseline: full
""",
    "ablate.remove": """
model: {builder: my_models:build}
ablate:
  remove:
    - Dropout                                       # all layers of a class
    - {layers: "block3_*", name: block 3}           # layers by their names
    - {branch: add_2}                               # the longer of the two branches that this layer joins
    - {branch: mixed_1, through: mixed_1_5x5}       # one of several branches
    - {penalty: kernel_regularizer}
  replace: {relu: gelu, MaxPooling2D: AveragePooling2D}
  change: {Dropout.rate: 0.3}
  how: [leave_one_out, add_one_in]
  matched: true
""",
    "design": """
factors: {dropout: [0, 0.2], batch_norm: [false, true], width: [1, 2], augmentation: [[], [shift]]}
design: fractional                                  # 8 of the 16 combinations
""",
    "components": """
training:
  loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
  learning_rate: {CosineDecay: {initial_learning_rate: 0.01, decay_steps: 500}}
  metrics: [f1_score]
  callbacks: [{EarlyStopping: {monitor: val_loss, patience: 5}}]
factors:
  optimizer: {adam: adam, momentum: {SGD: {momentum: 0.9}}}
  augmentation: {none: [], zoomed: [flip, {RandomZoom: {height_factor: 0.1}}]}
""",
    "compare": "compare: {metric: test_accuracy, margin: 1pp, alpha: 0.05, correction: holm}",
    "search": """
search:
  space:
    learning_rate: {range: [0.0001, 0.03], log: true}
    batch_norm: [false, true]
    batch_norm_momentum: {range: [0.5, 0.95], when: {batch_norm: true}}
  tuner: bayesian
  trials: 20
  confirm: {best: 3, seeds: 5}
""",
    "tune": """
variants: {wide: {width: 2}}
tune:
  space:
    learning_rate: {range: [0.0001, 0.03], log: true}
    dropout: [0, 0.2, 0.4]
  trials: 20
""",
}


@dataclass(frozen=True)
class Section:
    """A part of the grid file.

    Attributes:
        path: The keys that lead to the section, joined by dots; empty for the file itself.
        text: The description of the section.
        keys: The JSON schema of each key of the section.
        required: The keys that must be given.
        depth: The number of sections that contain it.
    """

    path: str
    text: str
    keys: dict[str, Schema]
    required: frozenset[str] = frozenset()
    depth: int = 0


def grid_page() -> str:
    """Return the page as Markdown."""
    return "\n\n".join(["# The grid file", *(_rendered(section) for section in sections())]) + "\n"


def sections() -> Iterator[Section]:
    """Yield the sections of a grid file in the order of its keys, each followed by its nested sections."""
    whole = GridFile.model_json_schema()
    keys = {key: _described(whole["properties"][key], whole["$defs"]) for key in KEYS}
    yield Section("", INTRODUCTION.strip(), keys, frozenset(whole["required"]))
    for key, schema in keys.items():
        if key == "model":
            yield from _models()
        elif key in READ_LATER:
            yield from _section(key, READ_LATER[key].model_json_schema())
        elif names := _references(schema):
            mapping = whole["$defs"][names[0]]
            if key == "ablate":  # a list, or a mapping
                mapping = mapping | {"description": f"{schema['description']}\n\n{mapping['description']}"}
            yield from _section(key, mapping, whole["$defs"])
        elif key in EXAMPLES:
            yield Section(key, schema["description"], {})
    yield Section("components", COMPONENTS.strip(), {})


def _models() -> Iterator[Section]:
    """Yield the first model family with all keys, the others with differing keys, builder and file."""
    first, *others = MODEL_FAMILIES.items()
    every = first[1].model_json_schema()
    common = ModelSettings.model_fields.keys()
    keys = dict(sorted(every["properties"].items(), key=lambda item: item[0] in common))  # its own come first
    keys["family"] = keys["family"] | {"const": None, "enum": list(MODEL_FAMILIES)}
    yield from _section("model", every | {"properties": keys})
    for name, family in others:
        schema = family.model_json_schema()
        differing = {k: s for k, s in schema["properties"].items() if s != every["properties"].get(k)}
        differing.pop("family")
        missing = [f"`{key}`" for key in every["properties"] if key not in schema["properties"]]
        text = schema["description"] + (f" It has no {', '.join(missing)}." if missing else "")
        text += " What else differs from the family above:"
        yield from _section(f"model, family: {name}", schema | {"description": text, "properties": differing})
    builder = BuilderSettings.model_json_schema()
    text = (
        f"{builder['description']} These arguments are settings like any other. Of the settings above, only "
        f"`augmentation` is available, too; it is applied before your model.\n\n{_OWN_MODEL.strip()}"
    )
    chosen = {"builder": builder["properties"]["builder"]}
    yield from _section("model, builder", builder | {"description": text, "properties": chosen})
    file = FileSettings.model_json_schema()
    text = (
        f"{file['description']} Its layers and their arguments are those of the file; each trial trains it "
        "with the settings under `training`. Of the settings above, only `augmentation` is available, "
        "too. With `ablate`, it is [taken apart without a line of code](own-models.md)."
    )
    chosen = {key: file["properties"][key] for key in ("file", "weights", "custom_objects")}
    yield from _section("model, file", file | {"description": text, "properties": chosen})


def _section(path: str, schema: Schema, known: Schema | None = None, depth: int = 0) -> Iterator[Section]:
    """Yield the section of a mapping with fixed keys, and then its nested sections."""
    known = known if known is not None else schema.get("$defs", {})
    keys = {key: _described(value, known) for key, value in schema["properties"].items()}
    yield Section(path, schema.get("description", ""), keys, frozenset(schema.get("required", ())), depth)
    for key, value in keys.items():
        inner = [known[name] for name in _references(value)]
        for mapping in inner:
            below = f"{path}.{key}" + (f", {_distinction(mapping)}" if len(inner) > 1 else "")
            yield from _section(below, mapping, known, depth + 1)


def _described(schema: Schema, known: Schema) -> Schema:
    """Return the schema of a key with its description, which pydantic omits if its class has the same."""
    inner = [known[name].get("description", "") for name in _references(schema)]
    return {"description": inner[0] if inner else "", **schema}


def _references(schema: Any) -> list[str]:
    """Return the names of the classes that a schema refers to."""
    if isinstance(schema, list):
        return [name for part in schema for name in _references(part)]
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [] if name == Component.__name__ else [name]  # one section describes all components
    return [
        name
        for part in ("anyOf", "oneOf", "allOf", "items", "prefixItems", "additionalProperties")
        for name in _references(schema.get(part))
    ]


def _distinction(schema: Schema) -> str:
    """Return what distinguishes a kind of mapping: a key that has only one value, or its class name."""
    constants = [
        f"{key}: {value['const']}" for key, value in schema["properties"].items() if "const" in value
    ]
    return constants[0] if constants else str(schema["title"])


def _rendered(section: Section) -> str:
    """Return a section as Markdown: heading, text, example and keys."""
    parts = [f"{'#' * (section.depth + 2)} {code(section.path)}"] if section.path else []
    parts.append(prose(section.text))
    if example := EXAMPLES.get(section.path):
        parts.append(f"```yaml\n{example.strip()}\n```")
    if section.keys:
        rows = [
            (code(key), kind(schema), _default(key, schema, section), prose(schema["description"]))
            for key, schema in section.keys.items()
        ]
        parts.append(table(("key", "what it can be", "default", "meaning"), rows))
    return "\n\n".join(parts)


def _default(key: str, schema: Schema, section: Section) -> str:
    default = schema.get("default")
    if key in section.required:
        return "required"
    return "–" if default in (None, "", {}) or isinstance(default, dict) else code(yaml_text(default))


def kind(schema: Schema, several: bool = False) -> str:
    """Return the possible values in words, with their bounds, like ``whole number, at least 1``."""
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return one_of([code(yaml_text(value)) for value in values if value != ""])
    if choices := schema.get("anyOf", schema.get("oneOf")):
        words = dict.fromkeys(kind(choice, several) for choice in choices if choice.get("type") != "null")
        return ", or ".join(word for word in words if word.removeprefix("whole ") not in {*words} - {word})
    if schema.get("$ref", "").endswith(f"/{Component.__name__}"):
        return "[components](#components)" if several else "a [component](#components)"
    if "$ref" in schema or schema.get("type") == "object":
        return "mappings" if several else "mapping"
    if schema.get("type") == "array":
        return _list(schema, several)
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    name = names.get(schema.get("type", ""), "any value")
    if not several and name == "text" and "maxLength" in schema:
        return f"text, {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    return (_PLURALS.get(name, name) if several else name) + _bounds(schema)


def _list(schema: Schema, several: bool) -> str:
    items = schema.get("prefixItems") or [schema.get("items", {})]
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    count = f"{least} " if least and least == most else f"at least {least} " if least > 1 else ""
    inner = ", or ".join(dict.fromkeys(kind(item, several=True) for item in items))
    return f"{'lists' if several else 'list'} of {count}{inner}"


def _bounds(schema: Schema) -> str:
    """Return the bounds of a number in words, like ``, at least 0 and below 1``."""
    low, above, high, below = (
        int(bound) if isinstance(bound, float) and bound.is_integer() else bound  # pydantic 2.9 gives 0.0
        for bound in map(schema.get, ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"))
    )
    if low is not None:
        if high is None and below is None:
            return f", at least {low:,}"
        return f" from {low:,} to {high:,}" if high is not None else f", at least {low:,} and below {below:,}"
    bounds = [f"above {above:,}"] if above is not None else []
    bounds += [f"below {below:,}"] if below is not None else []
    bounds += [f"at most {high:,}"] if high is not None else []
    return f" {' and '.join(bounds)}" if bounds else ""
