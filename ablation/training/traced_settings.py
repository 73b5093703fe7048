"""What a graph reads from Python objects while it is traced, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.digest import short_digest
from ablation.models.layer_paths import own_weights

if TYPE_CHECKING:
    import keras

_OBJECT = "object"
_DEPTH = 3  # how deep objects within objects are followed
# Attributes of a model that change while it is used, and that no graph reads.
_INCIDENTAL = {"built", "stop_training", "train_function", "test_function", "predict_function"}


class _Identity:
    """An object or a function, equal to itself alone."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.thing is self.thing

    __hash__ = object.__hash__


class _Content(str):
    """A hash of an array."""


Traced = dict[tuple[str, str], Any]  # by the object's description and the attribute's name


def traced_settings(model: keras.Model) -> Traced:
    """Return the attributes of a compiled model's layers, loss, optimizer and schedule, and of their objects.

    These are numbers, texts, arrays, and lists and mappings of them. What a layer holds, such as a
    regularizer, is looked at in the same way; of functions, only which one it is counts. Values of variables
    are not among them, because a graph reads them whenever it runs.
    """
    settings: Traced = {}
    for where, thing in _parts(model):
        settings[where, _OBJECT] = _Identity(thing)
        if hasattr(thing, "trainable"):
            settings[where, "trainable"] = bool(thing.trainable)
        _add_attributes(settings, where, thing, _DEPTH)
    return settings


def changed_setting(before: Traced, after: Traced) -> str:
    """Describe the first setting that was changed, like `rate` of the layer drop; empty if none was."""
    for (where, name), old in before.items():
        new = after.get((where, name), _Identity(None))
        if old != new:
            if name == _OBJECT:
                return where
            is_shown = _is_shown(old) and _is_shown(new)
            return f"`{name}` of {where}" + (f" from {old!r} to {new!r}" if is_shown else "")
    return next((where for where, name in after if name == _OBJECT and (where, name) not in before), "")


def _parts(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield each object that a training graph reads, with a description."""
    optimizer = model.optimizer
    yield "the optimizer", optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if inner is not optimizer:
        yield "the scaled optimizer", inner
    yield "the learning-rate schedule", inner._learning_rate
    yield "the loss", model.loss
    for number, layer in enumerate(model._flatten_layers()):
        yield ("the model" if number == 0 else f"the layer {layer.name}"), layer


def _add_attributes(settings: Traced, where: str, thing: Any, depth: int) -> None:
    """Add the attributes of an object, and those of the objects that it holds."""
    import keras

    if isinstance(thing, keras.Variable):
        return
    if isinstance(thing, keras.layers.Layer):
        for weight in own_weights(thing):
            place = f"the weight {weight.name} of {where}"
            settings[place, "trainable"] = bool(weight.trainable)
            settings[place, "regularizer"] = _Identity(weight.regularizer)
            settings[place, "constraint"] = _Identity(weight.constraint)
    for name, value in _attributes(thing):
        settings[where, name] = _snapshot(value)
        if depth and _is_followed(value):
            _add_attributes(settings, f"the {name} of {where}", value, depth - 1)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds and a graph may read: what is public, and all that a user's layer holds."""
    import keras

    kind = type(thing)
    is_users = isinstance(thing, keras.layers.Layer) and not isinstance(thing, keras.Model)
    is_users = is_users and not kind.__module__.startswith("keras.")
    of_keras = vars(keras.layers.Layer()) if is_users else {}
    for name, value in getattr(thing, "__dict__", {}).items():
        is_private = name.startswith("_") and name != "_fn_kwargs"  # the arguments of a loss
        if is_private and (not is_users or name in of_keras or name.startswith("_self_")):
            continue
        if name not in _INCIDENTAL and not isinstance(value, (keras.Variable, keras.random.SeedGenerator)):
            yield name, value


def _is_followed(value: Any) -> bool:
    """Return whether the attributes of a value are looked at, too; layers are looked at by themselves."""
    import keras

    parts = keras.layers.Layer, keras.Metric, keras.optimizers.Optimizer, keras.Variable
    others = FunctionType, MethodType, ModuleType, type, list, tuple, dict, set
    return not isinstance(value, (*parts, *others)) and not _is_array(value) and hasattr(value, "__dict__")


def _is_array(value: Any) -> bool:
    """Return whether a value is an array or a tensor that has a value; a variable is none."""
    import keras

    is_tensor = hasattr(value, "numpy") and hasattr(value, "dtype") and not isinstance(value, keras.Variable)
    return isinstance(value, np.ndarray | np.generic) or is_tensor


def _snapshot(value: Any) -> Any:
    """Return a copy of a value that does not change with it."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple):
        return [_snapshot(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _snapshot(item) for key, item in value.items()}
    if _is_array(value):
        array = np.asarray(value)
        if array.ndim:
            return _Content(short_digest(array.tobytes()))
        return float(str(array)) if array.dtype == np.float32 else array.item()  # 0.1, as it was written
    return _Identity(value)


def _is_shown(value: Any) -> bool:
    """Return whether a copy can be shown as it is."""
    if isinstance(value, list | dict):
        return all(_is_shown(item) for item in (value if isinstance(value, list) else value.values()))
    return not isinstance(value, _Identity | _Content)
