"""What a model outputs for images, batch by batch in a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Part
from ablation.models.training_only import mode_argument
from ablation.training.outputs import Outputs, logits_of

if TYPE_CHECKING:
    import keras

Graph = Callable[[Any], tuple[Any, Any]]


def stored_for_device(images: NDArray[Any]) -> Any:
    """Return images as a tensor that stays on the device.

    TensorFlow gathers no bytes on a GPU: it would send the whole data set to the processor and back in each
    step. So they are stored as float16 there, which holds 0 to 255 exactly.
    """
    import tensorflow as tf

    tensor = tf.constant(images)
    is_on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return tf.cast(tensor, tf.float16) if is_on_gpu and images.dtype == np.uint8 else tensor


def outputs_of(model: keras.Model, images: Any, training: bool) -> Any:
    """Return a model's outputs, float32 of shape (images, units), with the logits that Keras knows."""
    import tensorflow as tf

    return tf.cast(model(images, **mode_argument(model, training)), tf.float32)


def penalty_of(model: keras.Model) -> Any:
    """Return what regularizers and `add_loss` add to the loss of the images that a model saw last."""
    import tensorflow as tf

    added = [tf.reduce_sum(tf.cast(term, tf.float32)) for term in model.losses]
    return tf.add_n(added) if added else tf.constant(0.0)


def prediction_steps(
    model: keras.Model, normalise: Callable[[Any], Any], batch_size: int, training: bool
) -> Graph:
    """Return a function of images as they are stored, to be compiled.

    It returns the outputs and, where they are known, the logits, stacked in shape (images, 1 or 2, units),
    and the mean penalty of the batches.
    """
    import tensorflow as tf

    def predict(images: Any) -> tuple[Any, Any]:
        number = tf.shape(images)[0]
        batches = (number + batch_size - 1) // batch_size
        empty = tf.TensorArray(tf.float32, size=batches, element_shape=(None, None, None), infer_shape=False)

        def batch(at: Any, written: Any, penalty: Any) -> tuple[Any, Any, Any]:
            chunk = images[at * batch_size : (at + 1) * batch_size]
            outputs = outputs_of(model, normalise(chunk), training)
            logits = logits_of(outputs)
            known = [outputs] if logits is None else [outputs, logits]
            weighted = penalty_of(model) * tf.cast(tf.shape(chunk)[0], tf.float32)
            return at + 1, written.write(at, tf.stack(known, axis=1)), penalty + weighted

        _, written, penalty = tf.while_loop(
            lambda at, *_: at < batches, batch, [0, empty, 0.0], parallel_iterations=1
        )
        return written.concat(), penalty / tf.cast(number, tf.float32)

    return predict


def predicted(graph: Graph, part: Part) -> Outputs:
    """Return what a compiled graph of `prediction_steps` outputs for a part's images."""
    stacked, penalty = (tensor.numpy() for tensor in graph(stored_for_device(part.images)))
    logits = stacked[:, 1] if stacked.shape[1] == 2 else None
    return Outputs(stacked[:, 0], logits, float(penalty))
