"""One trial, trained epoch by epoch and measured; after an interruption it resumes from its checkpoint."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from ablation.data.datasets import Dataset
from ablation.grid.study import SaveModels
from ablation.grid.trial import EpochRecord, InitialState, Trial, TrialResult
from ablation.grid.user_code import code_files_read
from ablation.grid.user_files import read_digests
from ablation.models.build import user_code
from ablation.models.structure import structure_digest
from ablation.models.unseeded import has_own_code
from ablation.training.callbacks import Callbacks
from ablation.training.checkpoint import Checkpoint, TrainingState, copy_state
from ablation.training.compilation import averages_weights, compiled_model
from ablation.training.custom_gradients import custom_gradients_of_graphs
from ablation.training.epochs import (
    NOT_MEASURED,
    OnEpoch,
    best_epoch,
    best_of,
    built_from,
    described,
    final_measures,
    fingerprints,
    has_stalled,
    is_best,
    measures_of_epoch,
    order_digest,
    trouble_in,
)
from ablation.training.loop import CompiledLoop
from ablation.training.memory import forget_peak, peak_mib
from ablation.training.provenance import numeric, worker_provenance
from ablation.training.saving import save_trained_model
from ablation.training.timing import Timing


@custom_gradients_of_graphs()
def run_trial(
    trial: Trial,
    dataset: Dataset,
    folder: Path,
    save_model: SaveModels = False,
    on_epoch: OnEpoch = lambda _: None,
) -> TrialResult:
    """Train, validate after every epoch, and read the test set once, at the end.

    The trial leaves ``test_probabilities.npy`` in ``folder``, float32 of shape (test images, classes), unless
    it does not read the test set. While it trains, it keeps a checkpoint there, from which it resumes after
    an interruption to the same bits. A trial with callbacks has none, for they may have a state of their own.

    Args:
        trial: The trial to train.
        dataset: The study's dataset, with the digest that the trial names.
        folder: The folder where the trial's files go.
        save_model: Whether to leave the trained model, too; see `save_trained_model`.
        on_epoch: Called with the record of each epoch as the epoch ends.

    Returns:
        The result, ``completed`` or ``diverged``.
    """
    started, timing = time.perf_counter(), Timing()
    with timing.of("build"):
        dataset = dataset.of(trial)
    forget_peak()
    with code_files_read(trial.code_folder) as read:
        loop, structure = _loop_for(trial, dataset, timing)
    with timing.of("build"):
        files = read_digests(read, trial.code_folder)
        built = described(loop.model) | {"structure": structure, "files": files}
        provenance = worker_provenance(trial.threads)
    with timing.of("checkpoint"):
        checkpoint = Checkpoint(folder, loop.model, numeric(provenance) | built_from(structure, files))
        state = checkpoint.restore()
    started -= state.seconds
    trouble = _fit(loop, trial, dataset, state, checkpoint, folder, started, on_epoch)
    metrics, shift = ({}, {}) if trouble else _final_measures(loop, trial, dataset, state, folder)
    with timing.of("write"):
        saved = {} if trouble else save_trained_model(trial, dataset, loop.model, folder, save_model)
    if not trial.keeps_state or trouble:
        checkpoint.discard()
    return TrialResult(
        trial_id=trial.id,
        status="diverged" if trouble else "completed",
        history=tuple(state.history),
        metrics=metrics,
        best_epoch=best_epoch(state.history),
        seconds=time.perf_counter() - started,
        timing=timing.seconds,
        memory=peak_mib(),
        cause=trouble,
        provenance=provenance,
        variance_shift=shift,
        **built,
        **saved,
    )


def _final_measures(
    loop: CompiledLoop, trial: Trial, dataset: Dataset, state: TrainingState, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics of the weights that count, and the variance shift; keep the test probabilities."""
    tested = state.history[-1]
    if trial.training.evaluate == "best":
        loop.model.set_weights(state.best_weights)
        tested = best_of(state.history)
    with loop.timing.of("evaluate"):
        metrics = _final_metrics(loop, trial, dataset, tested)
        shift = loop.variance_shift(dataset.train_probe)
        if not trial.reads_test:
            return metrics, shift
        outputs = loop.predict(dataset.test)
        test = loop.measure(dataset.test, outputs)
    with loop.timing.of("write"):
        np.save(folder / "test_probabilities.npy", outputs.probabilities)
    return metrics | {f"test_{name}": value for name, value in test.items()}, shift


def planned_initial_state(trial: Trial, dataset: Dataset) -> InitialState:
    """Return the initial weights and batch orders that a trial will start from, without training it."""
    dataset = dataset.of(trial)
    model = compiled_model(trial, dataset)
    epochs = range(1, trial.training.epochs + 1)
    orders = (trial.randomness.batch_order(epoch, len(dataset.train)) for epoch in epochs)
    return InitialState(fingerprints(model), tuple(order_digest(order, dataset) for order in orders))


# The loop of the last trial, kept because its graphs took a second or two to trace.
_warm: dict[tuple[Any, ...], tuple[CompiledLoop, str]] = {}


def _loop_for(trial: Trial, dataset: Dataset, timing: Timing) -> tuple[CompiledLoop, str]:
    """Return a loop in the trial's initial state, and the hash of its model's structure.

    It is the last loop again if the variant is the same, and its model is still built with that structure.

    The seeds of a variant differ only in the values of variables, and all of these are copied from a model
    that is built for this trial; images are an input of the graphs. So a loop that is used again computes the
    same bits as a new one. Its graphs contain the normalisation as constants. Callbacks may change more than
    variables, so a loop with callbacks is not used again. Nor is one of a user's own layers, which may hold
    arrays that follow the seed and are constants of the graphs.
    """
    import keras

    settings = (trial.model.model_dump_json(), trial.training.model_dump_json())
    variant = (*settings, trial.dataset_digest, dataset.scale.tobytes(), dataset.offset.tobytes())
    warm, warm_structure = _warm.get(variant, (None, ""))
    with timing.of("build"):
        if not warm:
            _warm.clear()
        keras.utils.clear_session(free_memory=True)  # Keras remembers every model that was built
        model = compiled_model(trial, dataset)
        structure, exact = structure_digest(model), structure_digest(model, with_arrays=True)
        if exact != warm_structure:  # a file that the user's code reads may have changed
            warm = None
        if warm:
            copy_state(model, warm.model)
            if {"split", "label_noise"} & set(trial.vary):  # else the seeds of a variant have the same images
                warm.take(dataset)
        loop = warm or CompiledLoop(model, dataset, trial.training)
        may_differ = user_code(trial.model) and has_own_code(model)
        if not trial.training.callbacks and not may_differ:
            _warm[variant] = loop, exact
    if not warm:
        with timing.of("trace"):
            loop.trace()
    loop.timing = timing
    return loop, structure


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
    callbacks = Callbacks(trial.training, loop.model, len(dataset.train), folder)
    callbacks.train_begin()
    while (
        len(history) < trial.training.epochs
        and not (stopping and has_stalled(history, stopping))
        and not (history and loop.model.stop_training)  # as in Keras, there is always a first epoch
    ):
        callbacks.epoch_begin(len(history) + 1)
        record = _epoch(loop, trial, dataset, state, callbacks)
        history.append(record)
        on_epoch(record)
        if trouble := trouble_in(record):
            return trouble
        callbacks.epoch_end(record)
        if not trial.training.callbacks:
            with loop.timing.of("checkpoint"):
                checkpoint.save_if_due(state, time.perf_counter() - started)
    if trial.keeps_state and not trial.training.callbacks:
        checkpoint.save(state, time.perf_counter() - started)
    # From here on, an optimizer that averages the weights has put the averages in their place.
    loop.model.optimizer.finalize_variable_values(loop.model.trainable_variables)
    callbacks.train_end()
    return ""


def _final_metrics(
    loop: CompiledLoop, trial: Trial, dataset: Dataset, record: EpochRecord
) -> dict[str, float]:
    """Return ``train_*`` and ``val_*`` of the model as it is.

    They are taken from the epoch's record, unless the weights may have changed since: an EarlyStopping may
    restore the best ones, and an optimizer may put their averages in their place.
    """
    may_have_changed = trial.training.callbacks or averages_weights(loop.model.optimizer)
    if may_have_changed and trial.training.evaluate == "last":
        parts = {"train": loop.measure(dataset.train_probe), "val": loop.measure(dataset.val)}
        return {
            f"{part}_{name}": value for part, measures in parts.items() for name, value in measures.items()
        }
    return final_measures(record)


def _epoch(
    loop: CompiledLoop, trial: Trial, dataset: Dataset, state: TrainingState, callbacks: Callbacks
) -> EpochRecord:
    """Train and measure one epoch, and keep its weights in ``state`` if they are the best so far.

    If the loss is no longer finite, nothing is measured, and the measures are NaN.
    """
    started, epoch = time.perf_counter(), len(state.history) + 1
    order = trial.randomness.batch_order(epoch, len(dataset.train))
    with loop.timing.of("train"):
        loss, accuracy = loop.train(order)
    measures = NOT_MEASURED
    if math.isfinite(loss):
        with loop.timing.of("evaluate"), callbacks.testing():
            measures = _measures(loop, dataset)
            if trial.training.evaluate == "best" and is_best(measures, state.history):
                state.best_weights = loop.model.get_weights()
    return EpochRecord(
        epoch=epoch,
        loss=loss,
        accuracy=accuracy,
        seconds=time.perf_counter() - started,
        order=order_digest(order, dataset),
        **measures,
    )


def _measures(loop: CompiledLoop, dataset: Dataset) -> dict[str, Any]:
    """Return what is measured after an epoch, by the names of an `EpochRecord`."""
    outputs = loop.predict(dataset.val)
    train, val = loop.measure(dataset.train_probe), loop.measure(dataset.val, outputs)
    return measures_of_epoch(train, val, loop.measure_active(dataset.train_probe, train), outputs.penalty)
