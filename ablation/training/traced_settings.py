"""What a graph reads from Python objects while it is traced, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_OBJECT = "object"
# Attributes of a model that change while it is used, and that no graph reads.
_INCIDENTAL = {"built", "stop_training", "train_function", "test_function", "predict_function"}


class _Identity:
    """An object or a function, equal to itself alone."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.thing is self.thing

    __hash__ = object.__hash__


Traced = dict[tuple[str, str], Any]  # by the object's description and the attribute's name


def traced_settings(model: keras.Model) -> Traced:
    """Return the plain attributes of a compiled model's layers, loss, optimizer and schedule.

    Plain are numbers, texts, and lists of them; of objects and functions, only which one it is. Values of
    variables are not among them, because a graph reads them whenever it runs.
    """
    settings: Traced = {}
    for where, thing in _parts(model):
        settings[where, _OBJECT] = _Identity(thing)
        if hasattr(thing, "trainable"):
            settings[where, "trainable"] = bool(thing.trainable)
        for name, value in getattr(thing, "__dict__", {}).items():
            if name.startswith("_") or name in _INCIDENTAL:
                continue
            if _is_plain(value):
                settings[where, name] = value
            elif callable(value) and not hasattr(value, "variables"):
                settings[where, name] = _Identity(value)
    return settings


def changed_setting(before: Traced, after: Traced) -> str:
    """Describe the first setting that was changed, like `rate` of the layer drop; empty if none was."""
    for (where, name), old in before.items():
        new = after.get((where, name), _Identity(None))
        if old != new:
            if name == _OBJECT:
                return where
            is_shown = not isinstance(old, _Identity) and not isinstance(new, _Identity)
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


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, bool | int | float | str | None) for item in value)
    return isinstance(value, bool | int | float | str | None)
