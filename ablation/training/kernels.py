"""Faster TensorFlow kernels for two Keras layers, which keep their meaning, their state and their class.

In a small CNN, batch normalisation and dropout took a third of a training step on a CPU: Keras composes batch
normalisation of a dozen passes over the images, and draws 32 random bits per value for dropout. While a graph
is traced, both layers are computed here by kernels that TensorFlow has for the purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LEVELS = 2**16  # a value is dropped by 16 random bits, so that the rate is exact to within 0.00001
HIGHEST_RATE = 0.999  # above it, the share that is kept would no longer be exact to within a percent


@contextmanager
def faster_kernels() -> Iterator[None]:
    """Use the faster kernels for BatchNormalization and Dropout layers that are called within the context.

    They apply in training mode only. A layer with options that they do not support, and a subclass with a
    `call` of its own, are left to Keras.
    """
    import keras

    batch_norm, dropout = keras.layers.BatchNormalization, keras.layers.Dropout
    slower_batch_norm, slower_dropout = batch_norm.call, dropout.call

    def call_batch_norm(layer: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if training and mask is None and _can_fuse(layer, inputs):
            return _fused_batch_norm(layer, inputs)
        return slower_batch_norm(layer, inputs, training=training, mask=mask)

    def call_dropout(layer: Any, inputs: Any, training: Any = False) -> Any:
        if training and _can_draw(layer):
            return _dropout(layer, inputs)
        return slower_dropout(layer, inputs, training=training)

    batch_norm.call, dropout.call = call_batch_norm, call_dropout
    try:
        yield
    finally:
        batch_norm.call, dropout.call = slower_batch_norm, slower_dropout


def _can_fuse(layer: Any, inputs: Any) -> bool:
    has_images = len(inputs.shape) == 4 and layer.axis in (-1, 3)
    is_plain = layer.trainable and layer.scale and layer.center and not getattr(layer, "renorm", False)
    has_known_type = inputs.dtype in ("float32", "bfloat16", "float16")
    return bool(has_images and is_plain and has_known_type and not getattr(layer, "synchronized", False))


def _can_draw(layer: Any) -> bool:
    has_known_rate = isinstance(layer.rate, int | float) and 0 < layer.rate <= HIGHEST_RATE
    return bool(has_known_rate and layer.noise_shape is None)


def _fused_batch_norm(layer: Any, inputs: Any) -> Any:
    """Normalise (images, height, width, channels) by batch; update the moving statistics as Keras does."""
    import tensorflow as tf

    outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.cast(layer.gamma, tf.float32),
        offset=tf.cast(layer.beta, tf.float32),
        mean=tf.zeros((0,)),
        variance=tf.zeros((0,)),
        epsilon=layer.epsilon,
        is_training=True,
    )
    values = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)  # per channel
    variance = unbiased * (values - 1) / values
    for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + of_batch * (1 - layer.momentum))
    return outputs


def _dropout(layer: Any, inputs: Any) -> Any:
    """Set each value to 0 with the probability of the layer's rate, and scale the other values up."""
    import tensorflow as tf

    seed = tf.cast(layer.seed_generator.next(), tf.int32)
    count = tf.size(inputs)
    words = tf.random.stateless_uniform(((count + 1) // 2,), seed, minval=None, maxval=None, dtype=tf.int32)
    drawn = tf.reshape(tf.reshape(tf.bitcast(words, tf.int16), (-1,))[:count], tf.shape(inputs))
    dropped = round(layer.rate * LEVELS)
    kept = tf.cast(drawn >= tf.constant(dropped - LEVELS // 2, tf.int16), inputs.dtype)
    return inputs * (kept * tf.constant(LEVELS / (LEVELS - dropped), inputs.dtype))
