"""What a graph reads from Python objects while it is traced, and never again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

Traced = dict[tuple[str, str], Any]  # by the object's description and the attribute's name

# Attributes of a model that change while it is used, and that no graph reads.
_INCIDENTAL = {"built", "stop_training", "train_function", "test_function", "predict_function"}


def traced_settings(model: keras.Model) -> Traced:
    """Return the plain attributes of a compiled model's layers, loss, optimizer and schedule.

    Plain are numbers, texts, and lists of them; of objects and functions, only which one it is. Values of
    variables are not among them, because a graph reads them whenever it runs.
    """
    settings: Traced = {}
    for where, thing in _parts(model):
        settings[where, "object"] = id(thing)
        if hasattr(thing, "trainable"):
            settings[where, "trainable"] = bool(thing.trainable)
        for name, value in vars(thing).items():
            if not name.startswith("_") and name not in _INCIDENTAL and _is_plain(value):
                settings[where, name] = value if not callable(value) else id(value)
    return settings


def changed_setting(before: Traced, after: Traced) -> str:
    """Describe the first setting that was changed, like `trainable` of the layer dense; empty if none was."""
    for where, name in before.keys() & after.keys() if before != after else ():
        old, new = before[where, name], after[where, name]
        if old != new:
            if name == "object":
                return where
            values = f" from {old!r} to {new!r}" if not callable(old) and name != "activation" else ""
            return f"`{name}` of {where}{values}"
    gone = [where for where, name in before.keys() ^ after.keys() if name == "object"]
    return gone[0] if gone else ""


def _parts(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield each object that a training graph reads, with a description."""
    for number, layer in enumerate(model._flatten_layers()):
        yield ("the model" if number == 0 else f"the layer {layer.name}"), layer
    if not isinstance(model.loss, str | Mapping | list | None) and hasattr(model.loss, "__dict__"):
        yield "the loss", model.loss
    optimizer = model.optimizer
    yield "the optimizer", optimizer
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    if inner is not optimizer:
        yield "the optimizer", inner
    yield "the learning-rate schedule", inner._learning_rate


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, bool | int | float | str | None) for item in value)
    return isinstance(value, bool | int | float | str | None) or (
        callable(value) and not hasattr(value, "variables")
    )
