"""The loss that training minimises and that is measured, computed as Keras computes it."""

from __future__ import annotations

from typing import Any

from ablation.grid.label_kinds import is_of_any_labels, is_of_one_class
from ablation.grid.settings import Component
from ablation.training.outputs import of_two_classes, without_logits


def keras_name(loss: Any) -> str:
    """Return the name of the function behind a loss of Keras; empty for custom code."""
    function = getattr(loss, "fn", loss)  # an object of Keras has the function that it calls
    home = str(getattr(function, "__module__", ""))
    return str(getattr(function, "__name__", "")) if home.startswith("keras.") else ""


class Objective:
    """The mean loss over images, without penalties.

    Args:
        loss: A loss of Keras or custom code, a function or an object.
    """

    def __init__(self, loss: Any) -> None:
        self._loss = _as_object(loss)
        self._keras_name = keras_name(loss)

    def __call__(self, targets: Any, outputs: Any, weights: Any = None) -> Any:
        """Return the mean loss, a scalar tensor.

        Args:
            targets: The labels, of shape (images, classes): 1 for each class of an image, else 0.
            outputs: The model's outputs, of shape (images, units).
            weights: A factor for the loss of each image, of shape (images,).
        """
        return self._loss(*self._seen(targets, outputs), weights)

    def _seen(self, targets: Any, outputs: Any) -> tuple[Any, Any]:
        """Return labels and outputs as the loss receives them.

        A loss of Keras receives the outputs as they are, (images, units). Where that is one unit, a loss over
        classes receives both classes, because that of one class would always be 0. So does custom code, which
        expects one probability per class; it gets no logits, which it could take for those of a sigmoid.
        """
        if outputs.shape[-1] > 1:
            return targets, outputs
        if not self._keras_name:
            return targets, without_logits(of_two_classes(outputs))
        if is_of_one_class(self._keras_name):
            return targets, of_two_classes(outputs)
        return targets[:, 1:], outputs


def seen_by_metric(metric: str | Component, targets: Any, outputs: Any) -> tuple[Any, Any]:
    """Return labels and outputs as a metric receives them, both of shape (images, classes).

    A binary crossentropy receives what one sigmoid unit outputs, (images, 1), as from Keras.
    """
    if outputs.shape[-1] == 1 and is_of_any_labels(metric):
        return targets[:, 1:], outputs
    return targets, of_two_classes(outputs)


def _as_object(loss: Any) -> Any:
    """Return a loss as a Keras object, which knows weights of images; a function becomes one."""
    import keras

    class OfFunction(keras.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return loss(y_true, y_pred)

    return loss if isinstance(loss, keras.losses.Loss) else OfFunction()
