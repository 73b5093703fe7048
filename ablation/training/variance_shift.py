"""How dropout in front of BatchNorm changes the variance that reaches it, in training and at inference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def variance_shift(model: keras.Model, images: Any) -> dict[str, float]:
    """Return the variance of each BatchNorm layer's input in training mode over that in inference mode.

    The variance of each unit is taken over images and positions, then averaged over the units. Dropout in
    front of a layer makes the ratio differ from 1, so that the layer's moving variance is not the variance in
    inference: Li et al. (2018), "Understanding the disharmony between dropout and batch normalization by
    variance shift", arXiv:1801.05134.

    Args:
        model: The model, whose moving statistics and random generators change.
        images: Normalised images, of shape (images, height, width, channels).

    Returns:
        The ratio by layer name; empty for a model that is not Sequential.
    """
    import keras
    from keras import ops

    if not isinstance(model, keras.Sequential):
        return {}  # the layers of such a model need not follow one another
    variances: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for active, by_layer in variances.items():
        values = images
        for layer in _sequential_layers(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                units = ops.reshape(ops.cast(values, "float32"), (-1, values.shape[-1]))
                by_layer[layer.name] = float(ops.mean(ops.var(units, axis=0)))
            values = layer(values, training=active)
    return {name: variances[True][name] / v for name, v in variances[False].items() if v > 0}


def _sequential_layers(model: keras.Sequential) -> Iterator[keras.Layer]:
    """Yield a Sequential model's layers in order, with nested Sequential models replaced by their layers."""
    import keras

    for layer in model.layers:
        yield from _sequential_layers(layer) if isinstance(layer, keras.Sequential) else [layer]
