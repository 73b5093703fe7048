"""Layers that change training images at random, from the trial's seed; in inference they do nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ablation.errors import AblationError
from ablation.grid.keras_names import make
from ablation.grid.seeding import Randomness
from ablation.grid.settings import Component, ModelSettings
from ablation.models.training_only import (
    inference_only_layer,
    takes_training,
    training_argument,
    training_only_layer,
)

if TYPE_CHECKING:
    import keras

_AUGMENTED = "ablation_augmented"  # no name that a user would give a model

# TensorFlow's operations that draw from a state which no checkpoint holds, or that run Python.
_UNSEEDED = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "RandomShuffle",
    "RandomGamma", "RandomPoissonV2", "Multinomial", "PyFunc", "PyFuncStateless", "EagerPyFunc",
}  # fmt: skip


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


def augmented(
    model: keras.Model, settings: ModelSettings, image_shape: tuple[int, int, int], randomness: Randomness
) -> keras.Model:
    """Return a user's model behind the layers of the settings' augmentation, or as it is without any.

    A model whose ``call`` has no argument ``training`` stays in inference mode, as without augmentation.
    The other arguments and the errors are those of `augmentation`.
    """
    if not settings.augmentation:
        return model
    import keras

    layers = augmentation(settings, image_shape, randomness)
    last = model if takes_training(model) else inference_only_layer()(model, name=model.name)
    behind = keras.Sequential([keras.Input(image_shape), *layers, last], name=_AUGMENTED)
    if optimizer := getattr(model, "optimizer", None):
        behind.optimizer = optimizer
    return behind


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """Return a model's layers; for a user's model behind augmentation, the layers of both."""
    if model.name != _AUGMENTED:
        return list(model.layers)
    *augmenting, last = model.layers
    return [*augmenting, *(last.layer if isinstance(last, inference_only_layer()) else last).layers]


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
    if ":" in component.name and _draws_unseeded(layer, image_shape):
        raise AblationError(
            f"{component.name} draws random numbers that do not depend on the trial's seed. Draw them with "
            "keras.random, and pass as `seed` a keras.random.SeedGenerator that is an attribute of the layer."
        )
    for i, inner in enumerate(layer._flatten_layers()):
        for k, generator in enumerate(inner._seed_generators):
            generator.state.assign([randomness.derive("augmentation", f"{name}/{i}/{k}"), 0])
    return training_only_layer()(layer, name=name)


def _draws_unseeded(layer: keras.Layer, image_shape: tuple[int, int, int]) -> bool:
    """Return whether a built layer's graph uses randomness other than the layer's own variables."""
    import tensorflow as tf

    training_mode = training_argument(layer)
    shape = tf.TensorSpec((2, *image_shape), tf.float32)
    graph = tf.function(lambda images: layer(images, **training_mode), autograph=False).get_concrete_function(
        shape
    )
    definition = graph.graph.as_graph_def()
    inner = (node for function in definition.library.function for node in function.node_def)
    operations = {node.op for node in (*definition.node, *inner)}
    of_layer = {id(variable.value) for variable in layer.variables}
    return bool(operations & _UNSEEDED) or any(id(variable) not in of_layer for variable in graph.variables)
