"""Layers that change training images at random, by the trial's seed; in inference they do nothing."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import keras

from ablation.components import make
from ablation.errors import AblationError
from ablation.randomness import Randomness
from ablation.settings import Component, ModelSettings

_AUGMENTED = "ablation_augmented"  # no name that a user would give a model

# TensorFlow's operations that draw from a state which no checkpoint holds, or that run Python.
_UNSEEDED = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "RandomShuffle",
    "RandomGamma", "RandomPoissonV2", "Multinomial", "PyFunc", "PyFuncStateless", "EagerPyFunc",
}  # fmt: skip


@keras.saving.register_keras_serializable("ablation")
class TrainingOnly(keras.layers.Layer):  # type: ignore[misc]
    """Applies a layer in training mode; in inference mode it changes nothing.

    Args:
        layer: The layer. One whose ``call`` has an argument ``training`` is told that it is true.
        options: As for every layer.
    """

    def __init__(self, layer: keras.Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer
        self._told = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}

    def build(self, shape: Any) -> None:
        """Build the layer."""
        if not self.layer.built:
            self.layer.build(shape)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, changed in training mode."""
        return self.layer(images, **self._told) if training else images

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the shape as it is."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        config: dict[str, Any] = super().get_config()
        return config | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TrainingOnly:
        """Restore a saved layer."""
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


def augmentation(
    settings: ModelSettings, image_shape: tuple[int, int, int], randomness: Randomness
) -> list[keras.Layer]:
    """Return the layers of the settings' augmentation, in its order.

    Args:
        settings: The model's.
        image_shape: Height, width and channels of an image.
        randomness: The trial's; a layer draws from its stream of augmentation, by the layer's name.

    Raises:
        AblationError: A layer changes an image's size, has weights to train, or draws random numbers that do
            not follow the trial's seed.
    """
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
    """Return a user's model behind the layers of the settings' augmentation; without any, as it is.

    Arguments and errors are those of `augmentation`.
    """
    if not settings.augmentation:
        return model
    layers = augmentation(settings, image_shape, randomness)
    behind = keras.Sequential([keras.Input(image_shape), *layers, model], name=_AUGMENTED)
    if optimizer := getattr(model, "optimizer", None):
        behind.optimizer = optimizer
    return behind


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """Return a model's layers; of a user's behind augmentation, those and its own."""
    if model.name != _AUGMENTED:
        return list(model.layers)
    return [*model.layers[:-1], *model.layers[-1].layers]


def _component(
    component: Component, name: str, image_shape: tuple[int, int, int], randomness: Randomness
) -> keras.Layer:
    layer = make("augmentation", component)
    changed = layer(keras.ops.zeros((2, *image_shape)), **TrainingOnly(layer)._told)
    if tuple(changed.shape) != (2, *image_shape):
        raise AblationError(f"{component.name} makes images of another size, {tuple(changed.shape[1:])}.")
    if layer.trainable_variables:
        raise AblationError(f"{component.name} has weights to train; augmentation only changes images.")
    if ":" in component.name and _draws_unseeded(layer, image_shape):
        raise AblationError(
            f"{component.name} draws random numbers that do not follow the trial's seed; draw them by "
            "keras.random, with a keras.random.SeedGenerator that is an attribute of the layer as `seed`."
        )
    for i, inner in enumerate(layer._flatten_layers()):
        for k, generator in enumerate(inner._seed_generators):
            generator.state.assign([randomness.derive("augmentation", f"{name}/{i}/{k}"), 0])
    return TrainingOnly(layer, name=name)


def _draws_unseeded(layer: keras.Layer, image_shape: tuple[int, int, int]) -> bool:
    """Tell whether a built layer's graph holds random state that is not the layer's own."""
    import tensorflow as tf

    told = TrainingOnly(layer)._told
    shape = tf.TensorSpec((2, *image_shape), tf.float32)
    graph = tf.function(lambda images: layer(images, **told), autograph=False).get_concrete_function(shape)
    definition = graph.graph.as_graph_def()
    inner = (node for function in definition.library.function for node in function.node_def)
    operations = {node.op for node in (*definition.node, *inner)}
    own = {id(variable.value) for variable in layer.variables}
    return bool(operations & _UNSEEDED) or any(id(variable) not in own for variable in graph.variables)
