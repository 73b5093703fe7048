"""Which losses and metrics are for images of exactly one class, and which for any number of labels."""

from __future__ import annotations

from ablation.grid.settings import Component

_OF_ONE_CLASS = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence",
    "categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip
_OF_ANY_LABELS = ("binary_crossentropy", "binary_focal_crossentropy")


def is_of_one_class(part: str | Component) -> bool:
    """Return whether a loss or metric compares distributions over classes, of which an image has one."""
    return _keras_name(part) in _OF_ONE_CLASS


def is_of_any_labels(part: str | Component) -> bool:
    """Return whether a loss or metric judges each output by itself, as that of a sigmoid unit."""
    return _keras_name(part) in _OF_ANY_LABELS


def _keras_name(part: str | Component) -> str:
    """Return the name of a part of Keras; empty for custom code, which may be called the same."""
    if isinstance(part, str):
        return part
    return "" if ":" in part.name else part.snake_case
