"""Seeds of a user's model, derived from the paths of its layers: initial weights and random generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.seeding import Randomness, Stream
from ablation.models.layer_paths import layer_paths

if TYPE_CHECKING:
    import keras

_known_names: dict[str, list[str]] = {}  # by the model's settings, so that only its first build is repeated


@dataclass
class _Drawn:
    """What Keras drew while a model was built: the weights without a seed, and the default seeds."""

    layers: list[Any] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    default_seeds: set[int] = field(default_factory=set)


def build_with_named_seeds(
    name: str, build: Callable[[], keras.Model], settings: str, randomness: Randomness
) -> keras.Model:
    """Build a model whose weights and random generators depend only on the seed and on the paths of layers.

    A weight is drawn while its layer is built, but the layer's path is known only once the model is complete.
    So a model with nested layers is built twice: the second time, the paths are known. Weights that the model
    brings or loads, and seeds that it sets itself, are left as they are.

    Args:
        name: The name of the user's code, for errors.
        build: Builds the model with all of its weights.
        settings: Names all that the model depends on, except for the seed.
        randomness: The randomness of the trial.

    Raises:
        AblationError: `build` builds another model each time.
    """
    for _ in range(3):  # the paths known from an earlier trial may be those of an earlier version of the code
        with _recorded_draws(_known_names.get(settings, []), randomness) as drawn:
            model = build()
        paths = {id(layer): path for path, layer in layer_paths(model).items()}
        names = _weight_names(drawn, paths | {id(model): model.name})
        if names == drawn.names:
            _seed_generators(model, randomness, drawn.default_seeds)
            return model
        _known_names[settings] = names
    raise AblationError(
        f"{name}: the model has different layers each time it is built with the same arguments, so that no "
        "seed can reproduce it."
    )


def _weight_names(drawn: _Drawn, paths: dict[int, str]) -> list[str]:
    names: list[str] = []
    counts: dict[str, int] = {}
    for layer, weight in zip(drawn.layers, drawn.weights, strict=True):
        names.append(_unique(f"{paths.get(id(layer), layer.name)}/{weight}", counts))
    return names


def _unique(name: str, counts: dict[str, int]) -> str:
    counts[name] = counts.get(name, 0) + 1
    return name if counts[name] == 1 else f"{name}/{counts[name]}"


@contextmanager
def _recorded_draws(known_names: list[str], randomness: Randomness) -> Iterator[_Drawn]:
    """Draw weights whose initializer has no seed from one that is derived from a name, and record them.

    Args:
        known_names: The names of the weights, in the order in which they are added. A weight beyond them is
            named for its layer alone.
        randomness: The randomness of the trial.
    """
    import keras
    from keras.src.random import seed_generator

    original = keras.layers.Layer.add_weight
    drawn, counts = _Drawn(), dict[str, int]()

    def add_weight(layer: Any, *values: Any, **named: Any) -> Any:
        named = dict(zip(("shape", "initializer", "dtype"), values, strict=False)) | named
        bare = _unique(f"{layer.name}/{named.get('name')}", counts)
        place = len(drawn.names)
        name = known_names[place] if place < len(known_names) else bare
        drawn.layers.append(layer)
        drawn.weights.append(str(named.get("name")))
        drawn.names.append(name)
        chosen = keras.initializers.get(named.get("initializer") or _default_initializer(named.get("dtype")))
        config = chosen.get_config() if isinstance(chosen, keras.initializers.Initializer) else {}
        if "seed" in config and config["seed"] is None:
            seed = randomness.derive("init", name)
            named["initializer"] = type(chosen).from_config(config | {"seed": seed})
        leading = (named.pop(name, None) for name in ("shape", "initializer", "dtype"))
        return original(layer, *leading, *values[3:], **named)

    keras.layers.Layer.add_weight = add_weight
    seed_generator.python_random = _RecordedRandom(drawn.default_seeds)
    try:
        yield drawn
    finally:
        keras.layers.Layer.add_weight = original
        seed_generator.python_random = random


class _RecordedRandom:
    """Stands for the module `random` where Keras draws a seed for what has none, and records the seeds."""

    def __init__(self, seeds: set[int]) -> None:
        self._seeds = seeds

    def randint(self, low: int, high: int) -> int:
        """Return what `random.randint` returns."""
        seed = random.randint(low, high)
        self._seeds.add(seed)
        return seed


def _default_initializer(dtype: Any) -> str:
    """Return the initializer that Keras uses where none is named."""
    return "glorot_uniform" if dtype is None or "float" in str(dtype) else "zeros"


def _seed_generators(model: keras.Model, randomness: Randomness, default_seeds: set[int]) -> None:
    """Seed the generators of a model by the path of its layer, unless the layer has its own ``seed``."""
    of_images, seen = _image_layer(), set[int]()
    for path, layer in [(model.name, model), *layer_paths(model).items()]:
        own_seed = getattr(layer, "seed", None)
        if isinstance(own_seed, int) and own_seed not in default_seeds:
            continue
        augments = isinstance(layer, of_images) or type(layer).__name__.startswith("Random")
        stream: Stream = "augmentation" if augments else "dropout"
        for number, generator in enumerate(layer._seed_generators):
            if id(generator) not in seen:  # else it is shared with a layer that contains this one
                name = f"{path}/{number}" if number else path
                generator.state.assign([randomness.derive(stream, name), 0])
            seen.add(id(generator))


def _image_layer() -> type[Any]:
    """Return the base class of Keras's layers that change images at random."""
    import keras

    base: type[Any] = keras.layers.RandomFlip.__base__
    return base
