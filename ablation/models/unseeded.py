"""Random numbers in the code of a model that do not follow the trial's seed: found and refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.errors import AblationError
from ablation.grid.seeding import Randomness
from ablation.models.graphs import traced

if TYPE_CHECKING:
    import keras

_REMEDY = (
    "Draw them with keras.random, and pass as `seed` a keras.random.SeedGenerator that is an attribute of "
    "the layer."
)

_draws_globally: dict[
    str, bool
] = {}  # by the model's settings, so that only one trial of a variant is traced


def draws_unseeded(layer: keras.Layer, image_shape: tuple[int, int, int]) -> bool:
    """Return whether a built layer's graph uses randomness other than the layer's own variables."""
    graph = traced(layer, image_shape)
    return bool(graph.unseeded) or bool(graph.variables)


def graph_constants(model: keras.Model, image_shape: tuple[int, int, int], seed: int = 0) -> list[bytes]:
    """Return the numbers and arrays that a model computes with in training mode, beside its variables.

    Args:
        model: The model.
        image_shape: The height, width and channels of an image.
        seed: Seeds what its code draws with NumPy or Python while it is traced.
    """
    with python_seeded(seed):
        return traced(model, image_shape).constants


def refuse_traced_draws(name: str, model: keras.Model, image_shape: tuple[int, int, int]) -> None:
    """Refuse a model whose code draws random numbers with NumPy or Python while it is traced."""
    if graph_constants(model, image_shape, 0) != graph_constants(model, image_shape, 1):
        raise AblationError(
            f"{name}: the model draws random numbers with NumPy or Python while it is traced, so "
            f"that they are the same in every step. {_REMEDY}"
        )


def seed_global_draws(
    name: str, model: keras.Model, image_shape: tuple[int, int, int], settings: str, randomness: Randomness
) -> None:
    """Make what a user's model draws without a seed follow the trial's seed, or refuse it.

    ``keras.random`` without a ``seed`` draws from a generator that all of Keras shares. A model that does so
    gets this generator as a part of its state, so that a checkpoint holds it.

    Args:
        name: The name of the user's code, for errors.
        model: The built model.
        image_shape: The height, width and channels of an image.
        settings: Names all that the model depends on, except for the seed.
        randomness: The randomness of the trial.

    Raises:
        AblationError: The model draws random numbers, or changes variables, that no checkpoint holds.
    """
    if not has_own_code(model):
        return
    from keras.src.random.seed_generator import global_seed_generator

    generator = global_seed_generator()
    if settings not in _draws_globally:
        _draws_globally[settings] = _refuse_unseeded(name, model, image_shape, generator)
    if _draws_globally[settings]:
        generator.state.assign([randomness.derive("dropout", "keras.random"), 0])
        model._seed_generators.append(generator)


def _refuse_unseeded(
    name: str, model: keras.Model, image_shape: tuple[int, int, int], generator: Any
) -> bool:
    """Refuse a model that draws unseeded numbers; return whether it draws from Keras's global generator."""
    with python_seeded(0):
        graph = traced(model, image_shape)
    if unseeded := graph.unseeded:
        raise AblationError(
            f"{name}: the model draws random numbers that do not depend on the trial's seed "
            f"({min(unseeded)}). {_REMEDY}"
        )
    shared = (id(generator.state), id(generator.state.value))
    if stray := [variable for variable in graph.variables if id(variable) not in shared]:
        raise AblationError(
            f"{name}: the model uses the variable '{stray[0].name}', which is not a part of its state, so "
            "that no checkpoint holds it. Make it an attribute of its layer: a keras.Variable, a "
            "keras.random.SeedGenerator, or a weight by `add_weight`."
        )
    return bool(graph.variables)


def has_own_code(model: keras.Model) -> bool:
    """Return whether a model computes with code that is not Keras's own."""
    import keras

    for layer in model._flatten_layers():
        functions = (getattr(layer, "activation", None), getattr(layer, "function", None))
        parts = (type(layer), *(f for f in functions if isinstance(f, FunctionType)))
        if isinstance(layer, keras.layers.Lambda) or not all(
            p.__module__.startswith("keras.") for p in parts
        ):
            return True
    return False


@contextmanager
def python_seeded(seed: int) -> Iterator[None]:
    """Seed the random numbers of Python and of NumPy within the block; their states are restored."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  code of users draws from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
