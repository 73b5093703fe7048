"""What a user's code compiles its model with: it is used, unless the grid sets the same, which is refused."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.keras_names import loss
from ablation.grid.losses import one_hot_loss
from ablation.grid.settings import TrainingSettings, metric_name
from ablation.models.layer_paths import snake_case

if TYPE_CHECKING:
    import keras

_ATTRIBUTE = "ablation_own_compile"
_DECIDED = {"optimizer": ("optimizer", "learning_rate"), "loss": ("loss",)}  # settings that compile decides
_ACCURACIES = {"accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy"}


@dataclass(frozen=True)
class OwnCompile:
    """The call of ``compile`` in a user's code.

    Attributes:
        place: The file and the line of the call.
        arguments: The arguments that it names, by name.
        optimizer: The model's optimizer.
    """

    place: str
    arguments: dict[str, Any]
    optimizer: Any


@contextmanager
def recorded_compiles() -> Iterator[None]:
    """Let `own_compile` find how models were compiled within the block."""
    import keras

    original = keras.Model.compile

    def compile_(model: Any, *values: Any, **named: Any) -> None:
        original(model, *values, **named)
        arguments = inspect.signature(original).bind(model, *values, **named).arguments
        arguments.pop("self")
        setattr(model, _ATTRIBUTE, OwnCompile(_calling_line(), dict(arguments), model.optimizer))

    keras.Model.compile = compile_
    try:
        yield
    finally:
        keras.Model.compile = original


def own_compile(model: keras.Model) -> OwnCompile | None:
    """Return how a user's code compiled a model, or None if it did not."""
    found: OwnCompile | None = getattr(model, _ATTRIBUTE, None)
    return found


def keep_own_compile(source: keras.Model, target: keras.Model) -> None:
    """Let a model that contains a user's model count as compiled like it."""
    if found := own_compile(source):
        setattr(target, _ATTRIBUTE, found)


def loss_of(model: keras.Model, training: TrainingSettings) -> Any:
    """Return the loss that a model is trained and measured with, of one-hot labels and probabilities."""
    return _loss(model, training)[0]


def outputs_logits(model: keras.Model, training: TrainingSettings) -> bool:
    """Return whether the loss of a user's model expects logits."""
    return _loss(model, training)[1]


def _loss(model: keras.Model, training: TrainingSettings) -> tuple[Any, bool]:
    compiled = own_compile(model)
    if compiled and compiled.arguments.get("loss") is not None:
        return one_hot_loss(compiled.arguments["loss"])
    return one_hot_loss(loss(training.loss))


def refuse_without_effect(name: str, model: keras.Model, training: TrainingSettings) -> None:
    """Refuse settings of the grid, and arguments of the user's ``compile``, that would have no effect.

    Raises:
        AblationError: The grid sets what the user's code compiles its model with, or the code compiles it
            with something that only a setting of the grid can ask for.
    """
    compiled = own_compile(model)
    if not compiled:
        return
    try:
        loss_of(model, training)
    except AblationError as error:
        raise AblationError(f"{name}: {error}") from None
    by_grid = _set_by_grid(training)
    for part, settings in _DECIDED.items():
        clash = next((setting for setting in settings if setting in by_grid), "")
        if clash and not _agree(part, compiled, training):
            raise AblationError(
                f"{name} compiles its model ({compiled.place}) with {_described(part, compiled)}, so that "
                f"the grid's setting `{clash}` would have no effect. Remove the call of `compile`, so that "
                f"the grid's settings are used, or remove `{clash}` from the grid."
            )
    for argument, remedy in _not_used(compiled.arguments, training):
        raise AblationError(
            f"{name} compiles its model ({compiled.place}) with `{argument}`, which has no effect here. "
            f"{remedy}"
        )


def _set_by_grid(training: TrainingSettings) -> set[str]:
    """Return the settings that a grid sets; for a trial from JSON, those that are not at their default."""
    named = training.model_fields_set
    if named != set(TrainingSettings.model_fields):
        return set(named)
    return set(training.model_dump(exclude_defaults=True))


def _agree(part: str, compiled: OwnCompile, training: TrainingSettings) -> bool:
    """Return whether the code leaves a part to the grid, or names the grid's own loss, as it may."""
    if part != "loss":
        return False
    given = compiled.arguments.get("loss")
    return given is None or _identity(one_hot_loss(given)) == _identity(one_hot_loss(loss(training.loss)))


def _identity(given: tuple[Any, bool]) -> Any:
    """Return a loss in a form that is the same for a function and for a class with the same arguments."""
    function = getattr(given[0], "fn", given[0])
    arguments = getattr(given[0], "_fn_kwargs", {})
    defaults = {p.name: p.default for p in inspect.signature(function).parameters.values()}
    return function, given[1], {k: v for k, v in arguments.items() if v != defaults.get(k)}


def _described(part: str, compiled: OwnCompile) -> str:
    if part == "loss":
        given = compiled.arguments["loss"]
        return f"the loss {given if isinstance(given, str) else getattr(given, 'name', None) or given}"
    return (
        f"the optimizer {type(getattr(compiled.optimizer, 'inner_optimizer', compiled.optimizer)).__name__}"
    )


def _not_used(by_user: dict[str, Any], training: TrainingSettings) -> Iterator[tuple[str, str]]:
    """Yield each argument of ``compile`` that trials do not use, and what to write instead."""
    if by_user.get("loss_weights") is not None:
        yield "loss_weights", "Remove it: a classifier has one loss."
    asked = by_user.get("jit_compile")
    if isinstance(asked, bool) and asked != bool(training.jit_compile):
        setting = f"`training: {{jit_compile: {str(asked).lower()}}}`"
        yield f"jit_compile={asked}", f"Remove it, or set {setting} in the grid."
    measured = {metric_name(metric) for metric in training.metrics} | _ACCURACIES
    for argument in ("metrics", "weighted_metrics"):
        for metric in _flat(by_user.get(argument)):
            if (name := _name_of(metric)) not in measured:
                remedy = "Remove it, and name the metric under `training: {metrics: [...]}` in the grid."
                yield f"{argument}=[{name}]", remedy


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _flat(inner)
    elif value is not None:
        yield value


def _name_of(metric: Any) -> str:
    if isinstance(metric, str):
        return snake_case(metric)
    return str(getattr(metric, "__name__", "")) or snake_case(type(metric).__name__)


def _calling_line() -> str:
    """Return the file and the line from which ``compile`` was called, outside of Keras."""
    frame = sys._getframe(2)
    while frame.f_back and f"{os.sep}keras{os.sep}" in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
