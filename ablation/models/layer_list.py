"""The layers of a built model, as `ablation check` shows and compares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablation.grid.value_text import yaml_text
from ablation.models.augmentation import user_model_in
from ablation.models.layer_paths import automatic_name, layer_paths
from ablation.models.training_only import training_only_layer

if TYPE_CHECKING:
    import keras

# What Keras writes into a layer's configuration beside what it does.
_INCIDENTAL = {
    "name",
    "seed",
    "trainable",
    "dtype",
    "build_config",
    "batch_shape",
    "registered_name",
    "module",
}


@dataclass(frozen=True)
class Layer:
    """A layer of a built model.

    Attributes:
        name: Its path: its name, preceded by those of the models that contain it.
        kind: The name of its class.
        output: The shape of its output for one image, as text; empty if it is not known.
        parameters: The number of its parameters; 0 for a model, whose layers have them.
        settings: Its configuration, as text by name.
        inputs: The names of the layers that it takes its inputs from, as far as they are known.
        is_numbered: Whether Keras has named it and it has parameters or draws random numbers.
    """

    name: str
    kind: str
    output: str
    parameters: int
    settings: dict[str, str]
    inputs: tuple[str, ...] = field(default=(), compare=False)
    is_numbered: bool = field(default=False, compare=False)


def shown_layers(model: keras.Model, operations: Mapping[str, Any] | None = None) -> tuple[Layer, ...]:
    """Return the layers of a built model, those of nested models included.

    Args:
        model: The model.
        operations: The operations of the model's graph by path, in their order, if those that are no layers,
            such as ``x + y``, are to be listed, too.
    """
    found = dict(_paths(model))
    if operations:
        found = {path: layer for path, layer in found.items() if path not in operations} | {**operations}
    names = {id(layer): path for path, layer in found.items()}
    return tuple(_layer(path, layer, names) for path, layer in found.items())


def _paths(model: keras.Model) -> Iterator[tuple[str, keras.Layer]]:
    """Yield the layers of a model, those of nested models included, by path."""
    import keras

    for outer in model.layers if user_model_in(model) is not model else [model]:
        if not isinstance(outer, keras.Model):
            yield outer.name, outer
            continue
        models = {""}
        for path, layer in layer_paths(outer).items():
            parent = path.rpartition("/")[0]
            if parent not in models or (parent and isinstance(layer, keras.layers.InputLayer)):
                continue
            if isinstance(layer, keras.Model):
                models.add(path)
            if parent or any(layer is shown for shown in outer.layers):
                yield path, layer


def _layer(path: str, layer: Any, names: Mapping[int, str]) -> Layer:
    """Return what is shown of a layer or an operation, given the paths of all of them by id."""
    import keras

    try:
        shape = layer.output.shape[1:]
        output = " × ".join(str(side) for side in shape)
    except (AttributeError, ValueError):  # of a subclassed model
        output = ""
    inner = layer.layer if isinstance(layer, training_only_layer()) else layer
    nodes = getattr(layer, "_inbound_nodes", [])[-1:]
    called = {name: value for node in nodes for name, value in node.arguments.kwargs.items()}
    settings = {name: _text(value) for name, value in called.items() if isinstance(value, bool)}
    parents = tuple(
        "the images" if isinstance(parent.operation, keras.layers.InputLayer)
        else names.get(id(parent.operation), parent.operation.name)
        for node in nodes for parent in node.parent_nodes
    )  # fmt: skip
    if not isinstance(layer, keras.layers.Layer):
        return Layer(path, type(layer).__name__, output, 0, settings, parents)
    is_model = isinstance(layer, keras.Model)
    if not is_model:
        settings |= {k: _text(v) for k, v in inner.get_config().items() if k not in _INCIDENTAL}
    if layer.weights:
        settings["trainable"] = _text(layer.trainable)
    stateful = bool(layer.variables) and not is_model
    numbered = stateful and bool(automatic_name(layer))
    parameters = 0 if is_model else layer.count_params()
    return Layer(path, type(inner).__name__, output, parameters, settings, parents, numbered)


def _text(value: Any) -> str:
    """Return a part of a configuration as text; for an object, its class and its own configuration."""
    if isinstance(value, dict) and "class_name" in value:
        config = value.get("config") or {}
        if not isinstance(config, dict):
            return str(config)
        settings = ", ".join(f"{k} {_text(v)}" for k, v in config.items() if k not in _INCIDENTAL)
        return f"{value['class_name']}({settings})" if settings else str(value["class_name"])
    if isinstance(value, list | tuple) and any(isinstance(inner, dict) for inner in value):
        return f"[{', '.join(_text(inner) for inner in value)}]"
    return yaml_text(value)
