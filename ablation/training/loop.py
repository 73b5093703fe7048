"""A model's training and prediction loops as TensorFlow graphs: the only place that touches weights.

An epoch is a few calls of a compiled graph. The images stay in memory as they are stored; a batch is
gathered by index and normalised inside the graph. tf.data is not used, because at the end of each epoch
TensorFlow waits for its autotuning thread, at times for longer than the epoch took.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset, Part
from ablation.data.predictions import Predictions
from ablation.grid.keras_names import measured, metric
from ablation.grid.settings import TrainingSettings, metric_name
from ablation.models.own_compile import loss_of
from ablation.models.training_only import training_only_layer
from ablation.training.kernels import faster_kernels
from ablation.training.timing import Timing

if TYPE_CHECKING:
    import keras

_CHUNK_STEPS = 16  # steps per compiled call: few enough that the process answers interrupts soon
_PREDICT_BATCH = 256  # fixed, because the size of a batch can change the last bit of a prediction
_SHIFT_IMAGES = 256  # enough to estimate a variance, and few enough to cost next to nothing


class CompiledLoop:
    """The loops of one model on one dataset.

    Args:
        model: A compiled model.
        dataset: The images that the model is trained and measured on.
        training: The training settings: batch size, loss, further metrics and compilation by XLA.
    """

    def __init__(self, model: keras.Model, dataset: Dataset, training: TrainingSettings) -> None:
        import keras
        import tensorflow as tf

        self.model = model
        self.timing = Timing()
        self._classes = len(dataset.class_names)
        self._multi_label = dataset.is_multi_label
        self._batch = training.batch_size
        self._loss = loss_of(model, training)
        self._extra = {metric_name(name): metric(name) for name in training.metrics}
        self._has_modes = bool(model.non_trainable_variables) or _augments(model)
        self._running_loss = keras.metrics.Mean()
        self._running_accuracy = (
            keras.metrics.MeanMetricWrapper(_all_labels_right)
            if self._multi_label
            else keras.metrics.CategoricalAccuracy()
        )
        self._scale, self._offset = tf.constant(dataset.scale), tf.constant(dataset.offset)
        self.take(dataset.train)
        jit_compile = training.jit_compile
        if jit_compile is None:
            jit_compile = bool(tf.config.list_physical_devices("GPU")) and _suits_xla(model)
        self._train_steps = tf.function(
            self._build_train_steps(),
            input_signature=[
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec(self._images.shape, self._images.dtype),
                tf.TensorSpec(self._labels.shape, tf.int32),
            ],
            autograph=False,
            jit_compile=jit_compile,
        )
        images = [tf.TensorSpec((None, *dataset.image_shape), dataset.train.images.dtype)]
        self._predict, self._predict_active = (
            tf.function(self._build_predict(size, active), input_signature=images, autograph=False)
            for size, active in ((_PREDICT_BATCH, False), (self._batch, True))
        )

    def take(self, part: Part) -> None:
        """Train on these images from now on; in number and type, they are as those before.

        They are an input of the graph rather than a part of it, so that seeds which draw their own images
        share a graph.
        """
        import tensorflow as tf

        self._images = tf.constant(part.images)
        self._labels = tf.constant(part.labels, tf.int32)

    def trace(self) -> None:
        """Trace the graphs now instead of at their first use."""
        for graph in (self._train_steps, self._predict):
            graph.get_concrete_function()
        if self._has_modes:
            self._predict_active.get_concrete_function()

    def train(self, order: NDArray[np.int32]) -> tuple[float, float]:
        """Train one epoch; return loss and accuracy as Keras logs them: running means with dropout active.

        An epoch whose loss is no longer finite ends at once.

        Args:
            order: The indices of the training images in the order of the epoch, of shape (images,).
        """
        import tensorflow as tf

        self._running_loss.reset_state()
        self._running_accuracy.reset_state()
        whole = len(order) // self._batch * self._batch
        batches = order[:whole].reshape(-1, self._batch)
        chunks = [batches[first : first + _CHUNK_STEPS] for first in range(0, len(batches), _CHUNK_STEPS)]
        if whole < len(order):
            chunks.append(order[None, whole:])
        for chunk in chunks:
            self._train_steps(tf.constant(chunk), self._images, self._labels)
            if not math.isfinite(float(self._running_loss.result())):
                break
        return float(self._running_loss.result()), float(self._running_accuracy.result())

    def predict(self, part: Part) -> NDArray[np.float32]:
        """Return the class probabilities in inference mode, of shape (images, classes)."""
        import tensorflow as tf

        probabilities: NDArray[np.float32] = self._predict(tf.constant(part.images)).numpy()
        return probabilities

    def measure(self, part: Part, probabilities: NDArray[np.float32] | None = None) -> dict[str, float]:
        """Return loss, accuracy and the further metrics of a part, by name.

        Args:
            part: The images and their labels.
            probabilities: The predictions of shape (images, classes); by default those in inference mode.
        """
        if probabilities is None:
            probabilities = self.predict(part)
        targets = self._targets(part.labels)
        measures = {
            "loss": float(np.mean(self._loss(targets, probabilities))),
            "accuracy": float(np.mean(Predictions.of(probabilities, self._multi_label).right(part.labels))),
        }
        return measures | {n: measured(extra, targets, probabilities) for n, extra in self._extra.items()}

    def measure_active(self, part: Part, inactive: dict[str, float]) -> tuple[float, float]:
        """Return loss and accuracy in training mode; the model is left as it was.

        Args:
            part: The images and their labels.
            inactive: What `measure` returned for them. It is returned for a model without dropout,
                BatchNorm or augmentation, which computes the same in both modes.
        """
        import tensorflow as tf

        if not self._has_modes:
            return inactive["loss"], inactive["accuracy"]
        with self._state_kept():
            probabilities = self._predict_active(tf.constant(part.images)).numpy()
        measures = self.measure(part, probabilities)
        return measures["loss"], measures["accuracy"]

    def variance_shift(self, part: Part) -> dict[str, float]:
        """Return the variance of each BatchNorm layer's input in training mode over that in inference mode.

        The variance of each unit is taken over images and positions, then averaged over the units. Dropout in
        front of a layer makes the ratio differ from 1, so that the layer's moving variance is not the
        variance in inference: Li et al. (2018), "Understanding the disharmony between dropout and batch
        normalization by variance shift", arXiv:1801.05134.

        Returns:
            The ratio by layer name; empty for a model that is not Sequential.
        """
        import keras
        import tensorflow as tf

        if not isinstance(self.model, keras.Sequential):
            return {}  # the layers of such a model need not follow one another
        variances: dict[bool, dict[str, float]] = {True: {}, False: {}}
        with self._state_kept():
            for active, by_layer in variances.items():
                values = self._normalise(part.images[:_SHIFT_IMAGES])
                for layer in _sequential_layers(self.model):
                    if isinstance(layer, keras.layers.BatchNormalization):
                        units = tf.reshape(tf.cast(values, tf.float32), (-1, values.shape[-1]))
                        by_layer[layer.name] = float(tf.reduce_mean(tf.math.reduce_variance(units, axis=0)))
                    values = layer(values, training=active)
        return {name: variances[True][name] / v for name, v in variances[False].items() if v > 0}

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        """Restore after the block the moving statistics and random generators that it changed."""
        state = [variable.numpy() for variable in self.model.non_trainable_variables]
        yield
        for variable, value in zip(self.model.non_trainable_variables, state, strict=True):
            variable.assign(value)

    def _normalise(self, images: Any) -> Any:
        import tensorflow as tf

        return tf.cast(images, tf.float32) * self._scale + self._offset

    def _targets(self, labels: Any) -> Any:
        """Return the labels as (images, classes) numbers: 1 for each class of an image, else 0."""
        import tensorflow as tf

        return tf.cast(labels, tf.float32) if self._multi_label else tf.one_hot(labels, self._classes)

    def _probabilities(self, images: Any, training: bool) -> Any:
        """Return the model's (images, classes) probabilities.

        A model of one unit outputs the probability of the second class; that of the first one is added.
        """
        import tensorflow as tf

        outputs = tf.cast(self.model(images, training=training), tf.float32)  # of float16 under `precision`
        return tf.concat([1 - outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs

    def _build_train_steps(self) -> Callable[[Any, Any, Any], None]:
        import tensorflow as tf

        model, optimizer, variables = self.model, self.model.optimizer, self.model.trainable_variables

        def step(batches: Any, row: Any, images: Any, labels: Any) -> Any:
            indices = batches[row]
            inputs = self._normalise(tf.gather(images, indices))
            targets = self._targets(tf.gather(labels, indices))
            with tf.GradientTape() as tape:
                with faster_kernels():
                    probabilities = self._probabilities(inputs, training=True)
                loss = tf.reduce_mean(self._loss(targets, probabilities))
                scaled = optimizer.scale_loss(tf.add_n([loss, *model.losses]) if model.losses else loss)
            optimizer.apply(tape.gradient(scaled, variables), variables)
            self._running_loss.update_state(loss, sample_weight=tf.size(indices))
            self._running_accuracy.update_state(targets, probabilities)
            return batches, row + 1, images, labels

        def train_steps(batches: Any, images: Any, labels: Any) -> None:
            tf.while_loop(
                lambda all_, row, *_: row < tf.shape(all_)[0],
                step,
                [batches, 0, images, labels],
                parallel_iterations=1,
            )

        return train_steps

    def _build_predict(self, batch_size: int, training: bool) -> Callable[[Any], Any]:
        import tensorflow as tf

        def predict(images: Any) -> Any:
            batches = (tf.shape(images)[0] + batch_size - 1) // batch_size
            empty = tf.TensorArray(
                tf.float32, size=batches, element_shape=(None, self._classes), infer_shape=False
            )

            def batch(number: Any, written: Any) -> tuple[Any, Any]:
                chunk = images[number * batch_size : (number + 1) * batch_size]
                return number + 1, written.write(
                    number, self._probabilities(self._normalise(chunk), training)
                )

            _, written = tf.while_loop(
                lambda number, _: number < batches, batch, [0, empty], parallel_iterations=1
            )
            return written.concat()

        return predict


def _all_labels_right(targets: Any, probabilities: Any) -> Any:
    """Return for each image whether all of its labels are predicted correctly: 1 or 0, of shape (images,)."""
    import tensorflow as tf

    right = tf.equal(probabilities > 0.5, targets > 0.5)
    return tf.cast(tf.reduce_all(right, axis=-1), tf.float32)


def _sequential_layers(model: keras.Sequential) -> Iterator[keras.Layer]:
    """Yield a Sequential model's layers in order, with nested Sequential models replaced by their layers."""
    import keras

    for layer in model.layers:
        yield from _sequential_layers(layer) if isinstance(layer, keras.Sequential) else [layer]


def _augments(model: keras.Model) -> bool:
    """Return whether a layer of the model acts on training images only, with or without a state."""
    return any(isinstance(layer, training_only_layer()) for layer in model.layers)


def _suits_xla(model: keras.Model) -> bool:
    """Return whether XLA is known to train every layer of a model, to the same bits each time.

    XLA has no deterministic gradient of max pooling, and does not support every augmentation.
    """
    import keras

    layers = keras.layers
    known = (layers.Dense, layers.Conv2D, layers.BatchNormalization, layers.Dropout, layers.Flatten)
    return all(isinstance(layer, known) for layer in model.layers)
