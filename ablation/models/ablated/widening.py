"""A model with wider hidden layers, so that it has as many parameters as another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.models.ablated.graph import graph_of, operations

if TYPE_CHECKING:
    import keras

_WIDTHS = ("filters", "units")
_TRIALS = 12  # halvings, after which the widths of most layers no longer change


def widened(
    model: keras.Model, parameters: int, build: Callable[[dict[int, dict[str, Any]]], keras.Model]
) -> keras.Model:
    """Return a model whose hidden layers are all wider by one factor, with the nearest number of parameters.

    Args:
        model: The model to widen.
        parameters: The number of parameters that it should have.
        build: Builds the model with new arguments of layers, by their id.

    Raises:
        AblationError: The model has as many parameters already, or its layers cannot be widened.
    """
    if model.count_params() >= parameters:
        raise AblationError(
            "nothing that is removed has parameters, so that a matched variant would be the same model. Set "
            "`matched: false` for this part."
        )
    layers = _hidden(model)
    if not layers:
        raise AblationError("the model has no hidden layer that could be widened to match its parameters.")
    best, low, high = model, 1.0, 2.0 * (parameters / model.count_params())
    for _ in range(_TRIALS):
        factor = (low + high) / 2
        try:
            candidate = build({id(layer): {key: round(width * factor)} for layer, key, width in layers})
        except AblationError as error:
            raise AblationError(
                f"the hidden layers cannot be widened together: {error} Set `matched: false` for this part."
            ) from error
        size = candidate.count_params()
        if abs(size - parameters) < abs(best.count_params() - parameters):
            best = candidate
        low, high = (factor, high) if size < parameters else (low, factor)
        if size == parameters or all(round(w * low) == round(w * high) for _, _, w in layers):
            break
    if best is model:
        raise AblationError(
            f"no wider hidden layers come nearer to {parameters:,} parameters than these, which have "
            f"{model.count_params():,}, so that a matched variant would be the same model. Set "
            "`matched: false` for this part."
        )
    return best


def _hidden(model: keras.Model) -> list[tuple[Any, str, int]]:
    """Return the layers that can be wider, each with its argument and its width; not the last one."""
    every = operations(model).values()
    found = [
        (operation, key, int(getattr(operation, key)))
        for operation in every
        if graph_of(operation) is None
        for key in _WIDTHS
        if isinstance(getattr(operation, key, None), int) and operation.weights
    ]
    outputs = graph_of(model).outputs  # type: ignore[union-attr]
    last = {layer for layer, _, _ in found if layer.output.shape[1:] == outputs[0].shape[1:]}
    return [item for item in found if item[0] not in last]
