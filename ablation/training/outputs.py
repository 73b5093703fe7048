"""What a model outputs, and the logits behind it, from which Keras takes its losses.

Where a softmax or a sigmoid ends a model, Keras computes crossentropies from what it was applied to. From the
probabilities themselves, they could only be computed up to a clip at 1e-7: a model that is wrong and sure of
it would have a smaller loss than it has, and no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.tensorflow_setup import uses_jax
from ablation.training.fused.logits import attach_logits, attached_logits

_LOGITS = "_keras_logits"  # where Keras keeps the logits of a tensor of probabilities


@dataclass(frozen=True)
class Outputs:
    """A model's outputs for some images.

    Attributes:
        units: The outputs, float32 of shape (images, units). A model of one unit outputs the probability of
            the second class of two; otherwise, there is one unit per class.
        logits: What the softmax or sigmoid that ends the model was applied to, of the same shape; None where
            it is not known.
        penalty: What regularizers and `add_loss` add to the loss of these images.
    """

    units: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    penalty: float

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability of each class, of shape (images, classes)."""
        return np.hstack([1 - self.units, self.units]) if self.units.shape[1] == 1 else self.units

    def tensor(self) -> Any:
        """Return the outputs as a tensor of shape (images, units), from which Keras takes the logits."""
        import keras

        logits = None if self.logits is None else keras.ops.convert_to_tensor(self.logits)
        return with_logits(keras.ops.convert_to_tensor(self.units), logits)


def logits_of(outputs: Any) -> Any:
    """Return what the softmax or sigmoid behind outputs was applied to, as Keras finds it, or None.

    Args:
        outputs: A tensor of shape (images, units), in a graph or with logits attached.
    """
    if uses_jax():
        return attached_logits(outputs)
    logits = getattr(outputs, _LOGITS, None)
    if logits is None and hasattr(outputs, "op") and outputs.op.type in ("Softmax", "Sigmoid"):
        logits = outputs.op.inputs[0]
    return logits if logits is not None and logits.shape[1:] == outputs.shape[1:] else None


def with_logits(outputs: Any, logits: Any) -> Any:
    """Attach logits to a tensor of outputs, where Keras looks for them; None attaches nothing."""
    if logits is None:
        return outputs
    if uses_jax():
        attach_logits(outputs, logits)
    else:
        setattr(outputs, _LOGITS, logits)
    return outputs


def without_logits(outputs: Any) -> Any:
    """Return the outputs as a tensor of which no logits are known."""
    if uses_jax():
        import keras

        return keras.ops.copy(outputs)
    import tensorflow as tf

    return tf.identity(outputs)


def of_two_classes(outputs: Any) -> Any:
    """Return a tensor of one unit, (images, 1), as the probabilities of two classes, (images, 2).

    The softmax of the logits 0 and z is the sigmoid of z, so the logits are known for both classes. Outputs
    of more units are returned as they are.
    """
    from keras import ops

    if outputs.shape[-1] > 1:
        return outputs
    logits, both = logits_of(outputs), ops.concatenate([1 - outputs, outputs], axis=-1)
    return with_logits(
        both, None if logits is None else ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    )
