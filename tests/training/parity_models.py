"""Models of the table in `test_parity_with_keras`, as a user's own module beside a grid file."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def _output(values: Any, classes: int, **options: Any) -> Any:
    return layers.Dense(classes, activation="softmax", name="output", **options)(values)


def _images(shape: Any) -> tuple[Any, Any]:
    images = keras.Input(shape)
    return images, layers.Conv2D(4, 3, padding="same", activation="relu", name="c1")(images)


def _frozen_norm() -> Any:
    layer = layers.BatchNormalization(name="bn")
    layer.trainable = False
    return layer


def _inner(shape: Any) -> Any:
    first = layers.Conv2D(4, 3, name="ic")
    norm = layers.BatchNormalization(name="ib")
    return keras.Sequential([keras.Input(shape), first, norm, layers.ReLU(name="ir")], name="inner")


LAYERS = {
    "conv": lambda x: x,
    "batch_norm": lambda x: layers.BatchNormalization(momentum=0.9, epsilon=1e-2, name="bn")(x),
    "batch_norm_regularised": lambda x: layers.BatchNormalization(
        gamma_regularizer="l2", beta_constraint="non_neg", name="bn"
    )(x),
    "batch_norm_without_scale": lambda x: layers.BatchNormalization(scale=False, name="bn")(x),
    "batch_norm_frozen": lambda x: _frozen_norm()(x),
    "batch_norm_of_rows": lambda x: layers.BatchNormalization(axis=1, name="bn")(x),
    "batch_norm_of_vectors": lambda x: layers.BatchNormalization(name="bn")(layers.Flatten(name="f")(x)),
    "batch_norm_nested": lambda x: _inner(x.shape[1:])(x),
    "layer_norm": lambda x: layers.LayerNormalization(name="ln")(x),
    "group_norm": lambda x: layers.GroupNormalization(2, name="gn")(x),
    "unit_norm": lambda x: layers.UnitNormalization(name="un")(x),
    "spectral_norm": lambda x: layers.SpectralNormalization(layers.Conv2D(4, 3, name="sc"), name="sn")(x),
    "weight_penalty": lambda x: layers.Conv2D(4, 3, kernel_regularizer="l2", name="c2")(x),
    "activity_penalty": lambda x: layers.Conv2D(4, 3, activity_regularizer="l2", name="c2")(x),
    "activity_layer": lambda x: layers.ActivityRegularization(l2=0.01, name="ar")(x),
    "separable": lambda x: layers.SeparableConv2D(4, 3, name="sep")(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, name="dw")(x),
    "residual": lambda x: layers.add([x, layers.Conv2D(4, 3, padding="same", name="c2")(x)]),
    "gru": lambda x: layers.GRU(6, name="r")(layers.Reshape((-1, 32), name="re")(x)),
    "lstm": lambda x: layers.LSTM(6, name="r")(layers.Reshape((-1, 32), name="re")(x)),
    "attention": lambda x: layers.MultiHeadAttention(2, 4, name="mha")(
        *2 * (layers.Reshape((-1, 4), name="re")(x),)
    ),
    "operations": lambda x: ops.tanh(x) + ops.mean(x, axis=(1, 2), keepdims=True),
    "prelu": lambda x: layers.PReLU(name="pr")(x),
    "max_pool": lambda x: layers.MaxPooling2D(name="mp")(x),
    "dropout_of_nothing": lambda x: layers.Dropout(0.0, name="do")(x),
}


def cnn(image_shape: Any, classes: int, layer: str = "conv") -> Any:
    images, values = _images(image_shape)
    return keras.Model(images, _output(layers.Flatten(name="flat")(LAYERS[layer](values)), classes))


def confident(image_shape: Any, classes: int) -> Any:
    """A model that is wrong and sure of it: its probabilities lie beyond the 1e-7 at which losses clip them."""
    images = keras.Input(image_shape)
    wide = keras.initializers.RandomNormal(stddev=20, seed=3)
    values = layers.Flatten(name="flat")(images)
    return keras.Model(images, _output(values, classes, kernel_initializer=wide))


def one_unit(image_shape: Any, classes: int, stddev: float = 20.0) -> Any:
    images = keras.Input(image_shape)
    wide = keras.initializers.RandomNormal(stddev=stddev, seed=3)
    unit = layers.Dense(1, activation="sigmoid", name="output", kernel_initializer=wide)
    return keras.Model(images, unit(layers.Flatten(name="flat")(images)))


def labels(image_shape: Any, classes: int) -> Any:
    """One sigmoid unit per label, far from its threshold."""
    images = keras.Input(image_shape)
    wide = keras.initializers.RandomNormal(stddev=10, seed=3)
    units = layers.Dense(classes, activation="sigmoid", name="output", kernel_initializer=wide)
    return keras.Model(images, units(layers.Flatten(name="flat")(images)))


def separate_activation(image_shape: Any, classes: int) -> Any:
    images = keras.Input(image_shape)
    values = layers.Dense(classes, name="logits")(layers.Flatten(name="flat")(images))
    return keras.Model(images, layers.Activation("softmax", dtype="float32", name="softmax")(values * 50))


class Subclassed(keras.Model):
    """Its ``call`` has no argument ``training``, so that `fit` leaves dropout and batch statistics off."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = layers.Conv2D(4, 3, name="c1")
        self.norm = layers.BatchNormalization(name="bn")
        self.drop = layers.Dropout(0.9, name="do")
        self.flat = layers.Flatten(name="flat")
        self.out = layers.Dense(classes, activation="softmax", name="output")

    def call(self, images: Any) -> Any:
        return self.out(self.drop(self.flat(self.norm(self.conv(images)))))


class AddedLoss(keras.Model):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.flat = layers.Flatten(name="flat")
        self.hidden = layers.Dense(8, name="d1", kernel_regularizer="l2")
        self.out = layers.Dense(classes, activation="softmax", name="output")

    def call(self, images: Any, training: Any = None) -> Any:
        values = self.hidden(self.flat(images))
        self.add_loss(0.1 * ops.mean(values**2))
        return self.out(values)


def subclassed(image_shape: Any, classes: int) -> Any:
    return Subclassed(classes)


def added_loss(image_shape: Any, classes: int) -> Any:
    return AddedLoss(classes)


class Halve(keras.callbacks.Callback):
    """Halves the learning rate after each epoch, and notes what it is given."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
