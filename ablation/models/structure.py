"""A hash of a built model's structure, by which trials that should have the same model are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.digest import short_digest

if TYPE_CHECKING:
    import keras

# What differs between the trials of a variant, or says nothing of the model.
_LEFT_OUT = {"seed", "build_config", "compile_config", "module", "registered_name", "shared_object_id"}


def structure_digest(model: keras.Model, with_arrays: bool = False) -> str:
    """Return a hash of a model's layers, their settings and connections, and the shapes of its weights.

    With one version of Keras, the trials of a variant have the same hash. Seeds, the values of weights and
    the code of functions are not part of it.

    Args:
        model: A model that is built.
        with_arrays: Whether the values of arrays in its settings count, which may follow the seed and are
            constants of its graphs, or only that there are arrays.
    """
    layers = list(model._flatten_layers(include_self=False))
    weights = [(w.path, tuple(w.shape), str(w.dtype), bool(w.trainable)) for w in model.variables]
    record = [
        layer_settings(model),
        *([type(layer).__name__, layer_settings(layer)] for layer in layers),
        weights,
    ]
    return short_digest(json.dumps(record if with_arrays else _without_arrays(record), sort_keys=True), 12)


def layer_settings(layer: keras.Layer) -> Any:
    """Return the configuration of a layer as JSON, without what differs between the trials of a variant."""
    try:
        return _plain(layer.get_config())
    except Exception:  # a class of the user's need not say how it can be made again
        return type(layer).__name__


def _plain(value: Any) -> Any:
    """Return a part of a configuration as JSON, without what is left out; of an object, its class."""
    if isinstance(value, dict):
        if value.get("class_name") == "__lambda__":  # its code contains the path of its file
            return "__lambda__"
        return {str(key): _plain(inner) for key, inner in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if isinstance(value, str | int | float | bool | None) else type(value).__name__


def _without_arrays(record: Any) -> Any:
    """Return plain settings without the values of arrays and tensors, as Keras describes them."""
    if isinstance(record, dict):
        if record.get("class_name") in ("__numpy__", "__tensor__"):
            return record["class_name"]
        return {key: _without_arrays(inner) for key, inner in record.items()}
    return [_without_arrays(inner) for inner in record] if isinstance(record, list | tuple) else record
