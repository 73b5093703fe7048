"""Building and compiling a trial's model, with loss, optimizer and metrics."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.data.datasets import Dataset
from ablation.grid.keras_names import make, metric
from ablation.grid.settings import Component, TrainingSettings
from ablation.grid.trial import Trial
from ablation.models.build import build_model
from ablation.models.own_compile import loss_of, own_compile
from ablation.tensorflow_setup import standard_keras

if TYPE_CHECKING:
    import keras


def compiled_model(trial: Trial, dataset: Dataset) -> keras.Model:
    """Build a trial's model and compile it with its loss, its metrics and a built optimizer.

    A user's model that comes with an optimizer keeps it. Metrics that are functions are not compiled into the
    model: they are computed on all images of a part at once, but Keras would call them once per batch.
    """
    import keras
    import tensorflow as tf

    with standard_keras(trial.training.precision):
        classes, multi_label = len(dataset.class_names), dataset.is_multi_label
        randomness, training = trial.randomness, trial.training
        model = build_model(trial.model, dataset.image_shape, classes, randomness, multi_label, training)
        compiled = own_compile(model)
        optimizer = compiled.optimizer if compiled else _optimizer(training)
        chosen, accuracy = loss_of(model, training), "categorical_accuracy"
        if multi_label or getattr(model, "output_shape", ())[-1:] == (1,):
            accuracy = "binary_accuracy"
            if chosen is keras.losses.categorical_crossentropy:  # of one unit
                chosen = "binary_crossentropy"
        further = [metric(name) for name in training.metrics]
        metrics = [accuracy, *(m for m in further if isinstance(m, keras.Metric))]
        model.compile(optimizer=optimizer, loss=chosen, metrics=metrics, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        # What callbacks and metrics draw then does not depend on which trials ran before in this process.
        seed = randomness.derive("dropout", "callbacks")
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  code of users draws from it
        tf.random.set_seed(seed)
        return model


def _optimizer(training: TrainingSettings) -> keras.optimizers.Optimizer:
    import keras

    rate: Any = training.learning_rate
    if isinstance(rate, Component):
        rate = make("learning_rate", rate)
    if isinstance(training.optimizer, Component):
        return make("optimizer", training.optimizer, learning_rate=rate)
    return keras.optimizers.get({"class_name": training.optimizer, "config": {"learning_rate": rate}})
