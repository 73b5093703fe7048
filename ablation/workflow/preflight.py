"""Checks, before anything starts, that the training of a study fits its images and that its parts fit."""

from __future__ import annotations

import numpy as np

from ablation.data.datasets import Dataset
from ablation.errors import AblationError, GridError, did_you_mean
from ablation.grid import keras_names
from ablation.grid.settings import BuilderSettings, Component, UserModelSettings, metric_name
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary
from ablation.models.user_model import may_compile, refuse_overruled
from ablation.tensorflow_setup import quiet_stderr

_OF_ONE_CLASS = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence",
    "categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip


def require_fit(study: Study, dataset: Dataset) -> None:
    """Refuse a study whose training does not fit its images.

    Raises:
        DatasetError: There are fewer training images than a variant asks for.
        GridError: A loss or metric is for images of exactly one class, but the images have any number of
            labels; a callback monitors what is not logged; or a user's metric cannot be measured.
    """
    for variant in study.variants:
        dataset.first(variant.training.train_size)
        _refuse_monitor(variant)
    if dataset.is_multi_label:
        _refuse_one_class(study)
    _refuse_overruled(study, dataset)
    user_metrics = [
        m for v in study.variants for m in v.training.metrics if isinstance(m, Component) and m.source
    ]
    for component in {str(metric): metric for metric in user_metrics}.values():
        _try_out(component, dataset)


def _refuse_overruled(study: Study, dataset: Dataset) -> None:
    """Refuse settings that have no effect because a variant's builder compiles its model itself."""
    for variant in study.variants:
        settings = variant.model
        if not isinstance(settings, BuilderSettings) or not may_compile(settings):
            continue
        try:
            with quiet_stderr():
                refuse_overruled(settings, dataset.image_shape, len(dataset.class_names), variant.training)
        except AblationError as error:
            raise GridError(f"{variant.name}: {error}") from None


def _refuse_monitor(variant: Variant) -> None:
    """Refuse a callback of Keras that monitors a quantity that is not logged."""
    names = ["loss", "accuracy", *map(metric_name, variant.training.metrics)]
    known = [*names, *(f"val_{name}" for name in names)]
    for callback in variant.training.callbacks:
        watched = callback.arguments.get("monitor", "loss")
        if not callback.source and watched not in known:
            raise GridError(
                f"{variant.name}: {callback.name} monitors '{watched}', which is not logged."
                f"{did_you_mean(str(watched), known)}"
            )


def _try_out(component: Component, dataset: Dataset) -> None:
    """Measure a user's metric once, on the validation labels and probabilities drawn at random."""
    labels, classes = dataset.val.labels, len(dataset.class_names)
    one_hot = labels if dataset.is_multi_label else np.eye(classes)[labels]
    drawn = np.random.default_rng(0).dirichlet(np.ones(classes), len(labels))
    try:
        keras_names.measured(
            keras_names.metric(component), one_hot.astype(np.float32), drawn.astype(np.float32)
        )
    except Exception as error:
        raise GridError(
            f"training.metrics: {component} cannot be measured: {error_summary(error).rstrip('.')}. It "
            f"receives one-hot labels and probabilities, two arrays of the shape {one_hot.shape}."
        ) from error


def _refuse_one_class(study: Study) -> None:
    """Refuse losses and metrics that are for images of exactly one class."""
    for variant in study.variants:
        training = variant.training
        if _is_of_one_class(training.loss):
            is_user_model = isinstance(variant.model, UserModelSettings)
            raise GridError(
                f"{variant.name}: the loss {training.loss} is for images of exactly one class, but these "
                "images have any number of labels. Set `training: {loss: binary_crossentropy}`"
                + (" and end your model with sigmoid." if is_user_model else ".")
            )
        for metric in training.metrics:
            if _is_of_one_class(metric):
                raise GridError(
                    f"{variant.name}: the metric {metric} is for images of exactly one class, but these "
                    "images have any number of labels. Remove it from `training: {metrics: [...]}`."
                )


def _is_of_one_class(part: str | Component) -> bool:
    return (part if isinstance(part, str) else part.snake_case) in _OF_ONE_CLASS
