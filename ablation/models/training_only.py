"""Keras layers that apply another layer in training mode only, or in inference mode only."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def training_argument(layer: keras.Layer) -> dict[str, bool]:
    """Return the argument that puts a layer into training mode; empty where its ``call`` takes none."""
    return {"training": True} if takes_training(layer) else {}


def mode_argument(model: keras.Model, training: bool) -> dict[str, bool]:
    """Return the argument that sets a model's mode, as Keras's `fit` and `evaluate` pass it.

    A model whose ``call`` has no argument ``training`` is given none. Its layers are then in inference mode,
    while training, too.
    """
    return {"training": training} if takes_training(model) else {}


def takes_training(layer: keras.Layer) -> bool:
    """Return whether a layer's ``call`` has an argument ``training``, by which Keras sets its mode."""
    return "training" in inspect.signature(layer.call).parameters


def has_modes(model: keras.Model) -> bool:
    """Return whether a model may compute something else in training mode than in inference mode.

    It does so with a state, of batch statistics or random draws, or with a layer that acts on training images
    only.
    """
    augments = any(isinstance(layer, training_only_layer()) for layer in model.layers)
    return bool(model.non_trainable_variables) or augments


@cache
def _around_layer() -> type[Any]:
    """Return the class of both layers, which contains another layer and is saved with it."""
    import keras

    class AroundLayer(keras.layers.Layer):  # type: ignore[misc]
        """Contains another layer."""

        def __init__(self, layer: keras.Layer, **options: Any) -> None:
            super().__init__(**options)
            self.layer = layer

        def get_config(self) -> dict[str, Any]:
            """Return what `from_config` needs to restore the layer."""
            config: dict[str, Any] = super().get_config()
            return config | {"layer": keras.saving.serialize_keras_object(self.layer)}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> AroundLayer:
            """Restore a saved layer."""
            return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)

    return AroundLayer


@cache
def training_only_layer() -> type[Any]:
    """Return the class `TrainingOnly`, a Keras layer; it is defined on first use, as Keras imports slowly."""
    import keras

    @keras.saving.register_keras_serializable("ablation")
    class TrainingOnly(_around_layer()):  # type: ignore[misc]
        """Applies a layer in training mode; in inference mode it changes nothing.

        Args:
            layer: The layer. If its ``call`` has an argument ``training``, that is set to True.
            options: The options of every Keras layer.
        """

        def __init__(self, layer: keras.Layer, **options: Any) -> None:
            super().__init__(layer, **options)
            self._arguments = training_argument(layer)

        def build(self, shape: Any) -> None:
            """Build the inner layer, unless it is built already."""
            if not self.layer.built:
                self.layer.build(shape)

        def call(self, images: Any, training: bool | None = None) -> Any:
            """Return the images, changed by the inner layer in training mode."""
            return self.layer(images, **self._arguments) if training else images

        def compute_output_shape(self, shape: Any) -> Any:
            """Return the input's shape, which the layer keeps."""
            return shape

    TrainingOnly.__qualname__ = "TrainingOnly"  # as if it were defined in this module
    return TrainingOnly


@cache
def inference_only_layer() -> type[Any]:
    """Return the class `InferenceOnly`, a Keras layer; it is defined on first use, as `TrainingOnly` is."""
    import keras

    @keras.saving.register_keras_serializable("ablation")
    class InferenceOnly(_around_layer()):  # type: ignore[misc]
        """Applies a model in inference mode, whatever the mode of the model around it.

        Keras hands the mode of a model down to all layers in it. A model whose ``call`` has no argument
        ``training`` is trained in inference mode by itself, and must not change inside another model.

        Args:
            layer: The model.
            options: The options of every Keras layer.
        """

        def call(self, images: Any) -> Any:
            """Return what the model outputs in inference mode."""
            return self.layer(images, training=False)

    InferenceOnly.__qualname__ = "InferenceOnly"  # as if it were defined in this module
    return InferenceOnly


def __getattr__(name: str) -> Any:
    """Let the two layers be imported from here; Keras can then load saved models that have them."""
    if name == "TrainingOnly":
        return training_only_layer()
    if name == "InferenceOnly":
        return inference_only_layer()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
