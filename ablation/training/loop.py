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
from ablation.grid.settings import TrainingSettings
from ablation.models.own_compile import loss_of
from ablation.models.training_only import has_modes
from ablation.training.class_weights import class_weights
from ablation.training.kernels import faster_kernels
from ablation.training.measures import Measures
from ablation.training.objective import Objective
from ablation.training.outputs import Outputs, of_two_classes
from ablation.training.prediction import (
    outputs_of,
    penalty_of,
    predicted,
    prediction_steps,
    stored_for_device,
)
from ablation.training.timing import Timing
from ablation.training.variance_shift import variance_shift

if TYPE_CHECKING:
    import keras

_CHUNK_STEPS = 16  # steps per compiled call: few enough that the process answers interrupts soon
_SHIFT_IMAGES = 256  # enough to estimate a variance, and few enough to cost next to nothing
PREDICT_BATCH = 256  # fixed, because the size of a batch can change the last bit of a prediction


class CompiledLoop:
    """The loops of one model on one dataset.

    Args:
        model: A compiled model.
        dataset: The images that the model is trained and measured on.
        training: The training settings: batch size, loss, class weights, further metrics and compilation by
            XLA.
    """

    def __init__(self, model: keras.Model, dataset: Dataset, training: TrainingSettings) -> None:
        import keras
        import tensorflow as tf

        self.model = model
        self.timing = Timing()
        self._classes = len(dataset.class_names)
        self._multi_label = dataset.is_multi_label
        self._batch = training.batch_size
        self._objective = Objective(loss_of(model, training))
        self._measures = Measures(self._objective, training, self._classes, self._multi_label)
        self._class_weight = training.class_weight
        self._has_modes = has_modes(model)
        self._running_loss = keras.metrics.Mean()
        self._running_accuracy = (
            keras.metrics.MeanMetricWrapper(_all_labels_right)
            if self._multi_label
            else keras.metrics.CategoricalAccuracy()
        )
        self._scale, self._offset = tf.constant(dataset.scale), tf.constant(dataset.offset)
        self.take(dataset)
        jit_compile = training.jit_compile
        if jit_compile is None:
            jit_compile = bool(tf.config.list_physical_devices("GPU")) and _suits_xla(model)
        self._train_steps = tf.function(
            self._build_train_steps(),
            input_signature=[
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec(self._images.shape, self._images.dtype),
                tf.TensorSpec(self._labels.shape, tf.int32),
                tf.TensorSpec((None,), tf.float32),
            ],
            autograph=False,
            jit_compile=jit_compile,
        )
        signature = [tf.TensorSpec((None, *dataset.image_shape), self._images.dtype)]
        self._predict, self._predict_active = (
            tf.function(steps, input_signature=signature, autograph=False)
            for steps in (
                prediction_steps(model, self._normalise, PREDICT_BATCH, training=False),
                prediction_steps(model, self._normalise, self._batch, training=True),
            )
        )

    def take(self, dataset: Dataset) -> None:
        """Train on a dataset's training images from now on; in number and type, they are as those before.

        They are an input of the graph rather than a part of it, so that seeds which draw their own images
        share a graph, and so that no graph keeps images alive.
        """
        import tensorflow as tf

        self._images = stored_for_device(dataset.train.images)
        self._labels = tf.constant(dataset.train.labels, tf.int32)
        self._weights = tf.constant(class_weights(self._class_weight, dataset))

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
            self._train_steps(tf.constant(chunk), self._images, self._labels, self._weights)
            if not math.isfinite(float(self._running_loss.result())):
                break
        return float(self._running_loss.result()), float(self._running_accuracy.result())

    def predict(self, part: Part) -> Outputs:
        """Return the model's outputs in inference mode."""
        return predicted(self._predict, part)

    def measure(self, part: Part, outputs: Outputs | None = None) -> dict[str, float]:
        """Return loss, accuracy and the further metrics of a part, by name; see `Measures.of`.

        Args:
            part: The images and their labels.
            outputs: The model's outputs for them; by default those in inference mode.
        """
        return self._measures.of(part, outputs or self.predict(part))

    def measure_active(self, part: Part, inactive: dict[str, float]) -> tuple[float, float]:
        """Return loss and accuracy in training mode; the model is left as it was.

        Args:
            part: The images and their labels.
            inactive: What `measure` returned for them. It is returned for a model without dropout,
                BatchNorm or augmentation, which computes the same in both modes.
        """
        if not self._has_modes:
            return inactive["loss"], inactive["accuracy"]
        with self._state_kept():
            outputs = predicted(self._predict_active, part)
        measures = self.measure(part, outputs)
        return measures["loss"], measures["accuracy"]

    def variance_shift(self, part: Part) -> dict[str, float]:
        """Return the model's `variance_shift` on some images of a part; the model is left as it was."""
        with self._state_kept():
            return variance_shift(self.model, self._normalise(part.images[:_SHIFT_IMAGES]))

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

    def _build_train_steps(self) -> Callable[[Any, Any, Any, Any], None]:
        import tensorflow as tf

        optimizer, variables = self.model.optimizer, self.model.trainable_variables

        def step(batches: Any, row: Any, images: Any, labels: Any, weights: Any) -> Any:
            indices = batches[row]
            inputs, classes = self._normalise(tf.gather(images, indices)), tf.gather(labels, indices)
            targets = self._targets(classes)
            with tf.GradientTape() as tape:
                with faster_kernels():
                    outputs = outputs_of(self.model, inputs, training=True)
                weight = tf.gather(weights, classes) if self._class_weight else None
                minimised = self._objective(targets, outputs, weight) + penalty_of(self.model)
                scaled = optimizer.scale_loss(minimised)
            gradients = tape.gradient(scaled, variables)
            optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
            self._running_loss.update_state(minimised, sample_weight=tf.size(indices))
            self._running_accuracy.update_state(targets, of_two_classes(outputs))
            return batches, row + 1, images, labels, weights

        def train_steps(batches: Any, images: Any, labels: Any, weights: Any) -> None:
            tf.while_loop(
                lambda all_, row, *_: row < tf.shape(all_)[0],
                step,
                [batches, 0, images, labels, weights],
                parallel_iterations=1,
            )

        return train_steps


def _all_labels_right(targets: Any, probabilities: Any) -> Any:
    """Return for each image whether all of its labels are predicted correctly: 1 or 0, of shape (images,)."""
    import tensorflow as tf

    right = tf.equal(probabilities > 0.5, targets > 0.5)
    return tf.cast(tf.reduce_all(right, axis=-1), tf.float32)


def _suits_xla(model: keras.Model) -> bool:
    """Return whether XLA is known to train every layer of a model, to the same bits each time.

    XLA has no deterministic gradient of max pooling, and does not support every augmentation.
    """
    import keras

    layers = keras.layers
    known = (layers.Dense, layers.Conv2D, layers.BatchNormalization, layers.Dropout, layers.Flatten)
    return all(isinstance(layer, known) for layer in model.layers)
