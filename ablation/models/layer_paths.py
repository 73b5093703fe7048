"""The layers of a model by their path, which names a layer among all layers of nested models and layers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


# The attribute of a layer with the name that it has in the model of which parts were removed, so that layers
# behind a removed one keep their paths.
KEPT_NAME = "ablation_kept_name"


def layer_paths(model: keras.Model) -> dict[str, keras.Layer]:
    """Return all layers of a model, those of nested models and layers included, by path.

    The path of a layer is its name behind those of the layers that contain it: ``backbone/conv1``; a layer of
    the model itself has its name as its path. Keras numbers layers without a name over the whole model.
    Inside of a layer, they are numbered from the start here, so that what one block contains does not change
    the paths in another one. A layer that is used in several places has the path of the first one.
    """
    paths: dict[str, keras.Layer] = {}
    seen: set[int] = set()
    _add_layers(model, "", paths, seen)
    return paths


def own_weights(layer: keras.Layer) -> list[Any]:
    """Return the weights of a layer without those of the layers that it contains."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _add_layers(layer: keras.Layer, prefix: str, paths: dict[str, keras.Layer], seen: set[int]) -> None:
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        name = inner.name if not prefix else automatic_name(inner) or inner.name
        name = getattr(inner, KEPT_NAME, name)
        path = next(path for path in _numbered(prefix + name) if path not in paths)
        paths[path] = inner
        _add_layers(inner, f"{path}/", paths, seen)


def automatic_name(layer: keras.Layer) -> str:
    """Return the name, without a number, that Keras gave to a layer; empty if the user named it."""
    automatic = snake_case(type(layer).__name__)
    return automatic if re.fullmatch(rf"{re.escape(automatic)}(_\d+)?", layer.name) else ""


def snake_case(name: str) -> str:
    """Return the name of a class as Keras writes it where an object has no name."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 0
    while True:
        number += 1
        yield f"{name}_{number}"
