"""The state of training as JAX sees it: the values of all variables, in three lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

State = tuple[list[Any], list[Any], list[Any]]  # trainable, other and optimizer variables


def variables_of(model: keras.Model) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the trainable, the other, and the optimizer's variables of a compiled model."""
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def state_of(model: keras.Model) -> State:
    """Return the values of a compiled model's variables."""
    trainable, other, optimizer = ([v.value for v in kind] for kind in variables_of(model))
    return trainable, other, optimizer


def stacked(states: Sequence[State]) -> State:
    """Return the states of lanes as one: each value has the lanes as its first axis."""
    import jax.numpy as jnp

    trainable, other, optimizer = (
        [jnp.stack(values) for values in zip(*kinds, strict=True)] for kinds in zip(*states, strict=True)
    )
    return trainable, other, optimizer
