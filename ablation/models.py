"""Keras models from settings, every layer named and seeded by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ablation.randomness import Randomness
from ablation.settings import (
    AnyModel,
    BuilderSettings,
    CnnSettings,
    DenseSettings,
    HyperModelSettings,
    ModelSettings,
    Stage,
)

if TYPE_CHECKING:
    import keras


def build_model(
    settings: AnyModel,
    image_shape: tuple[int, int, int],
    classes: int,
    randomness: Randomness,
    multi_label: bool = False,
) -> keras.Model:
    """Build the model that the settings describe: a Sequential one, every layer seeded by its name.

    Args:
        settings: The model's settings.
        image_shape: Height, width and channels of an image.
        classes: The number of classes; the output is a probability each.
        randomness: The trial's. A layer's initial weights depend on it and on the layer's name alone.
        multi_label: Whether an image has several labels: then their probabilities need not add up to 1.
    """
    import keras

    if isinstance(settings, HyperModelSettings):
        from ablation.search.hypermodel import build_hypermodel

        return build_hypermodel(settings, randomness)
    if isinstance(settings, BuilderSettings):
        from ablation.augmentation import augmented
        from ablation.builder import build_own

        own = build_own(settings, image_shape, classes, randomness, multi_label)
        return augmented(own, settings, image_shape, randomness)
    layers = [keras.Input(image_shape)]
    if settings.augmentation:
        from ablation.augmentation import augmentation

        layers += augmentation(settings, image_shape, randomness)
    if isinstance(settings, CnnSettings):
        layers += _blocks(settings, image_shape, randomness)
    layers.append(keras.layers.Flatten(name="flatten"))
    layers += _regularisation(settings, "flatten", "flatten", randomness)
    for k, units in enumerate(dense_units(settings), 1):
        name = f"dense{k}"
        kernel = keras.initializers.GlorotUniform(randomness.derive("init", name))
        layers.append(keras.layers.Dense(units, settings.activation, kernel_initializer=kernel, name=name))
        layers += _regularisation(settings, "dense", name, randomness)
    kernel = keras.initializers.GlorotUniform(randomness.derive("init", "output"))
    ending = "sigmoid" if multi_label else "softmax"
    layers.append(
        keras.layers.Dense(classes, ending, kernel_initializer=kernel, dtype="float32", name="output")
    )
    return keras.Sequential(layers, name="model")  # `add` would build the model anew with every layer


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep TensorFlow's native chatter, of absent GPUs and the like, from the terminal."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def pooled_blocks(settings: CnnSettings, image_shape: tuple[int, int, int]) -> int:
    """Count the blocks that end in pooling: a block whose images are one pixel high or wide has none."""
    side, pooled = min(image_shape[:2]), 0
    while pooled < len(settings.blocks) and side >= 2:
        side, pooled = side // 2, pooled + 1
    return pooled


def block_filters(settings: CnnSettings) -> list[list[int]]:
    """Return the number of filters of every convolution, a list a block; depth and width applied."""
    repeated = [(*block, *block[-1:] * (settings.depth - 1)) for block in settings.blocks]
    return [[_wide(filters, settings) for filters in block] for block in repeated]


def dense_units(settings: CnnSettings | DenseSettings) -> list[int]:
    """Return the units of every hidden Dense layer; depth and width applied."""
    further = settings.depth - 1 if isinstance(settings, DenseSettings) else 0
    return [_wide(units, settings) for units in (*settings.dense, *settings.dense[-1:] * further)]


def _blocks(
    settings: CnnSettings, image_shape: tuple[int, int, int], randomness: Randomness
) -> list[keras.Layer]:
    import keras

    layers: list[keras.Layer] = []
    pooled = pooled_blocks(settings, image_shape)
    for b, filters in enumerate(block_filters(settings), 1):
        for c, number in enumerate(filters, 1):
            name = f"block{b}_conv{c}"
            kernel = keras.initializers.GlorotUniform(randomness.derive("init", name))
            layers.append(
                keras.layers.Conv2D(
                    number,
                    3,
                    padding="same",
                    activation=settings.activation,
                    kernel_initializer=kernel,
                    name=name,
                )
            )
            if c == len(filters) and b <= pooled:
                layers.append(keras.layers.MaxPooling2D(name=f"block{b}_pool"))
            layers += _regularisation(settings, "conv", name, randomness)
    return layers


def _regularisation(
    settings: ModelSettings, stage: Stage, name: str, randomness: Randomness
) -> list[keras.Layer]:
    """Return Dropout and batch normalisation behind a stage, where and in the order the settings say."""
    import keras

    layers = []
    if settings.dropout and stage in settings.dropout_after:
        dropout_seed = randomness.derive("dropout", name)
        layers.append(keras.layers.Dropout(settings.dropout, seed=dropout_seed, name=f"{name}_dropout"))
    if settings.batch_norm and stage in settings.batch_norm_after:
        layers.append(
            keras.layers.BatchNormalization(momentum=settings.batch_norm_momentum, name=f"{name}_batch_norm")
        )
    return layers if settings.order == "dropout_first" else layers[::-1]


def _wide(units: int, settings: ModelSettings) -> int:
    return max(1, round(units * settings.width))
