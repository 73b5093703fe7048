"""Layers that change training images at random, from the trial's seed; in inference they do nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ablation.errors import AblationError
from ablation.grid.keras_names import make
from ablation.grid.seeding import Randomness
from ablation.grid.settings import Component, ModelSettings
from ablation.models.layer_paths import layer_paths
from ablation.models.own_compile import keep_own_compile
from ablation.models.training_only import (
    inference_only_layer,
    takes_training,
    training_argument,
    training_only_layer,
)
from ablation.models.unseeded import draws_unseeded

if TYPE_CHECKING:
    import keras

_SURROUNDED = "ablation_surrounded"  # no name that a user would give a model


def augmentation(
    settings: ModelSettings, image_shape: tuple[int, int, int], randomness: Randomness
) -> list[keras.Layer]:
    """Return the layers of the settings' augmentation, in the order of the settings.

    Args:
        settings: The settings of the model.
        image_shape: The height, width and channels of an image.
        randomness: The randomness of the trial. A layer's seed is derived from the augmentation stream and
            the layer's name.

    Raises:
        AblationError: A layer changes the shape of an image, has trainable weights, or draws random numbers
            that do not depend on the trial's seed.
    """
    import keras

    makers = {
        "flip": partial(keras.layers.RandomFlip, "horizontal"),
        "shift": partial(keras.layers.RandomTranslation, 1 / 8, 1 / 8, interpolation="nearest"),
        "rotate": partial(keras.layers.RandomRotation, 15 / 360),
    }
    layers: list[keras.Layer] = []
    for kind in settings.augmentation:
        if isinstance(kind, Component):
            bare = f"augment_{kind.snake_case}"
            same = sum(layer.name.startswith(bare) for layer in layers)
            name = f"{bare}_{same + 1}" if same else bare
            layers.append(_component(kind, name, image_shape, randomness))
        else:
            name = f"augment_{kind}"
            layers.append(makers[kind](seed=randomness.derive("augmentation", name), name=name))
    return layers


def surrounded(
    model: keras.Model,
    settings: ModelSettings,
    image_shape: tuple[int, int, int],
    randomness: Randomness,
    ending: str = "",
) -> keras.Model:
    """Return a user's model between the layers of the settings' augmentation and an activation.

    A model whose ``call`` has no argument ``training`` stays in inference mode, as it does by itself.

    Args:
        model: The user's model.
        settings: The settings of the model.
        image_shape: The height, width and channels of an image.
        randomness: The randomness of the trial.
        ending: The activation that makes probabilities of the model's outputs; empty for none.

    Returns:
        The model as it is, if there is nothing to add.

    Raises:
        AblationError: See `augmentation`.
    """
    if not settings.augmentation and not ending:
        return model
    import keras

    before = augmentation(settings, image_shape, randomness)
    inner = model if takes_training(model) else inference_only_layer()(model, name=model.name)
    # As Keras advises, probabilities are float32 whatever the precision of the layers before them is.
    after = [keras.layers.Activation(ending, dtype="float32", name="probabilities")] if ending else []
    whole = keras.Sequential([keras.Input(image_shape), *before, inner, *after], name=_SURROUNDED)
    keep_own_compile(model, whole)
    return whole


def user_model_in(model: keras.Model) -> keras.Model:
    """Return the user's model that a trial's model contains; any other model is returned as it is."""
    import keras

    if model.name != _SURROUNDED:
        return model
    return next(inner for inner in map(_unwrapped, model.layers) if isinstance(inner, keras.Model))


def layers_by_path(model: keras.Model) -> dict[str, keras.Layer]:
    """Return all layers of a model by path; for a user's model between other layers, those of both."""
    inner = user_model_in(model)
    outer = (
        {layer.name: layer for layer in model.layers if _unwrapped(layer) is not inner}
        if inner is not model
        else {}
    )
    return outer | layer_paths(inner)


def _unwrapped(layer: keras.Layer) -> keras.Layer:
    return layer.layer if isinstance(layer, inference_only_layer()) else layer


def _component(
    component: Component, name: str, image_shape: tuple[int, int, int], randomness: Randomness
) -> keras.Layer:
    import keras

    layer = make("augmentation", component)
    changed = layer(keras.ops.zeros((2, *image_shape)), **training_argument(layer))
    if tuple(changed.shape) != (2, *image_shape):
        raise AblationError(
            f"{component.name} returns images of the shape {tuple(changed.shape[1:])}; augmentation must "
            f"keep their shape, {image_shape}."
        )
    if layer.trainable_variables:
        raise AblationError(f"{component.name} has trainable weights; augmentation may only change images.")
    if ":" in component.name and draws_unseeded(layer, image_shape):
        raise AblationError(
            f"{component.name} draws random numbers that do not depend on the trial's seed. Draw them with "
            "keras.random, and pass as `seed` a keras.random.SeedGenerator that is an attribute of the layer."
        )
    for i, inner in enumerate(layer._flatten_layers()):
        for k, generator in enumerate(inner._seed_generators):
            generator.state.assign([randomness.derive("augmentation", f"{name}/{i}/{k}"), 0])
    return training_only_layer()(layer, name=name)
