"""Random numbers of a user's model: they follow the trial's seed and the paths of its layers, or are refused."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablation.data.datasets import Dataset
from ablation.errors import AblationError
from ablation.grid.builder import Builder
from ablation.grid.component_parser import resolved
from ablation.grid.seeding import Randomness, derive_seed
from ablation.grid.settings import CnnSettings, Component, TrainingSettings
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.models.build import build_model
from ablation.models.layer_paths import layer_paths
from ablation.training import checkpoint
from ablation.training.trial_runner import run_trial

MODELS = """
    import keras, numpy, random, uuid
    import tensorflow as tf
    from keras import layers

    def model_of(*stack, classes=10):
        return keras.Sequential([keras.Input((8, 8, 1)), *stack, layers.Flatten(), layers.Dense(classes, "softmax", name="out")])

    def block(name, extra=False):
        inner = [layers.Conv2D(2, 3, padding="same", name="conv"), layers.Dropout(0.5, name="drop")]
        return keras.Sequential([*([layers.Conv2D(2, 1, name="first")] if extra else []), *inner], name=name)

    def blocks(front=False, extra=False):
        return model_of(*([block("front")] if front else []), block("a", extra), block("b"))

    def unnamed(front=False):
        def of(name):
            i = keras.Input((8, 8, 1 if name == "a" and not front else 2))
            return keras.Model(i, layers.Dropout(0.5)(layers.Conv2D(2, 3, padding="same")(i)), name=name)
        first = [layers.Conv2D(2, 1, name="widen")] if front else []
        return model_of(*first, *([of("front")] if front else []), of("a"), of("b"))

    class Noise(layers.Layer):
        def __init__(self, held="attribute", **options):
            super().__init__(**options)
            made = [keras.random.SeedGenerator(1337), keras.random.SeedGenerator()]
            self.held = {"attribute": made[0], "list": made, "dict": {"a": {"b": made[0]}}, "tuple": (1, made)}[held]
            self.used = made[0]

        def call(self, x, training=False):
            return x + keras.random.normal(keras.ops.shape(x), 0, 0.1, seed=self.used) if training else x

    class Positional(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((shape[-1], 2), "glorot_uniform")

        def call(self, x):
            return x @ self.kernel

    def positional(front=False):
        return model_of(*([layers.Dropout(0.1, name="first")] if front else []), Positional(name="own"))

    class Holder(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.parts = {"one": [Noise(name="noise")], "two": layers.Dropout(0.5, name="drop")}

        def call(self, x, training=False):
            return self.parts["two"](self.parts["one"][0](x, training=training), training=training)

    def generators(front=False, many=True):
        augmenting = [layers.RandomFlip(name="flip"), layers.RandomCrop(8, 8, name="crop")]
        augmenting += [layers.RandAugment((0, 1), name="rand")] if many else []
        held = [Noise(kind, name=kind) for kind in ("attribute", "list", "dict", "tuple")]
        first = [layers.Dropout(0.1, name="first"), layers.RandAugment((0, 1), name="before")] if front else []
        return model_of(*first, *augmenting, *held, Holder(name="holder"), layers.Dropout(0.5, seed=7, name="own"))

    class Draws(layers.Layer):
        def __init__(self, draw, **options):
            super().__init__(**options)
            self.draw = draw
            self.table = tf.Variable([1.0]) if draw == "variable" else None

        def call(self, x, training=False):
            return x + 0.1 * DRAWS[self.draw](self, x) if training else x

    SHARED = []

    def shared(layer, x):
        SHARED.append(keras.random.SeedGenerator(3)) if not SHARED else None
        return keras.random.normal(keras.ops.shape(x), seed=SHARED[0])

    DRAWS = {
        "keras": lambda layer, x: keras.random.normal(keras.ops.shape(x)),
        "dropout": lambda layer, x: keras.random.dropout(x, 0.5),
        "tf": lambda layer, x: tf.random.normal(tf.shape(x)),
        "nn": lambda layer, x: tf.nn.dropout(x, 0.5),
        "numpy": lambda layer, x: numpy.random.normal(),
        "generator": lambda layer, x: numpy.random.default_rng().normal(),
        "python": lambda layer, x: random.random(),
        "variable": lambda layer, x: layer.table,
        "shared": shared,
        "constant": lambda layer, x: keras.random.normal((8, 8, 1), seed=4),
    }

    def drawing(draw):
        return model_of(Draws(draw, name="noise"))

    def lambdas():
        return model_of(layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x))))

    def activations():
        return model_of(layers.Dense(2, activation=lambda x: x + keras.random.normal(keras.ops.shape(x))))

    def built_from_draws():
        model = model_of()
        model.set_weights([numpy.random.normal(size=w.shape) * random.random() for w in model.get_weights()])
        return model

    def drawn(shape, dtype=None):
        return keras.random.normal(shape, dtype=dtype) + numpy.random.normal() + random.random()

    class Scaled(keras.initializers.RandomNormal):  # without get_config
        def __init__(self, scale=1.0):
            super().__init__()
            self.scale = scale

        def __call__(self, shape, dtype=None):
            return self.scale * super().__call__(shape, dtype=dtype)

    class OfVariables(layers.Layer):
        def __init__(self, given=None, **options):
            super().__init__(**options)
            self.scale = keras.Variable("random_normal", shape=(1,))
            self.shift = keras.Variable(keras.random.normal((1,)))
            self.drawn = keras.Variable(keras.initializers.RandomNormal()((1,)))
            self.given = given

        def build(self, shape):
            self.kernel = keras.Variable(keras.random.normal((shape[-1], 3)))
            self.more = [keras.Variable(drawn, shape=(1, 3)), keras.Variable(self.given, shape=(1, 3))]

        def call(self, x):
            return (x * self.scale + self.shift + self.drawn) @ self.kernel + self.more[0] * self.more[1]

    def of_variables(front=False):
        given = keras.initializers.RandomNormal() if not front else [keras.initializers.RandomNormal() for _ in "12"][1]
        dense = [layers.Dense(3, kernel_initializer=kind, name=name) for kind, name in ((drawn, "by_function"), (Scaled(1e6), "scaled"))]
        first = layers.Dense(3, kernel_initializer=drawn, name="front") if front else layers.UpSampling2D(1)
        inner = keras.Sequential([OfVariables(given, name="own")], name="inner")
        return model_of(layers.Dense(3, name="start"), *([OfVariables(given, name="before"), first] if front else []), inner, *dense)

    class Held(layers.Layer):
        def __init__(self, held, **options):
            super().__init__(**options)
            self.held = held

        def call(self, x):
            return x * self.held

    def functional(mask):
        image = keras.Input((8, 8, 1))
        return keras.Model(image, layers.Dense(10, "softmax")(layers.Flatten()(image * mask)))

    def compiled(rate):
        model = model_of()
        model.compile(keras.optimizers.SGD(rate), loss=keras.losses.CategoricalCrossentropy(label_smoothing=rate))
        return model

    def weighted(values):
        model = model_of(layers.Flatten(), layers.Dense(3, name="first"))
        model.set_weights([values.random(weight.shape) for weight in model.get_weights()])
        return model

    BUILT_FROM = {
        "weights": weighted,
        "initial seed": lambda draw: model_of(
            layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(int(draw.integers(9**9))), name="own")),
        "seed": lambda draw: model_of(layers.Dropout(0.5, seed=int(draw.integers(9**9)), name="drop")),
        "setting": lambda draw: model_of(block("a"), keras.Sequential([layers.Dropout(draw.random(), name="drop")], name="b")),
        "array": lambda draw: model_of(Held(draw.random((8, 8, 1)).astype("float32"))),
        "tensor": lambda draw: model_of(layers.Dense(20), Held(tf.constant(draw.random((8, 8, 20)), "float32"))),
        "closure": lambda draw: (lambda mask: model_of(layers.Lambda(lambda x: x * mask)))(draw.random()),
        "functional": lambda draw: functional(draw.random((8, 8, 1))),
        "optimizer": lambda draw: compiled(draw.random()),
        "nothing": lambda draw: model_of(layers.Dense(2, name="own")),
    }

    def built_from(what, seeded=False):
        if seeded:
            return BUILT_FROM[what](numpy.random.default_rng(numpy.random.randint(2**31)))
        return BUILT_FROM[what](numpy.random.default_rng())

    class Shifted(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.by = random.Random().random()

        def call(self, x):
            return x + self.by

    OTHER = []

    def seldom(draw):  # as a draw of a few values may be
        OTHER.append(DRAWN[draw]())
        return model_of(layers.Dense(3 if len(OTHER) < 4 else 2, name="own"))

    DRAWN = {
        "numpy": lambda: numpy.random.default_rng().random(),
        "legacy": lambda: numpy.random.RandomState().random(),
        "python": lambda: random.Random().random(),
        "system": lambda: random.SystemRandom().random(),
        "uuid": lambda: uuid.uuid4(),
    }

    COUNT = []

    def changing():
        COUNT.append(0)
        return model_of(block("a" * len(COUNT)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "seeded.py").write_text(textwrap.dedent(MODELS))
    return tmp_path


def model_of(folder: Path, function: str, seed: int = 0, **arguments: Any) -> Any:
    settings = Builder.load(f"seeded:{function}", folder).settings(arguments)
    return build_model(settings, (8, 8, 1), 10, Randomness(seed))


def state(model: Any) -> dict[str, tuple[Any, ...]]:
    """Return the weights and generators of each layer by path, without those of the layers in it."""
    own = {
        path: [*layer._trainable_variables, *(g.state for g in layer._seed_generators)]
        for path, layer in layer_paths(model).items()
    }
    return {
        path: tuple(variable.numpy().tobytes() for variable in variables)
        for path, variables in own.items() if variables
    }  # fmt: skip


def test_an_initializer_may_be_given_by_position(folder: Path) -> None:
    plain, other = state(model_of(folder, "positional")), state(model_of(folder, "positional", front=True))
    assert list(plain) == ["own", "out"]
    assert plain.items() < other.items()
    assert state(model_of(folder, "positional", seed=1))["own"] != plain["own"]


def test_whatever_a_layer_draws_for_its_variables_follows_its_path(folder: Path) -> None:
    plain, other = (
        state(model_of(folder, "of_variables")),
        state(model_of(folder, "of_variables", front=True)),
    )
    assert list(plain) == ["start", "inner/own", "by_function", "scaled", "out"]
    assert plain.items() < other.items()
    assert len({*plain["inner/own"], *other["before"]}) == 12
    assert np.abs(np.frombuffer(plain["scaled"][0], np.float32)).max() > 1e4
    second = state(model_of(folder, "of_variables", seed=1))
    for path, value in plain.items():
        assert all(one != two for one, two in zip(second[path], value, strict=True) if any(one)), path


@pytest.mark.parametrize("function", ["blocks", "unnamed"])
def test_nested_layers_pair_by_their_path(function: str, folder: Path) -> None:
    plain, other = state(model_of(folder, function)), state(model_of(folder, function, front=True))
    inner = ("conv", "drop") if function == "blocks" else ("conv2d", "dropout")
    paths = [f"{block}/{name}" for block in ("a", "b") for name in inner]
    assert list(plain) == [*paths, "out"]
    assert set(plain) < set(other)
    # the first block behind another one may have other channels
    for path in paths[1:]:
        assert plain[path] == other[path], path
    assert plain["a/" + inner[1]] != plain["b/" + inner[1]]
    assert plain["a/" + inner[1]] == (np.array([derive_seed(0, "dropout", f"a/{inner[1]}"), 0]).tobytes(),)
    assert all(state(model_of(folder, function, 1))[path] != value for path, value in plain.items())


def test_a_layer_that_is_added_to_a_block_leaves_the_others_alone(folder: Path) -> None:
    plain, other = state(model_of(folder, "blocks")), state(model_of(folder, "blocks", extra=True))
    assert [path for path, value in other.items() if plain.get(path) != value] == ["a/first", "a/conv"]


def test_generators_are_seeded_by_path_wherever_they_are(folder: Path) -> None:
    plain, other, second = (
        state(model_of(folder, "generators", seed, front=front))
        for seed, front in ((0, False), (0, True), (1, False))
    )
    assert {
        "flip",
        "crop",
        "rand",
        "attribute",
        "list",
        "dict",
        "tuple",
        "holder/noise",
        "holder/drop",
    } <= set(plain)
    assert any(path.startswith("rand/") for path in plain)
    seeds = [value for path, values in plain.items() if path not in ("out", "own") for value in values]
    assert len(set(seeds)) == len(seeds)
    assert len(plain["list"]) == 2
    for path, value in plain.items():
        assert other[path] == value, path
        assert (second[path] == value) == (path == "own"), path
    assert plain["flip"] == (np.array([derive_seed(0, "augmentation", "flip"), 0]).tobytes(),)
    assert plain["own"] == (np.array([7, 0]).tobytes(),)


def test_a_builder_that_draws_weights_itself_follows_the_seed(folder: Path) -> None:
    first = state(model_of(folder, "built_from_draws"))
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert state(model_of(folder, "built_from_draws")) == first
    assert state(model_of(folder, "built_from_draws", 1)) != first


def test_a_builder_of_another_model_each_time_is_refused(folder: Path) -> None:
    with pytest.raises(AblationError) as caught:
        model_of(folder, "changing")
    assert str(caught.value) == (
        "seeded:changing: the model has different layers each time it is built with the same arguments, so that no "
        "seed can reproduce it."
    )


REMEDY = " Draw them with keras.random, and pass as `seed` a keras.random.SeedGenerator that is an attribute of the layer."
UNSEEDED = "the model draws random numbers that do not depend on the trial's seed (TensorFlow's {})." + REMEDY
TRACED = (
    "the model draws random numbers with NumPy or Python while it is traced, so that they are the same in "
    "every step." + REMEDY
)
STRAY = (
    "the model uses the variable '{}', which is not a part of its state, so that no checkpoint holds it. Make it an "
    "attribute of its layer: a keras.Variable, a keras.random.SeedGenerator, or a weight by `add_weight`."
)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("drawing tf", UNSEEDED.format("RandomStandardNormal")),
        ("drawing nn", UNSEEDED.format("RandomUniform")),
        ("lambdas", UNSEEDED.format("RandomStandardNormal")),
        ("drawing numpy", TRACED),
        ("drawing generator", TRACED),
        ("drawing python", TRACED),
        ("drawing variable", STRAY.format("Variable:0")),
        ("drawing shared", STRAY.format("sequential_1/noise_1/seed_generator_1/seed_generator_state:0")),
    ],
)
def test_draws_that_no_seed_reaches_are_refused(function: str, message: str, folder: Path) -> None:
    name, *draw = function.split()
    with pytest.raises(AblationError) as caught:
        model_of(folder, name, **({"draw": draw[0]} if draw else {}))
    assert str(caught.value) == f"seeded:{name}: {message}"


UNLIKE = (
    "{} builds another model each time, although the trial's seed and all arguments are the same: two of its models "
    "differ in {}. So no seed can reproduce a trial. Does it draw random numbers from a generator without a seed, "
    "such as `numpy.random.default_rng()` or `random.Random()`, or count its calls? Draw them with keras.random, "
    "`numpy.random.normal` or `random.random`, which follow the trial's seed, or give the generator a seed that "
    "does: `numpy.random.default_rng(numpy.random.randint(2**31))`."
)
COMPUTED = "a number or an array that the model computes with"


@pytest.mark.parametrize(
    ("what", "place"),
    [
        ("weights", "the weight first/kernel"),
        ("initial seed", "the weight own/kernel"),
        ("seed", "the random numbers of the layer drop"),
        ("setting", "the settings of the layer b/drop"),
        ("array", COMPUTED),
        ("tensor", COMPUTED),
        ("closure", COMPUTED),
        ("functional", "the settings of the model functional"),
        ("optimizer", "the settings of its optimizer"),
    ],
)
def test_a_builder_that_draws_without_a_seed_is_refused(what: str, place: str, folder: Path) -> None:
    with pytest.raises(AblationError) as caught:
        model_of(folder, "built_from", what=what)
    assert str(caught.value) == UNLIKE.format("seeded:built_from", place)
    assert model_of(folder, "built_from", what=what, seeded=True)


@pytest.mark.parametrize("draw", ["numpy", "legacy", "python", "system", "uuid"])
def test_what_two_builds_may_have_in_common_by_chance_is_built_more_often(draw: str, folder: Path) -> None:
    with pytest.raises(AblationError) as caught:
        model_of(folder, "seldom", draw=draw)
    assert str(caught.value) == UNLIKE.format("seeded:seldom", "the settings of the layer own")


def test_one_build_is_enough_where_two_were_compared_before(folder: Path) -> None:
    settings = Builder.load("seeded:built_from", folder).settings({"what": "nothing", "seeded": True})
    import seeded  # type: ignore[import-not-found]

    built = seeded.BUILT_FROM["nothing"]
    count: list[Any] = []
    seeded.BUILT_FROM["nothing"] = lambda draw: count.append(draw) or built(draw)
    for seed in range(3):
        build_model(settings, (8, 8, 1), 10, Randomness(seed))
    assert len(count) == 4


def test_augmentation_that_draws_without_a_seed_is_refused(folder: Path) -> None:
    shifted = Component(**resolved("augmentation", "seeded:Shifted", folder))
    with pytest.raises(AblationError) as caught:
        build_model(
            CnnSettings(blocks=((2,),), dense=(), augmentation=(shifted,)), (8, 8, 1), 10, Randomness(0)
        )
    assert str(caught.value) == UNLIKE.format("seeded:Shifted", COMPUTED)


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a process between two epochs."""


def trial_of(folder: Path, dataset: Dataset, function: str, seed: int, **arguments: Any) -> Trial:
    model = Builder.load(f"seeded:{function}", folder).settings(arguments)
    training = TrainingSettings(epochs=3, batch_size=16)
    return Trial(variant="v", seed=seed, dataset_digest=dataset.digest, model=model, training=training)


def bits(result: TrialResult) -> list[tuple[float, ...]]:
    return [(r.loss, r.active_loss, r.train_loss, r.val_loss) for r in result.history]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("drawing", {"draw": "keras"}),
        pytest.param("drawing", {"draw": "dropout"}, marks=pytest.mark.slow),
        pytest.param("activations", {}, marks=pytest.mark.slow),
        ("generators", {"many": False}),
    ],
)
def test_draws_depend_on_the_trial_alone_and_are_resumed(
    function: str,
    arguments: dict[str, Any],
    folder: Path,
    tiny_dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "_PAUSE", 0)
    first, second = (trial_of(folder, tiny_dataset, function, seed, **arguments) for seed in (0, 1))
    after_another, alone = folder / "after", folder / "alone"
    after_another.mkdir()
    alone.mkdir()
    run_trial(first, tiny_dataset, after_another)
    expected = bits(run_trial(second, tiny_dataset, after_another))

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Interruption

    run_trial(trial_of(folder, tiny_dataset, "blocks", 0), tiny_dataset, alone)  # traced again behind it
    with pytest.raises(Interruption):
        run_trial(second, tiny_dataset, alone, on_epoch=stop)
    resumed = run_trial(second, tiny_dataset, alone)
    assert bits(resumed) == expected
    assert len({loss for loss, *_ in expected}) == 3


def test_a_draw_with_a_seed_of_its_own_is_left_alone(folder: Path) -> None:
    assert state(model_of(folder, "drawing", draw="constant"))
