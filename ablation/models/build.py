"""Keras models from settings, every layer named and seeded by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.grid.seeding import Randomness
from ablation.grid.settings import (
    AnyModel,
    BuilderSettings,
    CnnSettings,
    Component,
    DenseSettings,
    FileSettings,
    HyperModelSettings,
    ModelSettings,
    Stage,
    TrainingSettings,
    UserModelSettings,
)
from ablation.models.architecture import block_filters, dense_units, pooled_blocks
from ablation.models.augmentation import augmentation
from ablation.models.initial_draws import drawn_by_numpy
from ablation.models.reproducible import build_reproducibly
from ablation.models.user_model import build_user_model
from ablation.tensorflow_setup import standard_keras, start_build

if TYPE_CHECKING:
    import keras


def build_model(
    settings: AnyModel,
    image_shape: tuple[int, int, int],
    classes: int,
    randomness: Randomness,
    multi_label: bool = False,
    training: TrainingSettings = TrainingSettings(),  # noqa: B008  it is frozen
) -> keras.Model:
    """Build the model that the settings describe; each layer of a built-in one is seeded by its name.

    Args:
        settings: The settings of the model.
        image_shape: The height, width and channels of an image.
        classes: The number of classes. The model outputs one probability per class.
        randomness: The randomness of the trial. A layer's initial weights depend only on it and on the
            layer's name.
        multi_label: Whether an image has several labels, so that its probabilities need not sum to 1.
        training: The training settings: the precision in which the model computes, and what a user's model
            must fit to.

    Returns:
        The model. How a user's own code has compiled it is known to `own_compile`.

    Raises:
        AblationError: The user's model, or the augmentation, cannot be used.
    """

    def build() -> keras.Model:
        if isinstance(settings, UserModelSettings):
            return build_user_model(settings, image_shape, classes, randomness, multi_label, training)
        if name:
            start_build(randomness.derive("augmentation", "builder"), training.precision)
        return _built_in_model(settings, image_shape, classes, randomness, multi_label)

    name = user_code(settings)
    with standard_keras(training.precision), drawn_by_numpy():
        if not name:
            return build()
        key = f"{settings.model_dump_json()}{training.precision}{image_shape}{classes}{multi_label}"
        return build_reproducibly(name, build, key, image_shape)


def user_code(settings: AnyModel) -> str:
    """Return the name of the user's code that builds the model or its augmentation, or an empty text."""
    if isinstance(settings, HyperModelSettings):
        return settings.hypermodel
    if isinstance(settings, BuilderSettings):
        return settings.builder
    if isinstance(settings, FileSettings):
        return settings.file
    return next((c.name for c in settings.augmentation if isinstance(c, Component) and c.source), "")


def _built_in_model(
    settings: CnnSettings | DenseSettings,
    image_shape: tuple[int, int, int],
    classes: int,
    randomness: Randomness,
    multi_label: bool,
) -> keras.Model:
    import keras

    layers = [keras.Input(image_shape)]
    if settings.augmentation:
        layers += augmentation(settings, image_shape, randomness)
    if isinstance(settings, CnnSettings):
        layers += _blocks(settings, image_shape, randomness)
    layers.append(keras.layers.Flatten(name="flatten"))
    layers += _regularisation(settings, "flatten", "flatten", randomness)
    for k, units in enumerate(dense_units(settings), 1):
        name = f"dense{k}"
        kernel = keras.initializers.GlorotUniform(randomness.derive("init", f"{name}/kernel"))
        layers.append(keras.layers.Dense(units, settings.activation, kernel_initializer=kernel, name=name))
        layers += _regularisation(settings, "dense", name, randomness)
    kernel = keras.initializers.GlorotUniform(randomness.derive("init", "output/kernel"))
    ending = "sigmoid" if multi_label else "softmax"
    layers.append(
        keras.layers.Dense(classes, ending, kernel_initializer=kernel, dtype="float32", name="output")
    )
    return keras.Sequential(layers, name="model")  # `add` would build the model again with every layer


def _blocks(
    settings: CnnSettings, image_shape: tuple[int, int, int], randomness: Randomness
) -> list[keras.Layer]:
    import keras

    layers: list[keras.Layer] = []
    pooled = pooled_blocks(settings, image_shape)
    for b, filters in enumerate(block_filters(settings), 1):
        for c, number in enumerate(filters, 1):
            name = f"block{b}_conv{c}"
            kernel = keras.initializers.GlorotUniform(randomness.derive("init", f"{name}/kernel"))
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
    """Return the Dropout and batch normalisation layers behind a stage, in the order of the settings."""
    import keras

    layers = []
    if settings.dropout and stage in settings.dropout_after:
        dropout_seed = randomness.derive("dropout", f"{name}_dropout")
        layers.append(keras.layers.Dropout(settings.dropout, seed=dropout_seed, name=f"{name}_dropout"))
    if settings.batch_norm and stage in settings.batch_norm_after:
        layers.append(
            keras.layers.BatchNormalization(momentum=settings.batch_norm_momentum, name=f"{name}_batch_norm")
        )
    return layers if settings.order == "dropout_first" else layers[::-1]
