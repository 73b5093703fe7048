"""A user's own model: the function that builds it, its arguments, and seeds that follow layer names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.builder import Builder
from ablation.grid.seeding import Randomness, Stream
from ablation.grid.settings import BuilderSettings

if TYPE_CHECKING:
    import keras


def build_user_model(
    settings: BuilderSettings,
    image_shape: tuple[int, int, int],
    classes: int,
    randomness: Randomness,
    multi_label: bool = False,
) -> keras.Model:
    """Build a user's model, in which initial weights depend only on the trial's seed and on layer names.

    Args:
        settings: The function and its arguments.
        image_shape: The height, width and channels of an image.
        classes: The number of classes.
        randomness: The randomness of the trial.
        multi_label: Whether an image has several labels.

    Raises:
        AblationError: The module was changed since the study was read, or its function does not return a
            classifier of these images.
    """
    import keras

    builder = Builder.load(settings.builder, Path(settings.folder))
    if builder.source != settings.source:
        raise AblationError(
            f"the file of {settings.builder}, or of a module that it imports, was changed since the study "
            "began; the same `ablation run` command trains with its new version."
        )
    known_arguments = {"image_shape": image_shape, "classes": classes}
    parameters = inspect.signature(builder.function).parameters
    wanted_arguments = {name: value for name, value in known_arguments.items() if name in parameters}
    keras.utils.clear_session()  # so that layers without a name are numbered from the start
    keras.utils.set_random_seed(randomness.derive("init", "builder"))
    with _named_seeds(randomness):
        model = builder.function(**wanted_arguments, **settings.arguments)
        if not isinstance(model, keras.Model):
            raise AblationError(
                f"{settings.builder} returned an object of type {type(model).__name__}; expected a Keras "
                "model."
            )
        model(keras.ops.zeros((2, *image_shape)), training=False)
    _refuse_no_classifier(settings.builder, model, image_shape, classes, multi_label)
    _seed_generators(model, randomness)
    return model


def _refuse_no_classifier(
    name: str, model: keras.Model, image_shape: tuple[int, int, int], classes: int, multi_label: bool
) -> None:
    """Raise an error unless a model outputs one probability per class.

    For two classes, a model may output the probability of the second class alone.
    """
    import keras

    # The images lie far from zero, so that outputs without an activation cannot pass as probabilities.
    images = keras.random.normal((8, *image_shape), stddev=10, seed=0)
    outputs = model(images, training=False)
    shape = tuple(getattr(outputs, "shape", ("several outputs", "several outputs")))[1:]
    one_unit = shape == (1,) and classes == 2 and not multi_label
    if shape != (classes,) and not one_unit:
        kind = "label" if multi_label else "class"
        raise AblationError(
            f"{name}: the model's output for an image has the shape {shape}; expected ({classes},), one "
            f"probability per {kind}."
        )
    adds_up = float(keras.ops.max(keras.ops.abs(keras.ops.sum(outputs, axis=-1) - 1))) < 1e-3
    if multi_label or one_unit:
        if not (keras.ops.min(outputs) >= 0 and keras.ops.max(outputs) <= 1):
            raise AblationError(
                f"{name}: the model's outputs do not lie between 0 and 1, so they are not probabilities; end "
                "the model with sigmoid."
            )
        if multi_label and adds_up:
            raise AblationError(
                f"{name}: the model's outputs sum to 1, as those of softmax do, but these images have any "
                "number of labels; end the model with sigmoid."
            )
    elif not adds_up:
        raise AblationError(
            f"{name}: the model's outputs do not sum to 1, so they are not probabilities; end the model with "
            "softmax."
        )


@contextmanager
def _named_seeds(randomness: Randomness) -> Iterator[None]:
    """Draw weights whose initializer has no seed from a seed that is derived from their layer's name.

    Weights that a model brings with it or loads are left as they are.
    """
    import keras

    original = keras.layers.Layer.add_weight
    seen: dict[str, int] = {}

    def add_weight(layer: Any, *early: Any, **named: Any) -> Any:
        if len(early) < 2:  # the second would be the initializer
            weight = f"{layer.name}/{named.get('name')}"
            seen[weight] = seen.get(weight, 0) + 1
            name = weight if seen[weight] == 1 else f"{weight}/{seen[weight]}"
            chosen = keras.initializers.get(
                named.get("initializer") or _default_initializer(named.get("dtype"))
            )
            config = chosen.get_config() if isinstance(chosen, keras.initializers.Initializer) else {}
            if "seed" in config and config["seed"] is None:
                seed = randomness.derive("init", name)
                named["initializer"] = type(chosen).from_config(config | {"seed": seed})
        return original(layer, *early, **named)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def _default_initializer(dtype: Any) -> str:
    """Return the initializer that Keras uses where none is named."""
    return "glorot_uniform" if dtype is None or "float" in str(dtype) else "zeros"


def _seed_generators(model: keras.Model, randomness: Randomness) -> None:
    """Seed dropout and augmentation by the name of their layer, unless the layer has a seed of its own."""
    import keras

    for layer in model._flatten_layers(include_self=False):
        generator = getattr(layer, "seed_generator", None)
        if isinstance(generator, keras.random.SeedGenerator) and getattr(layer, "seed", None) is None:
            of_images = type(layer).__name__.startswith("Random")
            stream: Stream = "augmentation" if of_images else "dropout"
            generator.state.assign([randomness.derive(stream, layer.name), 0])
