"""Initial weights that are the same with every engine and on every device: NumPy draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

_CUT = 2.0  # standard deviations, where Keras cuts a truncated normal distribution


@contextmanager
def drawn_by_numpy() -> Iterator[None]:
    """Let NumPy draw, within the block, what Keras draws from a seed that is a number.

    Initializers do so. TensorFlow and JAX would draw other numbers from the same seed. What is drawn from a
    generator of Keras, as for dropout, is left to the engine.
    """
    from keras.src.backend import random

    draws = {"uniform": _uniform, "normal": _normal, "truncated_normal": _truncated_normal}
    originals = {name: getattr(random, name) for name in draws}
    for name, draw in draws.items():
        setattr(random, name, _from_number(draw, originals[name]))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(random, name, original)


def _from_number(draw: Callable[..., NDArray[Any]], original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of `keras.random` that draws as another one does where its seed is a number."""

    @wraps(original)
    def drawn(shape: Any, *place: float, dtype: Any = None, seed: Any = None, **named: float) -> Any:
        if not isinstance(seed, int):
            return original(shape, *place, dtype=dtype, seed=seed, **named)
        import keras

        values = draw(np.random.default_rng(seed), tuple(shape), *place, **named)
        return keras.ops.convert_to_tensor(values, dtype=dtype or keras.config.floatx())

    return drawn


def _uniform(
    generator: np.random.Generator, shape: Shape, minval: float = 0, maxval: float = 1
) -> NDArray[np.float64]:
    return generator.uniform(minval, maxval, shape)


def _normal(
    generator: np.random.Generator, shape: Shape, mean: float = 0, stddev: float = 1
) -> NDArray[np.float64]:
    return generator.normal(mean, stddev, shape)


def _truncated_normal(
    generator: np.random.Generator, shape: Shape, mean: float = 0, stddev: float = 1
) -> NDArray[np.float64]:
    """Draw from a normal distribution without what lies beyond two standard deviations."""
    values = generator.standard_normal(shape)
    while (beyond := np.abs(values) > _CUT).any():
        values[beyond] = generator.standard_normal(int(beyond.sum()))
    drawn: NDArray[np.float64] = mean + stddev * values
    return drawn
