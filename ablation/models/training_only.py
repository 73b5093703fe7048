"""A Keras layer that applies another layer in training mode only."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def training_argument(layer: keras.Layer) -> dict[str, bool]:
    """Return the argument that puts a layer into training mode; empty where its ``call`` takes none."""
    return {"training": True} if "training" in inspect.signature(layer.call).parameters else {}


@cache
def training_only_layer() -> type[Any]:
    """Return the class `TrainingOnly`, a Keras layer; it is defined on first use, as Keras imports slowly."""
    import keras

    @keras.saving.register_keras_serializable("ablation")
    class TrainingOnly(keras.layers.Layer):  # type: ignore[misc]
        """Applies a layer in training mode; in inference mode it changes nothing.

        Args:
            layer: The layer. If its ``call`` has an argument ``training``, that is set to True.
            options: The options of every Keras layer.
        """

        def __init__(self, layer: keras.Layer, **options: Any) -> None:
            super().__init__(**options)
            self.layer = layer
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

        def get_config(self) -> dict[str, Any]:
            """Return what `from_config` needs to restore the layer."""
            config: dict[str, Any] = super().get_config()
            return config | {"layer": keras.saving.serialize_keras_object(self.layer)}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> TrainingOnly:
            """Restore a saved layer."""
            return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)

    TrainingOnly.__qualname__ = "TrainingOnly"  # as if it were defined in this module
    return TrainingOnly


def __getattr__(name: str) -> Any:
    """Let `TrainingOnly` be imported from here; Keras can then load saved models that have it."""
    if name == "TrainingOnly":
        return training_only_layer()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
