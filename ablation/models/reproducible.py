"""Whether a user's code builds the same model again from the same seed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.digest import short_digest
from ablation.errors import AblationError
from ablation.models.augmentation import layers_by_path, user_model_in
from ablation.models.layer_paths import own_weights
from ablation.models.own_compile import own_compile
from ablation.models.structure import layer_settings
from ablation.models.unseeded import graph_constants, has_own_code, refuse_traced_draws

if TYPE_CHECKING:
    import keras

_REMEDY = (
    "So no seed can reproduce a trial. Does it draw random numbers from a generator without a seed, such as "
    "`numpy.random.default_rng()` or `random.Random()`, or count its calls? Draw them with keras.random, "
    "`numpy.random.normal` or `random.random`, which follow the trial's seed, or give the generator a seed "
    "that does: `numpy.random.default_rng(numpy.random.randint(2**31))`."
)
_BUILDS = 6  # after the first one, of code that draws from the operating system
_COMPUTED = "a number or an array that the model computes with"
_compared: set[str] = set()  # the settings of models of which this process has compared two builds


def build_reproducibly(
    name: str, build: Callable[[], keras.Model], settings: str, image_shape: tuple[int, int, int]
) -> keras.Model:
    """Build a model with code of a user, twice the first time, and refuse code that builds another one.

    Keras, ``numpy.random`` and ``random`` are seeded before a build, but a generator that is created without
    a seed, as ``numpy.random.default_rng()``, follows the operating system. Code that draws from it is built
    more often, because two draws of a few values may be equal by chance.

    Args:
        name: The name of the user's code, for errors.
        build: Builds the model from one seed, with the random generators in its state seeded.
        settings: Names all that the model depends on, except for the seed.
        image_shape: The height, width and channels of an image.

    Raises:
        AblationError: Two builds differ.
    """
    if settings in _compared:
        return build()
    with _entropy_noticed() as noticed:
        first = list(_parts(build(), image_shape, 0))
    for _ in range(_BUILDS if noticed else 1):
        model = build()  # Keras's global random generator is that of the last build
        _refuse_difference(name, model, image_shape, first)
    _compared.add(settings)
    return model


def _refuse_difference(
    name: str, model: keras.Model, image_shape: tuple[int, int, int], first: list[tuple[str, str]]
) -> None:
    """Refuse code whose first build had other parts than this model."""
    for part, other in zip(first, _parts(model, image_shape, 1), strict=False):
        if part != other:
            if part[0] == _COMPUTED:
                refuse_traced_draws(name, model, image_shape)
            raise AblationError(
                f"{name} builds another model each time, although the trial's seed and all arguments are the "
                f"same: two of its models differ in {part[0]}. {_REMEDY}"
            )


@contextmanager
def _entropy_noticed() -> Iterator[list[str]]:
    """Collect calls within the block that draw from the operating system, as generators without a seed do.

    Code may have good reasons for them, such as the name of a temporary file. NumPy and `secrets` draw by
    the function that `random` has imported.
    """
    noticed: list[str] = []
    seed, urandom = random.Random.seed, os.urandom

    def draw(size: int) -> bytes:
        noticed.append("os.urandom")
        return urandom(size)

    def seed_(generator: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            noticed.append("random.Random")
        seed(generator, a, version)

    random.Random.seed = seed_  # type: ignore[assignment]
    os.urandom = random._urandom = draw  # type: ignore[attr-defined]
    try:
        yield noticed
    finally:
        random.Random.seed = seed  # type: ignore[method-assign]
        os.urandom = random._urandom = urandom  # type: ignore[attr-defined]


def _parts(model: keras.Model, image_shape: tuple[int, int, int], seed: int) -> Iterator[tuple[str, str]]:
    """Yield all that a trial of a built model starts from: a description of each part, and a hash of it.

    Args:
        model: The model.
        image_shape: The height, width and channels of an image.
        seed: Seeds what its code draws with NumPy or Python while it is traced.
    """
    import keras

    user_model, layers = user_model_in(model), layers_by_path(model)
    models = {path: layer for path, layer in layers.items() if isinstance(layer, keras.Model)}
    for path, layer in layers.items():
        if path not in models:
            yield f"the settings of the layer {path}", _hash(layer_settings(layer))
    for path, inner in [*models.items(), (user_model.name, user_model)]:
        yield f"the settings of the model {path}", _hash(layer_settings(inner))
    for path, layer in [*layers.items(), (user_model.name, user_model)]:
        for weight in own_weights(layer):
            yield f"the weight {path}/{weight.name}", _hash(weight.numpy())
        for generator in layer._seed_generators:  # of which a layer may have several
            yield f"the random numbers of the layer {path}", _hash(generator.state.numpy())
    if compiled := own_compile(model):
        yield "the settings of its optimizer", _hash(compiled.optimizer.get_config())
        yield "the settings of its loss", _hash(getattr(compiled.arguments.get("loss"), "get_config", dict)())
    if has_own_code(model):
        yield _COMPUTED, short_digest(b"".join(graph_constants(model, image_shape, seed)))


def _hash(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return short_digest(value.tobytes())
    return short_digest(json.dumps(value, sort_keys=True, default=lambda other: type(other).__name__))
