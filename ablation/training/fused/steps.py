"""The steps of one lane as pure functions of its state, to be vectorised over lanes and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ablation.models.training_only import mode_argument
from ablation.training.fused.kernels import vectorised_kernels
from ablation.training.fused.logits import attached_logits, logits_known
from ablation.training.fused.state import State
from ablation.training.objective import Objective
from ablation.training.outputs import of_two_classes

if TYPE_CHECKING:
    import keras


class Steps:
    """The training and prediction steps of a model.

    Args:
        model: The compiled model. Its variables are not touched: their values are arguments.
        objective: The loss.
        classes: The number of classes, or of labels.
        multi_label: Whether an image has any number of labels.
    """

    def __init__(self, model: keras.Model, objective: Objective, classes: int, multi_label: bool) -> None:
        self._model = model
        self._objective = objective
        self._classes = classes
        self._multi_label = multi_label

    def train(
        self, state: State, batches: Any, images: Any, labels: Any, weights: Any, scale: Any, offset: Any
    ) -> tuple[State, tuple[Any, Any]]:
        """Take a training step for each batch.

        Args:
            state: The state before.
            batches: The indices of images, of shape (steps, images per step).
            images: All training images, as they are stored.
            labels: Their labels.
            weights: The weight of each class, (classes,); or None.
            scale: The scale of the normalisation.
            offset: Its offset.

        Returns:
            The state after, and the loss and the accuracy of each step, both of shape (steps,).
        """
        import jax

        def step(state: State, indices: Any) -> tuple[State, tuple[Any, Any]]:
            inputs = _normalised(images[indices], scale, offset)
            weight = None if weights is None else weights[labels[indices]]
            return self._step(state, inputs, self._targets(labels[indices]), weight)

        with _traced():
            return jax.lax.scan(step, state, batches)

    def predict(
        self,
        values: tuple[list[Any], list[Any]],
        images: Any,
        scale: Any,
        offset: Any,
        batch_size: int,
        training: bool,
    ) -> tuple[Any, Any]:
        """Return a model's outputs and penalty.

        Args:
            values: The values of the trainable and the other variables.
            images: The images, as they are stored.
            scale: The scale of the normalisation.
            offset: Its offset.
            batch_size: The number of images at a time.
            training: Whether the model is in training mode.

        Returns:
            The outputs and, where they are known, the logits, stacked in shape (images, 1 or 2, units), and
            the mean penalty of the batches.
        """
        import jax
        import jax.numpy as jnp

        trainable, other = values
        whole = len(images) // batch_size * batch_size

        def batch(other: Any, chunk: Any) -> tuple[Any, tuple[Any, Any]]:
            outputs, logits, other, penalty = self._outputs(
                trainable, other, _normalised(chunk, scale, offset), training
            )
            known = [outputs] if logits is None else [outputs, logits]
            return other, (jnp.stack(known, axis=1), penalty * len(chunk))

        results = []
        with _traced():
            if whole:
                chunks = images[:whole].reshape(-1, batch_size, *images.shape[1:])
                other, (outputs, penalties) = jax.lax.scan(batch, other, chunks)
                results.append((outputs.reshape(whole, *outputs.shape[2:]), penalties.sum()))
            if whole < len(images):
                results.append(batch(other, images[whole:])[1])
        outputs, penalties = zip(*results, strict=True)
        return jnp.concatenate(outputs), sum(penalties) / len(images)

    def _step(self, state: State, inputs: Any, targets: Any, weight: Any) -> tuple[State, tuple[Any, Any]]:
        import jax
        from keras.src.backend import StatelessScope

        trainable, other, of_optimizer = state
        optimizer = self._model.optimizer

        def scaled(trainable: Any) -> tuple[Any, tuple[Any, Any, Any]]:
            outputs, _, changed, penalty = self._outputs(trainable, other, inputs, training=True)
            minimised = self._objective(targets, outputs, weight) + penalty
            with StatelessScope(state_mapping=list(zip(optimizer.variables, of_optimizer, strict=True))):
                return optimizer.scale_loss(minimised), (minimised, of_two_classes(outputs), changed)

        gradients, (loss, outputs, changed) = jax.grad(scaled, has_aux=True)(trainable)
        trainable, of_optimizer = optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return (list(trainable), changed, list(of_optimizer)), (loss, self._accuracy(targets, outputs))

    def _outputs(self, trainable: Any, other: Any, inputs: Any, training: bool) -> tuple[Any, Any, Any, Any]:
        """Return outputs, float32 of shape (images, units), logits, other variables, and the penalty."""
        import jax.numpy as jnp

        outputs, changed, losses = self._model.stateless_call(
            trainable, other, inputs, **mode_argument(self._model, training), return_losses=True
        )
        outputs = jnp.asarray(outputs, jnp.float32)
        logits = attached_logits(outputs)
        penalty = sum((jnp.sum(jnp.asarray(loss, jnp.float32)) for loss in losses), jnp.float32(0))
        return outputs, logits, list(changed), penalty

    def _targets(self, labels: Any) -> Any:
        """Return the labels as (images, classes) numbers: 1 for each class of an image, else 0."""
        import jax

        return labels.astype("float32") if self._multi_label else jax.nn.one_hot(labels, self._classes)

    def _accuracy(self, targets: Any, outputs: Any) -> Any:
        """Return the share of images whose class, or all of whose labels, are predicted correctly."""
        import jax.numpy as jnp

        if self._multi_label:
            return jnp.mean(jnp.all((outputs > 0.5) == (targets > 0.5), axis=-1), dtype=jnp.float32)
        return jnp.mean(outputs.argmax(-1) == targets.argmax(-1), dtype=jnp.float32)


def _normalised(images: Any, scale: Any, offset: Any) -> Any:
    return images.astype("float32") * scale + offset


@contextmanager
def _traced() -> Iterator[None]:
    with vectorised_kernels(), logits_known():
        yield
