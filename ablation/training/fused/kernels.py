"""Keras layers as JAX kernels that stay fast, and give the same bits, when several seeds are one program.

XLA turns a convolution of several seeds into a grouped one, for which neither a GPU nor a processor has a
fast kernel, and its gradient of max pooling has no fixed order of summation. Here, a convolution is a matrix
product, of which there are fast kernels for many at once, and pooling's gradient goes to the first of equal
maxima, as in TensorFlow. Within a training step on a GPU, this took 0.5 of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ablation.training.kernels import HIGHEST_RATE, LEVELS

_LARGEST_KERNEL = 25  # a convolution copies each value once for each position of its kernel


@contextmanager
def vectorised_kernels() -> Iterator[None]:
    """Use these kernels for layers of Keras that are called within the block.

    They apply to Conv2D, MaxPooling2D and Dropout; with options that they do not support, a layer is left to
    Keras.
    """
    import keras

    conv, pool, dropout = keras.layers.Conv2D, keras.layers.MaxPooling2D, keras.layers.Dropout
    kept = conv.convolution_op, pool.call, dropout.call

    def convolution_op(layer: Any, inputs: Any, kernel: Any) -> Any:
        return _convolved(layer, inputs, kernel) if _can_multiply(layer) else kept[0](layer, inputs, kernel)

    def call_pool(layer: Any, inputs: Any) -> Any:
        return _first_maxima(layer.pool_size)(inputs) if _tiles(layer, inputs) else kept[1](layer, inputs)

    def call_dropout(layer: Any, inputs: Any, training: Any = False) -> Any:
        if training and layer.noise_shape is None and 0 < layer.rate <= HIGHEST_RATE:
            return _dropped(layer, inputs)
        return kept[2](layer, inputs, training=training)

    conv.convolution_op, pool.call, dropout.call = convolution_op, call_pool, call_dropout
    try:
        yield
    finally:
        conv.convolution_op, pool.call, dropout.call = kept


def _can_multiply(layer: Any) -> bool:
    height, width = layer.kernel_size
    is_plain = layer.groups == 1 and layer.data_format == "channels_last" and layer.padding != "causal"
    return bool(is_plain and height * width <= _LARGEST_KERNEL)


def _convolved(layer: Any, inputs: Any, kernel: Any) -> Any:
    """Convolve (images, height, width, channels) as a product of matrices."""
    import jax.numpy as jnp

    kernel = jnp.asarray(kernel, inputs.dtype)
    (height, width), strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    spans = [(size - 1) * step + 1 for size, step in zip((height, width), dilation, strict=True)]
    sizes = inputs.shape[1:3]
    if layer.padding == "same":
        counts = [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
        wanted = [(n - 1) * s + span for n, s, span in zip(counts, strides, spans, strict=True)]
        missing = [max(0, most - size) for most, size in zip(wanted, sizes, strict=True)]
        inputs = jnp.pad(inputs, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    else:
        counts = [(size - span) // s + 1 for size, span, s in zip(sizes, spans, strides, strict=True)]

    def seen_from(row: int, column: int) -> Any:
        top, left = row * dilation[0], column * dilation[1]
        bottom, right = ((n - 1) * s + 1 for n, s in zip(counts, strides, strict=True))
        return inputs[:, top : top + bottom : strides[0], left : left + right : strides[1]]

    columns = [seen_from(row, column) for row in range(height) for column in range(width)]
    patches = jnp.concatenate(columns, axis=-1) if len(columns) > 1 else columns[0]
    products = patches.reshape(-1, patches.shape[-1]) @ kernel.reshape(patches.shape[-1], -1)
    return products.reshape(-1, *counts, kernel.shape[-1])


def _tiles(layer: Any, inputs: Any) -> bool:
    """Return whether the windows of a pooling layer cover the images without overlap or rest."""
    sizes = inputs.shape[1:3]
    fits = all(size % window == 0 for size, window in zip(sizes, layer.pool_size, strict=True))
    return bool(
        fits and tuple(layer.strides) == tuple(layer.pool_size) and layer.data_format == "channels_last"
    )


@cache
def _first_maxima(window: tuple[int, int]) -> Callable[[Any], Any]:
    """Return a max pooling whose gradient goes to the first of equal maxima."""
    import jax
    import jax.numpy as jnp

    def tiled(images: Any) -> Any:
        _, height, width, channels = images.shape
        rows, columns = window
        return images.reshape(-1, height // rows, rows, width // columns, columns, channels)

    @jax.custom_vjp
    def pool(images: Any) -> Any:
        return tiled(images).max((2, 4))

    def forward(images: Any) -> tuple[Any, tuple[Any, Any]]:
        maxima = pool(images)
        return maxima, (images, maxima)

    def backward(kept: tuple[Any, Any], gradient: Any) -> tuple[Any]:
        images, maxima = kept
        tiles, taken = tiled(images), jnp.zeros(maxima.shape, bool)
        by_row = []
        for row in range(window[0]):
            by_column = []
            for column in range(window[1]):
                is_first = (tiles[:, :, row, :, column] == maxima) & ~taken
                taken = taken | is_first
                by_column.append(jnp.where(is_first, gradient, 0))
            by_row.append(jnp.stack(by_column, 3))
        return (jnp.stack(by_row, 2).reshape(images.shape),)

    pool.defvjp(forward, backward)
    return pool


def _dropped(layer: Any, inputs: Any) -> Any:
    """Set each value to 0 with the probability of the layer's rate, and scale the other values up."""
    import jax
    import jax.numpy as jnp

    key = jax.random.wrap_key_data(jnp.asarray(layer.seed_generator.next(), "uint32"))
    dropped = round(layer.rate * LEVELS)
    is_kept = jax.random.bits(key, inputs.shape, "uint16") >= dropped
    return jnp.where(is_kept, inputs * jnp.asarray(LEVELS / (LEVELS - dropped), inputs.dtype), 0)
