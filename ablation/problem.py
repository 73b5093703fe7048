"""Does the training of a study fit its images: are there enough, of one class each or of several labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablation.errors import GridError
from ablation.settings import Component, OwnModelSettings

if TYPE_CHECKING:
    from ablation.datasets import Dataset
    from ablation.grid import Study

_OF_ONE_CLASS = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence",
    "categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip


def refuse_misfit(study: Study, dataset: Dataset) -> None:
    """Refuse to train on more images than there are, or by a loss or metric without a meaning for them.

    Raises:
        DatasetError: There are fewer training images than a variant asks for.
        GridError: It asks for one class an image, and the images have several labels.
    """
    for variant in study.variants:
        dataset.first(variant.training.train_size)
    if not dataset.is_multi_label:
        return
    for variant in study.variants:
        training = variant.training
        if _is_of_one_class(training.loss):
            own = isinstance(variant.model, OwnModelSettings)
            raise GridError(
                f"{variant.name}: the loss {training.loss} is for images of one class each, and these have "
                "any number of labels. Set `training: {loss: binary_crossentropy}`"
                + (", and end your model with sigmoid." if own else ".")
            )
        for metric in training.metrics:
            if _is_of_one_class(metric):
                raise GridError(
                    f"{variant.name}: the metric {metric} is for images of one class each, and these have "
                    "any number of labels. Take it out of `training: {metrics: [...]}`."
                )


def _is_of_one_class(part: str | Component) -> bool:
    return (part if isinstance(part, str) else part.snake_case) in _OF_ONE_CLASS
