"""Several seeds of a variant, trained together epoch by epoch; after an interruption, each one resumes."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ablation.data.datasets import Dataset, Part
from ablation.errors import AblationError
from ablation.grid.trial import EpochRecord, TrialResult
from ablation.models.build import user_code
from ablation.models.own_compile import loss_of
from ablation.models.training_only import has_modes
from ablation.models.unseeded import has_own_code
from ablation.training.attempt import failed
from ablation.training.checkpoint import Pause
from ablation.training.compilation import averages_weights
from ablation.training.epochs import (
    NOT_MEASURED,
    best_of,
    final_measures,
    is_best,
    measures_of_epoch,
    order_digest,
    trouble_in,
)
from ablation.training.fused.lane import Lane, SeedTask
from ablation.training.fused.logits import logits_known
from ablation.training.fused.program import FusedProgram
from ablation.training.measures import Measures
from ablation.training.memory import forget_peak, peak_mib
from ablation.training.objective import Objective
from ablation.training.outputs import Outputs
from ablation.training.provenance import SEEDS_AT_ONCE, worker_provenance
from ablation.training.saving import save_trained_model
from ablation.training.timing import Timing
from ablation.training.variance_shift import variance_shift

_SHIFT_IMAGES = 256  # enough to estimate a variance, and few enough to cost next to nothing


class UnlikeSeedsError(AblationError):
    """The models of a variant's seeds may differ in more than the values of variables."""


def run_together(seeds: Sequence[SeedTask], dataset: Dataset, lanes: int = 0) -> Iterator[TrialResult]:
    """Train the seeds of one variant together; yield the result of each one as it ends.

    Each trial leaves what `run_trial` would leave, and is the same within rounding. Its seconds are its share
    of the time that the seeds take together.

    Args:
        seeds: What to train, with the same settings but for the seed.
        dataset: The study's dataset, with the digest that the trials name.
        lanes: The number of seeds that the program is compiled for, if it is more than there are: seeds that
            resume are to be rounded as before.

    Raises:
        UnlikeSeedsError: The models differ in more than the values of variables.
    """
    yield from _Training(seeds, dataset, max(lanes, len(seeds))).results()


# The last program, kept because it took seconds to compile, with the structure of its models.
_warm: dict[tuple[Any, ...], tuple[FusedProgram, str]] = {}


def _program_of(lanes: Sequence[Lane], datasets: Sequence[Dataset]) -> FusedProgram:
    """Return a program of the lanes' models; the last one again if it is of the same variant.

    Callbacks, and code of the user's, may change or hold more than variables: theirs is not used again.
    """
    trial, models = lanes[0].seed.trial, [lane.model for lane in lanes]
    without_epochs = trial.training.model_copy(update={"epochs": 1})
    settings = (trial.model.model_dump_json(), without_epochs.model_dump_json())
    variant = (*settings, trial.dataset_digest, trial.vary, len(lanes))
    warm, structure = _warm.pop(variant, (None, ""))
    _warm.clear()
    if warm and structure == lanes[0].structure:
        warm.start(models, datasets)
    else:
        warm = FusedProgram(models, datasets, trial.training)
    may_differ = user_code(trial.model) and has_own_code(models[0])
    if not trial.training.callbacks and not may_differ:
        _warm[variant] = warm, lanes[0].structure
    return warm


class _Training:
    """The training of some seeds."""

    def __init__(self, seeds: Sequence[SeedTask], dataset: Dataset, lanes: int) -> None:
        self._started, self._timing, self._share = time.perf_counter(), Timing(), len(seeds)
        self._training, self._pause = seeds[0].trial.training, Pause()
        forget_peak()
        with self._timing.of("build"):
            self._provenance = worker_provenance(seeds[0].trial.threads)
            self._lanes = [Lane.build(s, i, lanes, dataset, self._provenance) for i, s in enumerate(seeds)]
            _refuse_unlike(self._lanes)
            self._padded = [*self._lanes, *[self._lanes[0]] * (lanes - len(seeds))]
            datasets = [lane.dataset for lane in self._padded]
            self._program = _program_of(self._padded, datasets)
        first = self._lanes[0]
        self._measures = Measures(
            Objective(loss_of(first.model, self._training)),
            self._training, len(first.dataset.class_names), first.dataset.is_multi_label,
        )  # fmt: skip
        self._has_modes = has_modes(first.model)
        with self._timing.of("trace"):
            self._compile(first.seed.trial.reads_test)

    def results(self) -> Iterator[TrialResult]:
        """Train round by round, one epoch of each lane that has not ended."""
        for lane in self._lanes:
            with self._model_of(lane):
                lane.callbacks.train_begin()
        ended = [lane for lane in self._lanes if lane.has_ended]
        going = [lane for lane in self._lanes if not lane.has_ended]
        while going or ended:
            yield from self._finished(ended)
            if not going:
                return
            self._train_epoch(going)
            ended = [lane for lane in going if lane.has_ended]
            going = [lane for lane in going if not lane.has_ended]

    def _compile(self, reads_test: bool) -> None:
        parts = [("train_probe", False), ("val", False)]
        parts += [("train_probe", True)] if self._has_modes else []
        parts += [("test", False)] if reads_test else []
        self._program.compile([(self._parts(name), active) for name, active in parts])

    def _train_epoch(self, going: Sequence[Lane]) -> None:
        started = time.perf_counter()
        for lane in going:
            with self._model_of(lane):
                lane.callbacks.epoch_begin(len(lane.state.history) + 1)
        orders = [lane.next_order for lane in self._padded]
        with self._timing.of("train"):
            logged = self._program.train(orders)
        with self._timing.of("evaluate"):
            measures = self._measured(going)
        seconds = (time.perf_counter() - started) / len(going)
        for lane in going:
            loss, accuracy = logged[lane.number]
            record = EpochRecord(
                epoch=len(lane.state.history) + 1,
                loss=loss,
                accuracy=accuracy,
                seconds=seconds,
                order=order_digest(orders[lane.number], lane.dataset),
                **(measures[lane.number] if math.isfinite(loss) else NOT_MEASURED),
            )
            self._recorded(lane, record)
        if not self._training.callbacks and self._pause.is_over:
            self._save_checkpoints([lane for lane in going if not lane.trouble])

    def _measured(self, going: Sequence[Lane]) -> dict[int, dict[str, Any]]:
        """Return the measures of each lane after an epoch, by the names of an `EpochRecord`."""
        with ExitStack() as stack:
            for lane in going:
                stack.enter_context(self._testing(lane))
            train, val = self._predicted("train_probe"), self._predicted("val")
            active = self._predicted("train_probe", active=True) if self._has_modes else []
            measures = {}
            for lane in going:
                of_train = self._measure(lane.dataset.train_probe, train[lane.number])
                of_active = (
                    self._measure(lane.dataset.train_probe, active[lane.number]) if active else of_train
                )
                of_val = self._measure(lane.dataset.val, val[lane.number])
                measures[lane.number] = measures_of_epoch(
                    of_train, of_val, (of_active["loss"], of_active["accuracy"]), val[lane.number].penalty
                )
                evaluates_best = self._training.evaluate == "best"
                if evaluates_best and is_best(measures[lane.number], lane.state.history):
                    lane.state.best_weights = self._program.pull(lane.number).get_weights()
            return measures

    def _recorded(self, lane: Lane, record: EpochRecord) -> None:
        """Keep the record of a lane's epoch."""
        lane.state.history.append(record)
        lane.seed.on_epoch(record)
        lane.trouble = trouble_in(record)
        if lane.trouble:
            return
        with self._model_of(lane):
            lane.callbacks.epoch_end(record)

    def _save_checkpoints(self, lanes: Sequence[Lane]) -> None:
        """Save the state of lanes. One pause for all, because the training of all waits for each of them."""
        with self._timing.of("checkpoint"), self._pause.after():
            for lane in lanes:
                self._program.pull(lane.number)
                lane.checkpoint.save(lane.state, self._seconds(lane))

    def _finished(self, lanes: Sequence[Lane]) -> Iterator[TrialResult]:
        """Measure the lanes that have ended, and yield their results."""
        if not lanes:
            return
        for lane in lanes:
            if not lane.trouble:
                self._finish_weights(lane)
        changed = self._training.callbacks or averages_weights(lanes[0].model.optimizer)
        names = ["test"] if lanes[0].seed.trial.reads_test else []
        names += ["train_probe", "val"] if changed and self._training.evaluate == "last" else []
        with self._timing.of("evaluate"):
            outputs = {name: self._predicted(name) for name in names}
        for lane in lanes:
            try:
                yield self._result(lane, {name: of_lanes[lane.number] for name, of_lanes in outputs.items()})
            except Exception as error:  # of a lane's files; it concerns no other lane
                traceback.print_exc()
                seed = lane.seed
                yield failed(seed.trial, seed.folder, error, self._seconds(lane), self._provenance)

    def _finish_weights(self, lane: Lane) -> None:
        """Give a lane the weights that count."""
        model = self._program.pull(lane.number)
        if lane.seed.trial.keeps_state and not self._training.callbacks:
            lane.checkpoint.save(lane.state, self._seconds(lane))
        # From here on, an optimizer that averages the weights has put the averages in their place.
        model.optimizer.finalize_variable_values(model.trainable_variables)
        lane.callbacks.train_end()
        if self._training.evaluate == "best":
            model.set_weights(lane.state.best_weights)
        self._program.push(lane.number)

    def _result(self, lane: Lane, outputs: dict[str, Outputs]) -> TrialResult:
        seed, metrics, shift, saved = lane.seed, {}, {}, {}
        if not lane.trouble:
            is_of_best = self._training.evaluate == "best"
            history = lane.state.history
            metrics = final_measures(best_of(history) if is_of_best else history[-1])
            for name, of_part in outputs.items():
                part = name.removesuffix("_probe")
                measured = self._measure(getattr(lane.dataset, name), of_part)
                metrics |= {f"{part}_{key}": value for key, value in measured.items()}
            shift = self._shift(lane)
            with self._timing.of("write"):
                if "test" in outputs:
                    np.save(seed.folder / "test_probabilities.npy", outputs["test"].probabilities)
                model = self._program.pull(lane.number)
                saved = save_trained_model(seed.trial, lane.dataset, model, seed.folder, seed.save_model)
        if not seed.trial.keeps_state or lane.trouble:
            lane.checkpoint.discard()
        return lane.result(
            metrics=metrics,
            seconds=self._seconds(lane),
            timing={name: seconds / self._share for name, seconds in self._timing.seconds.items()},
            memory=peak_mib(),
            provenance=self._provenance | {SEEDS_AT_ONCE: str(self._share)},
            variance_shift=shift,
            **saved,
        )

    def _shift(self, lane: Lane) -> dict[str, float]:
        """Return the `variance_shift` of a lane's model, which is left as it was."""
        model, dataset = self._program.pull(lane.number), lane.dataset
        shift = variance_shift(model, dataset.normalise(dataset.train_probe.images[:_SHIFT_IMAGES]))
        self._program.pull(lane.number)
        return shift

    def _seconds(self, lane: Lane) -> float:
        """Return a lane's share of the time so far, with that of earlier attempts."""
        return lane.state.seconds + (time.perf_counter() - self._started) / self._share

    def _parts(self, name: str) -> list[Part]:
        return [getattr(lane.dataset, name) for lane in self._padded]

    def _predicted(self, name: str, active: bool = False) -> list[Outputs]:
        return self._program.predict(self._parts(name), active)

    def _measure(self, part: Part, outputs: Outputs) -> dict[str, float]:
        with logits_known():
            return self._measures.of(part, outputs)

    @contextmanager
    def _testing(self, lane: Lane) -> Iterator[None]:
        """Announce to callbacks the beginning and the end of the measurements after an epoch."""
        if not self._training.callbacks:
            yield
            return
        with ExitStack() as stack:
            with self._model_of(lane):
                stack.enter_context(lane.callbacks.testing())
            yield
            with self._model_of(lane):
                stack.close()

    @contextmanager
    def _model_of(self, lane: Lane) -> Iterator[None]:
        """Let callbacks see and change the state of a lane's model within the block."""
        if self._training.callbacks:
            self._program.pull(lane.number)
        yield
        if self._training.callbacks:
            self._program.push(lane.number)


def _refuse_unlike(lanes: Sequence[Lane]) -> None:
    """Refuse models that differ in structure, or whose own layers may hold arrays that follow the seed."""
    if len(lanes) == 1:
        return
    if user_code(lanes[0].seed.trial.model) and has_own_code(lanes[0].model):
        raise UnlikeSeedsError("the model has layers of your own, which may hold more than variables.")
    if len({lane.structure for lane in lanes}) > 1:
        raise UnlikeSeedsError("the models of the seeds differ in structure.")
