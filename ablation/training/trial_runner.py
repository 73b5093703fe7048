"""One trial, trained epoch by epoch and measured; after an interruption it resumes from its checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.digest import short_digest
from ablation.grid.settings import EarlyStopping
from ablation.grid.trial import EpochRecord, InitialState, InitialWeights, Trial, TrialResult
from ablation.models.augmentation import layers_of
from ablation.models.cost import counted_multiply_adds
from ablation.training.callbacks import callback_list, logs
from ablation.training.checkpoint import Checkpoint, TrainingState, copy_state
from ablation.training.compilation import compiled_model
from ablation.training.loop import CompiledLoop
from ablation.training.memory import forget_peak, peak_mib
from ablation.training.provenance import numeric, worker_provenance
from ablation.training.timing import Timing

if TYPE_CHECKING:
    import keras

OnEpoch = Callable[[EpochRecord], None]


def run_trial(
    trial: Trial, dataset: Dataset, folder: Path, save_model: bool = False, on_epoch: OnEpoch = lambda _: None
) -> TrialResult:
    """Train, validate after every epoch, and read the test set once, at the end.

    The trial leaves ``test_probabilities.npy`` in ``folder``, float32 of shape (test images, classes), unless
    it does not read the test set. While it trains, it keeps a checkpoint there, from which it resumes after
    an interruption to the same bits. A trial with callbacks has none, for they may have a state of their own.

    Args:
        trial: The trial to train.
        dataset: The study's dataset, with the digest that the trial names.
        folder: The folder where the trial's files go.
        save_model: Whether to leave the trained model, ``model.keras``, too.
        on_epoch: Called with the record of each epoch as the epoch ends.

    Returns:
        The result, ``completed`` or ``diverged``.
    """
    started, timing = time.perf_counter(), Timing()
    with timing.of("build"):
        dataset = dataset.of(trial)
    forget_peak()
    loop = _loop_for(trial, dataset, timing)
    with timing.of("build"):
        initial_weights = _fingerprints(loop.model)
        provenance = worker_provenance(trial.threads)
    with timing.of("checkpoint"):
        checkpoint = Checkpoint(folder, loop.model, numeric(provenance))
        state = checkpoint.restore()
    started -= state.seconds
    trouble = _fit(loop, trial, dataset, state, checkpoint, folder, started, on_epoch)
    if trial.keeps_state and not trial.training.callbacks and not trouble:
        checkpoint.save(state, time.perf_counter() - started)
    best = _best(state.history)
    metrics, shift = ({}, {}) if trouble else _final_measures(loop, trial, dataset, state, folder)
    if save_model and not trouble:
        with timing.of("write"):
            _save_model(trial, dataset, loop, folder / "model.keras")
    if not trial.keeps_state or trouble:
        checkpoint.discard()
    return TrialResult(
        trial_id=trial.id,
        status="diverged" if trouble else "completed",
        history=tuple(state.history),
        metrics=metrics,
        best_epoch=None if math.isnan(best.val_accuracy) else best.epoch,
        parameters=loop.model.count_params(),
        multiply_adds=counted_multiply_adds(loop.model),
        seconds=time.perf_counter() - started,
        timing=timing.seconds,
        memory=peak_mib(),
        cause=trouble,
        provenance=provenance,
        initial_weights=initial_weights,
        variance_shift=shift,
    )


def _best(history: list[EpochRecord]) -> EpochRecord:
    """Return the first epoch with the highest validation accuracy; NaN counts as the lowest."""
    return max(history, key=lambda r: -math.inf if math.isnan(r.val_accuracy) else r.val_accuracy)


def _final_measures(
    loop: CompiledLoop, trial: Trial, dataset: Dataset, state: TrainingState, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics of the weights that count, and the variance shift; keep the test probabilities."""
    tested = state.history[-1]
    if trial.training.evaluate == "best":
        loop.model.set_weights(state.best_weights)
        tested = _best(state.history)
    with loop.timing.of("evaluate"):
        metrics = _final_metrics(loop, trial, dataset, tested)
        shift = loop.variance_shift(dataset.train_probe)
        if not trial.reads_test:
            return metrics, shift
        probabilities = loop.predict(dataset.test)
        test = loop.measure(dataset.test, probabilities)
    with loop.timing.of("write"):
        np.save(folder / "test_probabilities.npy", probabilities)
    return metrics | {f"test_{name}": value for name, value in test.items()}, shift


def planned_initial_state(trial: Trial, dataset: Dataset) -> InitialState:
    """Return the initial weights and batch orders that a trial will start from, without training it."""
    dataset = dataset.of(trial)
    model = compiled_model(trial, dataset)
    epochs = range(1, trial.training.epochs + 1)
    orders = (trial.randomness.batch_order(epoch, len(dataset.train)) for epoch in epochs)
    return InitialState(_fingerprints(model), tuple(_order_digest(order, dataset) for order in orders))


# The loop of the last trial, kept because its graphs took a second or two to trace.
_warm: dict[tuple[Any, ...], CompiledLoop] = {}


def _loop_for(trial: Trial, dataset: Dataset, timing: Timing) -> CompiledLoop:
    """Return a loop in the trial's initial state: the last loop again, if the variant is the same.

    The seeds of a variant differ only in the values of variables, and all of these are copied from a model
    that is built for this trial; images are an input of the graphs. So a loop that is used again computes the
    same bits as a new one. Its graphs contain the normalisation as constants. Callbacks may change more than
    variables, so a loop with callbacks is not used again.
    """
    import keras

    settings = (trial.model.model_dump_json(), trial.training.model_dump_json())
    variant = (*settings, trial.dataset_digest, dataset.scale.tobytes(), dataset.offset.tobytes())
    warm = _warm.get(variant)
    with timing.of("build"):
        if not warm:
            _warm.clear()
        keras.utils.clear_session(free_memory=True)  # Keras remembers every model that was built
        model = compiled_model(trial, dataset)
        if warm:
            copy_state(model, warm.model)
            if dataset.places is not None:  # else the seeds of a variant have the same images
                warm.take(dataset.train)
        loop = warm or CompiledLoop(model, dataset, trial.training)
        if not trial.training.callbacks:
            _warm[variant] = loop
    if not warm:
        with timing.of("trace"):
            loop.trace()
    loop.timing = timing
    return loop


def _save_model(trial: Trial, dataset: Dataset, loop: CompiledLoop, file: Path) -> None:
    """Save the loop's state as a model that is built for the trial, so that its layers name its seeds."""
    model = compiled_model(trial, dataset)
    copy_state(loop.model, model)
    model.save(file)


def _fit(
    loop: CompiledLoop,
    trial: Trial,
    dataset: Dataset,
    state: TrainingState,
    checkpoint: Checkpoint,
    folder: Path,
    started: float,
    on_epoch: OnEpoch,
) -> str:
    """Train epoch by epoch, starting from ``state``; return what went wrong, or an empty text.

    Args:
        loop: The model's loop.
        trial: The trial to train.
        dataset: The dataset to train it on.
        state: The training state, which is updated in place.
        checkpoint: The checkpoint to save to.
        folder: The trial's folder.
        started: The time at which the trial would have started if it had never been interrupted.
        on_epoch: Called with the record of each epoch.
    """
    stopping = trial.training.early_stopping
    history = state.history
    callbacks = callback_list(trial.training, loop.model, len(dataset.train), folder)
    callbacks.on_train_begin()
    while (
        len(history) < trial.training.epochs
        and not (stopping and _has_stalled(history, stopping))
        and not (history and loop.model.stop_training)  # as in Keras, there is always a first epoch
    ):
        callbacks.on_epoch_begin(len(history))
        record = _epoch(loop, trial, dataset, len(history) + 1)
        if trial.training.evaluate == "best" and all(
            record.val_accuracy > past.val_accuracy for past in history
        ):
            state.best_weights = loop.model.get_weights()
        history.append(record)
        on_epoch(record)
        for name, value in (("training", record.loss), ("validation", record.val_loss)):
            if not math.isfinite(value):
                return f"the {name} loss became {value} in epoch {record.epoch}"
        callbacks.on_epoch_end(record.epoch - 1, logs(record))
        if not trial.training.callbacks:
            with loop.timing.of("checkpoint"):
                checkpoint.save_if_due(state, time.perf_counter() - started)
    callbacks.on_train_end()
    return ""


def _final_metrics(
    loop: CompiledLoop, trial: Trial, dataset: Dataset, record: EpochRecord
) -> dict[str, float]:
    """Return ``train_*`` and ``val_*`` of the model as it is.

    They are taken from the epoch's record, unless callbacks may have changed the weights since, as an
    EarlyStopping does that restores the best weights.
    """
    if trial.training.callbacks and trial.training.evaluate == "last":
        parts = {"train": loop.measure(dataset.train_probe), "val": loop.measure(dataset.val)}
        return {
            f"{part}_{name}": value for part, measures in parts.items() for name, value in measures.items()
        }
    measured = record.model_dump(exclude={"extra"}) | record.extra
    return {key: value for key, value in measured.items() if key.startswith(("train_", "val_"))}


def _epoch(loop: CompiledLoop, trial: Trial, dataset: Dataset, epoch: int) -> EpochRecord:
    """Train and measure one epoch; if the loss is no longer finite, the measures are NaN."""
    started = time.perf_counter()
    order = trial.randomness.batch_order(epoch, len(dataset.train))
    with loop.timing.of("train"):
        loss, accuracy = loop.train(order)
    not_measured = {"loss": math.nan, "accuracy": math.nan}
    train, val = dict(not_measured), dict(not_measured)
    active_loss, active_accuracy = math.nan, math.nan
    if math.isfinite(loss):
        with loop.timing.of("evaluate"):
            train = loop.measure(dataset.train_probe)
            val = loop.measure(dataset.val)
            active_loss, active_accuracy = loop.measure_active(dataset.train_probe, train)
    return EpochRecord(
        epoch=epoch,
        loss=loss,
        accuracy=accuracy,
        active_loss=active_loss,
        active_accuracy=active_accuracy,
        train_loss=train.pop("loss"),
        train_accuracy=train.pop("accuracy"),
        val_loss=val.pop("loss"),
        val_accuracy=val.pop("accuracy"),
        seconds=time.perf_counter() - started,
        order=_order_digest(order, dataset),
        extra={f"train_{k}": v for k, v in train.items()} | {f"val_{k}": v for k, v in val.items()},
    )


def _has_stalled(history: list[EpochRecord], stopping: EarlyStopping) -> bool:
    """Return whether the last ``patience`` epochs brought no improvement over the best epoch before them."""
    sign = -1 if stopping.monitor == "val_loss" else 1
    best, best_at = -math.inf, 0
    for at, record in enumerate(history):
        score = sign * float(getattr(record, stopping.monitor))
        if score > best + stopping.min_delta:
            best, best_at = score, at
    return len(history) - 1 - best_at >= stopping.patience


def _fingerprints(model: keras.Model) -> dict[str, InitialWeights]:
    """Return the shape and a hash of the weights of each layer that has weights, by layer name."""
    arrays = {layer.name: layer.get_weights() for layer in layers_of(model) if layer.weights}
    return {name: InitialWeights(shape=a[0].shape, digest=_digest(*a)) for name, a in arrays.items()}


def _order_digest(order: NDArray[np.int32], dataset: Dataset) -> str:
    """Return a hash of the images that an epoch visits, in its order: equal for trials that are pairs."""
    return _digest(order if dataset.places is None else dataset.places[order])


def _digest(*arrays: NDArray[Any]) -> str:
    return short_digest(b"".join(array.tobytes() for array in arrays))
