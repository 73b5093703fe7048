"""Building and compiling a trial's model, with loss, optimizer and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.data.datasets import Dataset
from ablation.grid.keras_names import loss, make, metric
from ablation.grid.settings import Component, TrainingSettings
from ablation.grid.trial import Trial
from ablation.models.build import build_model

if TYPE_CHECKING:
    import keras


def compiled_model(trial: Trial, dataset: Dataset) -> keras.Model:
    """Build a trial's model and compile it with its loss, its metrics and a built optimizer.

    A user's model that comes with an optimizer keeps it. Metrics that are functions are not compiled into the
    model: they are computed on all images of a part at once, but Keras would call them once per batch.
    """
    import keras

    keras.config.set_dtype_policy(trial.training.precision)
    classes, multi_label = len(dataset.class_names), dataset.is_multi_label
    model = build_model(trial.model, dataset.image_shape, classes, trial.randomness, multi_label)
    optimizer = getattr(model, "optimizer", None) or _optimizer(trial.training)
    chosen, accuracy = trial.training.loss, "categorical_accuracy"
    if multi_label or getattr(model, "output_shape", ())[-1:] == (1,):
        accuracy = "binary_accuracy"
        chosen = "binary_crossentropy" if chosen == "categorical_crossentropy" else chosen  # of one unit
    further = [metric(name) for name in trial.training.metrics]
    metrics = [accuracy, *(m for m in further if isinstance(m, keras.Metric))]
    model.compile(optimizer=optimizer, loss=loss(chosen), metrics=metrics, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def _optimizer(training: TrainingSettings) -> keras.optimizers.Optimizer:
    import keras

    rate: Any = training.learning_rate
    if isinstance(rate, Component):
        rate = make("learning_rate", rate)
    if isinstance(training.optimizer, Component):
        return make("optimizer", training.optimizer, learning_rate=rate)
    return keras.optimizers.get({"class_name": training.optimizer, "config": {"learning_rate": rate}})
