"""Checks, before anything starts, that the training of a study fits its images and that its parts fit."""

from __future__ import annotations

import inspect
import json

import numpy as np

from ablation.data.datasets import Dataset
from ablation.errors import AblationError, GridError, did_you_mean
from ablation.grid import keras_names
from ablation.grid.label_kinds import is_of_one_class
from ablation.grid.settings import BuilderSettings, Component, UserModelSettings, metric_name
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary
from ablation.models.user_model import may_overrule, refuse_overruled
from ablation.tensorflow_setup import quiet_stderr
from ablation.training.class_weights import class_weights
from ablation.training.fit import declares_averages, refuse_binary, refuse_idle_average
from ablation.workflow.ablated_models import accounts

# Metrics of Keras that pool all outputs, and the argument that keeps classes apart, if there is one.
_POOLING = {
    "AUC": "multi_label",
    **dict.fromkeys(("Precision", "Recall", "PrecisionAtRecall", "RecallAtPrecision"), "class_id"),
    **dict.fromkeys(("SensitivityAtSpecificity", "SpecificityAtSensitivity"), "class_id"),
    **dict.fromkeys(("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"), ""),
}


def require_fit(study: Study, dataset: Dataset) -> None:
    """Refuse a study whose training does not fit its images.

    Raises:
        DatasetError: There are fewer training images than a variant asks for, or a part that a variant is
            without is not in the model.
        GridError: A loss or metric is for images of exactly one class, but the images have any number of
            labels, or the other way round; class weights name no class; a callback monitors what is not
            logged; averages of weights would have no effect; or a metric cannot be measured, is the same
            whatever a model predicts, pools two classes, or is for another number of classes.
    """
    for variant in study.variants:
        dataset.first(variant.training.train_size)
        _refuse_monitor(variant)
        _refuse_misfit(variant, dataset)
    if dataset.is_multi_label:
        _refuse_one_class(study)
    accounts(study, dataset)
    _refuse_overruled(study, dataset)
    for metric in {str(m): m for v in study.variants for m in v.training.metrics}.values():
        _refuse_misfit_metric(metric, len(dataset.class_names))
        if len(dataset.class_names) == 2 and not dataset.is_multi_label:
            _refuse_pooled(metric, dataset.class_names[1])
        if isinstance(metric, Component):
            with quiet_stderr():
                _try_out(metric, dataset)


def _refuse_overruled(study: Study, dataset: Dataset) -> None:
    """Refuse settings that have no effect because of what a variant's builder does itself."""
    for variant in study.variants:
        settings = variant.model
        if not isinstance(settings, BuilderSettings) or not may_overrule(settings):
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
        watched = "" if callback.source else _watched(callback)
        if not watched:
            continue
        if watched not in known:
            raise GridError(
                f"{variant.name}: {callback.name} monitors '{watched}', which is not logged."
                f"{did_you_mean(watched, known)}"
            )
        if callback.arguments.get("mode", "auto") == "auto" and not _has_direction(watched, variant):
            raise GridError(
                f"{variant.name}: {callback.name} monitors '{watched}', and Keras does not know whether "
                "higher or lower values are better. Add `mode: max` or `mode: min`."
            )


def _watched(callback: Component) -> str:
    """Return what a callback of Keras monitors; empty if it monitors nothing."""
    keras_type = keras_names.keras_class(keras_names.KINDS["callbacks"], callback.name)
    parameter = inspect.signature(keras_type).parameters.get("monitor")
    return str(callback.arguments.get("monitor", parameter.default)) if parameter else ""


def _has_direction(watched: str, variant: Variant) -> bool:
    """Return whether Keras knows if more or less is better of a quantity that is logged."""
    custom = [metric_name(m) for m in variant.training.metrics if isinstance(m, Component) and m.source]
    return watched.removeprefix("val_") not in custom


def _refuse_misfit(variant: Variant, dataset: Dataset) -> None:
    """Refuse class weights, losses and averages of weights that do not fit the images or each other."""
    training = variant.training
    may_have_one_unit = isinstance(variant.model, UserModelSettings) and len(dataset.class_names) == 2
    try:
        class_weights(training.class_weight, dataset)
        if not dataset.is_multi_label and not may_have_one_unit:
            refuse_binary(training)
        if isinstance(training.optimizer, str) or not training.optimizer.source:
            refuse_idle_average(training, declares_averages(training))
    except AblationError as error:
        raise GridError(f"{variant.name}: {error}") from None


def _refuse_misfit_metric(metric: str | Component, classes: int) -> None:
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


def _refuse_pooled(metric: str | Component, second: str) -> None:
    """Refuse a metric of Keras that pools the outputs of two classes, and so describes neither of them.

    Exactly one of two outputs that sum to 1 is above 0.5: pooled precision and recall are the accuracy.
    """
    if isinstance(metric, Component) and metric.source:
        return
    name, arguments = (metric, {}) if isinstance(metric, str) else (metric.name, metric.arguments)
    name = keras_names.keras_class(keras_names.KINDS["metrics"], name).__name__
    if name not in _POOLING:
        return
    given = arguments.get(_POOLING[name])
    if given is not None and given is not False:  # class_id may be 0
        return
    if _POOLING[name] == "multi_label":
        instead = {name: arguments | {"multi_label": True}}
    else:
        instead = {name if _POOLING[name] else "Precision": arguments | {"class_id": 1}}
    written = json.dumps(instead).replace('"', "")
    raise GridError(
        f"training.metrics: {metric} of two classes counts every image twice, once per class, and so "
        f"describes neither class. Write {written}"
        + (f" for the class {second}." if "class_id" in written else ".")
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
        if is_of_one_class(training.loss):
            is_user_model = isinstance(variant.model, UserModelSettings)
            raise GridError(
                f"{variant.name}: the loss {training.loss} is for images of exactly one class, but these "
                "images have any number of labels. Set `training: {loss: binary_crossentropy}`"
                + (" and end your model with sigmoid." if is_user_model else ".")
            )
        for metric in training.metrics:
            if is_of_one_class(metric):
                raise GridError(
                    f"{variant.name}: the metric {metric} is for images of exactly one class, but these "
                    "images have any number of labels. Remove it from `training: {metrics: [...]}`."
                )
