"""Seeds of a user's model, derived from the paths of its layers: initial weights and random generators."""

from __future__ import annotations

import copy
import functools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.seeding import Randomness, Stream
from ablation.models.layer_paths import layer_paths
from ablation.models.unseeded import python_seeded

if TYPE_CHECKING:
    import keras

_known_names: dict[str, list[str]] = {}  # by the model's settings, so that only its first build is repeated


@dataclass
class _Drawn:
    """What Keras and the user's layers drew while a model was built, in order: weights, and what has no seed.

    Attributes:
        known_names: The names of the draws, from an earlier build. A draw beyond them is named for its layer
            alone.
        randomness: The randomness of the trial.
        layers: The layer of each draw.
        labels: What each draw was for.
        names: The name of each draw, from which its seed is derived.
        default_seeds: The seeds that Keras drew for what had none.
        owner: The layer whose initializer is called now, wherever it is called.
    """

    known_names: list[str]
    randomness: Randomness
    layers: list[Any] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    default_seeds: set[int] = field(default_factory=set)
    owner: Any = None
    counts: dict[str, int] = field(default_factory=dict)

    def seed(self, layer: Any, label: str) -> int:
        """Return the seed of a draw of a layer, and record the draw."""
        bare = _unique(f"{layer.name}/{label}", self.counts)
        place = len(self.names)
        self.layers.append(layer)
        self.labels.append(label)
        self.names.append(self.known_names[place] if place < len(self.known_names) else bare)
        return self.randomness.derive("init", self.names[-1])


def build_with_named_seeds(
    name: str, build: Callable[[], keras.Model], settings: str, randomness: Randomness
) -> keras.Model:
    """Build a model whose weights and random generators depend only on the seed and on the paths of layers.

    A weight is drawn while its layer is built, but the layer's path is known only once the model is complete.
    So a model with nested layers is built twice: the second time, the paths are known. Weights that the model
    brings or loads, seeds that it sets itself, and what is drawn outside of layers are left as they are.

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
        names = _names(drawn, paths | {id(model): model.name})
        if names == drawn.names:
            _seed_generators(model, randomness, drawn.default_seeds)
            return model
        _known_names[settings] = names
    raise AblationError(
        f"{name}: the model has different layers each time it is built with the same arguments, so that no "
        "seed can reproduce it."
    )


def _names(drawn: _Drawn, paths: dict[int, str]) -> list[str]:
    counts: dict[str, int] = {}
    return [
        _unique(f"{paths.get(id(layer), layer.name)}/{label}", counts)
        for layer, label in zip(drawn.layers, drawn.labels, strict=True)
    ]


def _unique(name: str, counts: dict[str, int]) -> str:
    counts[name] = counts.get(name, 0) + 1
    return name if counts[name] == 1 else f"{name}/{counts[name]}"


@contextmanager
def _recorded_draws(known_names: list[str], randomness: Randomness) -> Iterator[_Drawn]:
    """Seed what layers draw without a seed while they are created and built by names, and record the draws.

    Weights are drawn from seeds by name. So are the seeds that Keras draws by default, and ``keras.random``
    without a seed, wherever a layer's own code draws them. What no layer draws is left as it is.
    """
    import keras
    from keras.src.backend.common.variables import Variable
    from keras.src.random import seed_generator

    drawn = _Drawn(known_names, randomness)
    create, global_generator = Variable.__init__, seed_generator.global_seed_generator

    def create_seeded(variable: Any, initializer: Any, *values: Any, **named: Any) -> None:
        if isinstance(initializer, str):
            initializer = keras.initializers.get(initializer)
        layer = _calling_layer(drawn)
        if layer is not None and callable(initializer):
            caller = sys._getframe(1)
            label = str(caller.f_locals.get("name")) if caller.f_code.co_name == "add_weight" else "variable"
            initializer = _seeded(initializer, layer, drawn.seed(layer, label), drawn)
        create(variable, initializer, *values, **named)

    Variable.__init__ = create_seeded
    seed_generator.global_seed_generator = lambda: _GlobalGenerator(drawn, global_generator())
    seed_generator.python_random = _RecordedRandom(drawn)
    try:
        yield drawn
    finally:
        Variable.__init__ = create
        seed_generator.global_seed_generator = global_generator
        seed_generator.python_random = random


def _calling_layer(drawn: _Drawn) -> Any:
    """Return the layer whose method is running, or None; of nested calls, the innermost."""
    import keras

    if drawn.owner is not None:
        return drawn.owner
    frame: FrameType | None = sys._getframe(2)
    while frame:
        if frame.f_code.co_argcount:
            first = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(first, keras.layers.Layer) and hasattr(first, "name"):
                return first
        frame = frame.f_back
    return None


def _seeded(initializer: Any, layer: Any, seed: int, drawn: _Drawn) -> Any:
    """Return an initializer that draws from a seed, unless it has one of its own.

    A function may draw from keras.random, NumPy or Python: all of these are seeded while it is called.
    """
    import keras

    if isinstance(initializer, keras.initializers.Initializer) and hasattr(initializer, "seed"):
        if initializer.get_config().get("seed") is None and not getattr(initializer, "_init_seed", None):
            initializer = copy.copy(initializer)
            initializer.seed = seed
        return initializer

    @functools.wraps(initializer)
    def draw(*values: Any, **named: Any) -> Any:
        before, drawn.owner = drawn.owner, layer
        try:
            with python_seeded(seed):
                return initializer(*values, **named)
        finally:
            drawn.owner = before

    return draw


class _RecordedRandom:
    """Stands for the module `random` where Keras draws a seed for what has none, and records the seeds."""

    def __init__(self, drawn: _Drawn) -> None:
        self._drawn = drawn

    def randint(self, low: int, high: int) -> int:
        """Return a seed by the name of the layer that is created or built, else a random one."""
        layer = _calling_layer(self._drawn)
        seed = random.randint(low, high)
        if layer is not None:
            seed = low + self._drawn.seed(layer, "seed") % (high - low + 1)
        self._drawn.default_seeds.add(seed)
        return seed


class _GlobalGenerator:
    """Stands for Keras's global generator, from which keras.random draws where it is given no seed."""

    def __init__(self, drawn: _Drawn, generator: Any) -> None:
        self._drawn = drawn
        self._generator = generator

    def next(self, ordered: bool = True) -> Any:
        """Return a seed by the name of the layer that is created or built, else the generator's next one."""
        import keras
        from keras.src.backend import random_seed_dtype

        layer = _calling_layer(self._drawn)
        if layer is None:
            return self._generator.next(ordered)
        seed = self._drawn.seed(layer, "keras.random")
        return keras.ops.convert_to_tensor([seed, 0], random_seed_dtype())


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
