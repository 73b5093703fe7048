"""Checks, before anything starts, that the training of a study fits its images and that its parts fit."""

from __future__ import annotations

import numpy as np

from ablation.data.datasets import Dataset
from ablation.errors import GridError, did_you_mean
from ablation.grid import keras_names
from ablation.grid.settings import Component, UserModelSettings, metric_name
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary

_OF_ONE_CLASS = (
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence",
    "categorical_accuracy", "top_k_categorical_accuracy",
)  # fmt: skip


def require_fit(study: Study, dataset: Dataset) -> None:
    """Refuse a study whose training does not fit its images.

    Raises:
        DatasetError: There are fewer training images than a variant asks for.
        GridError: A loss or metric is for images of exactly one class, but the images have any number of
            labels; a callback monitors what is not logged; or a metric cannot be measured, is the same
            whatever a model predicts, or is for another number of classes.
    """
    for variant in study.variants:
        dataset.first(variant.training.train_size)
        _refuse_monitor(variant)
    if dataset.is_multi_label:
        _refuse_one_class(study)
    for metric in {str(m): m for v in study.variants for m in v.training.metrics}.values():
        _refuse_misfit(metric, len(dataset.class_names))
        if isinstance(metric, Component):
            _try_out(metric, dataset)


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


def _refuse_misfit(metric: str | Component, classes: int) -> None:
    """Refuse a metric of Keras for another number of classes, or a top-k accuracy that counts every class."""
    arguments = {} if isinstance(metric, str) or metric.source else metric.arguments
    if (counted := arguments.get("num_classes", classes)) != classes:
        raise GridError(
            f"training.metrics: {metric} counts {counted} classes, but the images have {classes}. Write "
            f"num_classes: {classes}."
        )
    name, k = metric if isinstance(metric, str) else metric.snake_case, arguments.get("k", 5)
    if name == "top_k_categorical_accuracy" and k >= classes:
        raise GridError(
            f"training.metrics: the top {k} of {classes} classes always contain the right one, so that "
            f"{metric} is always 1. Write {{TopKCategoricalAccuracy: {{k: {max(1, classes // 2)}}}}}."
        )


def _try_out(component: Component, dataset: Dataset) -> None:
    """Measure a metric once, on the validation labels and probabilities drawn at random."""
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
