"""Building and compiling a trial's model, with loss, optimizer and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ablation.data.datasets import Dataset
from ablation.errors import AblationError
from ablation.grid.keras_names import make, metric
from ablation.grid.settings import Component, TrainingSettings, metric_name
from ablation.grid.trial import Trial
from ablation.models.build import build_model
from ablation.models.own_compile import loss_of, own_compile
from ablation.tensorflow_setup import seed_draws_without_seed, standard_keras
from ablation.training.fit import refuse_binary, refuse_idle_average, refuse_sum

if TYPE_CHECKING:
    import keras


def compiled_model(trial: Trial, dataset: Dataset) -> keras.Model:
    """Build a trial's model and compile it with its loss, its metrics and a built optimizer.

    A user's model that comes with an optimizer keeps it. Metrics that are functions are not compiled into the
    model: they are computed on all images of a part at once, but Keras would call them once per batch.
    """
    import keras

    with standard_keras(trial.training.precision):
        classes, multi_label = len(dataset.class_names), dataset.is_multi_label
        randomness, training = trial.randomness, trial.training
        model = build_model(trial.model, dataset.image_shape, classes, randomness, multi_label, training)
        compiled = own_compile(model)
        optimizer, chosen = compiled.optimizer if compiled else _optimizer(training), loss_of(model, training)
        one_unit = getattr(model, "output_shape", ())[-1:] == (1,)
        if not multi_label and not one_unit:
            refuse_binary(training, chosen)
        if one_unit and chosen is keras.losses.categorical_crossentropy:
            chosen = "binary_crossentropy"
        kind = keras.metrics.BinaryAccuracy if multi_label or one_unit else keras.metrics.CategoricalAccuracy
        further = [_named(metric(setting), metric_name(setting)) for setting in training.metrics]
        metrics = [kind(name="accuracy"), *(m for m in further if isinstance(m, keras.Metric))]
        model.compile(optimizer=optimizer, loss=chosen, metrics=metrics, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        refuse_idle_average(training, averages_weights(model.optimizer))
        own_loss = compiled.arguments.get("loss") if compiled else None
        refuse_sum(getattr(own_loss, "__name__", str(own_loss or training.loss)), chosen, classes)
        if training.callbacks:  # which look up in built metrics whether more or less is better
            nothing = keras.ops.zeros((2, 1 if one_unit else classes))
            model.compute_metrics(None, nothing, nothing)
            model.reset_metrics()
        # What callbacks and metrics draw then does not depend on which trials ran before in this process.
        seed_draws_without_seed(randomness.derive("dropout", "callbacks"))
        return model


def averages_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether an optimizer replaces the weights by their moving averages at the end of training."""
    return bool(getattr(optimizer, "inner_optimizer", optimizer).use_ema)


def _named(metric: Any, name: str) -> Any:
    """Give a Keras metric the name of its columns, by which callbacks look it up."""
    if hasattr(metric, "name"):
        metric.name = name
    return metric


def _optimizer(training: TrainingSettings) -> keras.optimizers.Optimizer:
    import keras

    rate: Any = training.learning_rate
    if isinstance(rate, Component):
        rate = make("learning_rate", rate)
    if isinstance(training.optimizer, Component):
        optimizer = make("optimizer", training.optimizer, learning_rate=rate)
        if training.optimizer.source:
            other_rate = 2 * rate if isinstance(rate, float) else 0.001
            other = make("optimizer", training.optimizer, learning_rate=other_rate)
            if _rate_of(optimizer) == _rate_of(other):
                raise AblationError(
                    f"{training.optimizer.name} does not use the argument `learning_rate`, so that "
                    "training.learning_rate would have no effect. Pass the argument on to the optimizer."
                )
        return optimizer
    return keras.optimizers.get({"class_name": training.optimizer, "config": {"learning_rate": rate}})


def _rate_of(optimizer: keras.optimizers.Optimizer) -> str:
    """Return the learning rates of an optimizer and of those in it, or what their schedules hold."""
    import keras

    whole = getattr(optimizer, "inner_optimizer", optimizer)
    rates = [part._learning_rate for part in getattr(whole, "optimizers", [whole])]
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return str([vars(rate) if isinstance(rate, schedule) else float(rate) for rate in rates])
