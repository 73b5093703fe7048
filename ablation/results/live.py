"""What is known of a run while it trains: its trials, their curves so far, and the settled verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablation.analysis.phrases import Row
from ablation.analysis.questions import study_questions
from ablation.analysis.settled import settled_verdicts
from ablation.executors.contract import Task
from ablation.executors.eta import TimeEstimate
from ablation.files import DAMAGED, read_json
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study
from ablation.grid.trial import Trial, TrialResult
from ablation.results.run import Run
from ablation.store.lock import running_parts
from ablation.store.progress_log import ProgressLine, ProgressTail, progress_file, progress_files

_RECENT = 300.0  # seconds: news of another machine, whose lock cannot be seen, that is not older still counts
_SURE = (
    2.0  # seconds: a folder that was changed more recently may change again within the same tick of its clock
)

Phase = Literal["starting", "training", "reporting", "stopped", "ended"]


class Epoch(NamedTuple):
    """The accuracies after an epoch, in inference mode."""

    epoch: int
    train: float
    val: float


Curve = Sequence[Epoch]


@dataclass(frozen=True)
class TrialState:
    """A trial of a run.

    Attributes:
        variant, seed: What it trains.
        epochs: The planned number of epochs.
        status: ``pending``, ``running``, or how it ended.
        curve: The epochs so far.
        cause: Why it did not complete.
        is_asked: Whether a command has planned to train it; ``--only`` and ``--shard`` leave trials out.
    """

    variant: str
    seed: int
    epochs: int
    status: str
    curve: Curve = ()
    cause: str = ""
    is_asked: bool = True

    @property
    def epoch(self) -> int:
        """The last epoch that has ended; 0 before the first one."""
        return self.curve[-1].epoch if self.curve else 0

    @property
    def is_done(self) -> bool:
        """Whether it has a result, good or bad."""
        return self.status not in ("pending", "running")


@dataclass(frozen=True)
class LiveState:
    """A run at one moment.

    Attributes:
        study: The study.
        compare: How it is judged.
        phase: What the run is doing; ``stopped`` if its process has gone although trials were left.
        trials: All trials of the study, in the order of the plan.
        means: The mean curve over the completed seeds of each variant that has any.
        seconds_left: An estimate of the time until the last trial ends; None if it is not known yet.
        verdicts: The rows of `ablation.analysis.settled.settled_verdicts`, one per declared question.
    """

    study: Study
    compare: CompareSettings
    phase: Phase
    trials: Sequence[TrialState]
    means: Mapping[str, Curve]
    seconds_left: float | None
    verdicts: Sequence[Row]


@dataclass
class _Part:
    """What the progress file of one part of the run says."""

    tail: ProgressTail
    planned_at: float = 0.0
    planned: Mapping[str, float] = field(default_factory=dict)
    estimate: TimeEstimate = field(default_factory=lambda: TimeEstimate([]))
    started: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    curves: dict[str, list[Epoch]] = field(default_factory=dict)

    def take(self, line: ProgressLine, trials: Mapping[str, Trial]) -> None:
        """Take note of a line."""
        if line.planned is not None:
            known = {name: seconds for name, seconds in line.planned.items() if name in trials}
            self.planned_at, self.planned = line.at, known
            self.estimate = TimeEstimate([Task(trials[n], Path(), seconds=s) for n, s in known.items()])
            self.started, self.ended = set(), set()
            return
        if line.epoch:
            curve = self.curves.setdefault(line.trial, [])
            while curve and curve[-1].epoch >= line.epoch:  # the trial went back to its last checkpoint
                curve.pop()
            curve.append(Epoch(line.epoch, line.train_accuracy, line.val_accuracy))
        if line.trial not in self.planned:
            return
        trial = trials[line.trial]
        if line.ended:
            self.ended.add(line.trial)
            self.estimate.finished(trial)
        elif line.epoch:
            self.estimate.trained(trial, line, line.at)
        else:
            self.started.add(line.trial)
            self.estimate.started(trial)


@dataclass(frozen=True)
class _Ended:
    """A trial that has a result, as far as it is shown."""

    changed: int
    status: str
    cause: str
    curve: Curve


class LiveRun:
    """Follows a run by what its folder holds, and writes nothing to it. Only what is new is read each time.

    Args:
        folder: The run folder.
        part: The part of the run that this process trains; empty if it only watches.

    Raises:
        RunError: The folder is not a run folder.
    """

    def __init__(self, folder: str | Path, part: str = "") -> None:
        self.folder, self._part = Path(folder), part
        self._ended: dict[str, _Ended] = {}
        self._scanned = 0
        self._means: dict[str, tuple[int, Curve]] = {}
        self._judged: tuple[object, list[Row]] | None = None
        self._results: dict[str, TrialResult] = {}
        self._correct: dict[str, dict[int, NDArray[np.bool_]]] = {}
        self._open()

    def _open(self) -> None:
        self._changed = (self.folder / "study.json").stat().st_mtime_ns if self._exists else 0
        self._run = Run(self.folder)
        self._compare = self._run.study.compare
        self._trials = {trial.id: trial for trial in self._run.trials}
        self._parts: dict[str, _Part] = {}
        self._scanned = 0

    @property
    def _exists(self) -> bool:
        return (self.folder / "study.json").is_file()

    def look(self, is_training: bool = True) -> LiveState:
        """Return the run as it is now.

        Args:
            is_training: Whether the part that this process trains still runs.

        Raises:
            RunError: The folder is no longer a run folder.
        """
        running = running_parts(self.folder, self._is_recent, self._part)
        running |= {self._part} if self._part and is_training else set()
        if not self._exists or (self.folder / "study.json").stat().st_mtime_ns != self._changed:
            self._open()
        self._read_progress()
        self._read_ended()
        trials = {name: self._state(name, trial, running) for name, trial in self._trials.items()}
        phase = self._phase(running, trials)
        verdicts = self._verdicts(trials, phase)
        return LiveState(
            self._run.study,
            self._compare,
            phase,
            list(trials.values()),
            self._mean_curves(trials),
            self._seconds_left(running) if phase == "training" else None,
            verdicts,
        )

    def _is_recent(self, part: str) -> bool:
        with suppress(OSError):
            return time.time() - progress_file(self.folder, part).stat().st_mtime < _RECENT
        return False

    def _read_progress(self) -> None:
        for name, file in progress_files(self.folder):
            part = self._parts.setdefault(name, _Part(ProgressTail(file)))
            is_another, lines = part.tail.read()
            if is_another:
                part = self._parts[name] = _Part(part.tail)
            for line in lines:
                part.take(line, self._trials)

    def _read_ended(self) -> None:
        """Read the results that are new; their checksums are left to those who judge them."""
        store, folder = self._run.store, self.folder / "trials"
        changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
        if changed == self._scanned:
            return
        self._scanned = changed if time.time() - changed / 1e9 > _SURE else 0
        for name, trial in self._trials.items():
            record = store.place(trial) / "trial.json"
            known = self._ended.get(name)
            with suppress(OSError):
                written = record.stat().st_mtime_ns
                if not known or known.changed != written:
                    self._ended[name] = _ended(record.with_name("result.json"), written)
                    self._means.pop(trial.variant, None)
                    self._results.pop(name, None)

    def _state(self, name: str, trial: Trial, running: set[str]) -> TrialState:
        part = max(
            (part for part in self._parts.items() if name in part[1].planned),
            key=lambda part: part[1].planned_at,
            default=None,
        )
        state = partial(TrialState, trial.variant, trial.seed, trial.training.epochs)
        if part and part[0] in running and name not in part[1].ended:
            status = "running" if name in part[1].started else "pending"
            return state(status, part[1].curves.get(name, ()))
        if ended := self._ended.get(name):
            return state(ended.status, ended.curve, ended.cause)
        is_asked = part is not None or not self._parts
        return state("pending", part[1].curves.get(name, ()) if part else (), is_asked=is_asked)

    def _phase(self, running: set[str], trials: Mapping[str, TrialState]) -> Phase:
        if running:
            parts = [part for name, part in self._parts.items() if name in running]
            if any(len(part.ended) < len(part.planned) for part in parts):
                return "training" if any(part.estimate.work_done for part in parts) else "starting"
            return "reporting" if parts else "starting"
        pending = {name for name, trial in trials.items() if trial.status == "pending"}
        if any(pending.intersection(part.planned) for part in self._parts.values()):
            return "stopped"
        is_reported = self._run.is_reported if self._run.study.reads_test else not pending
        return "ended" if is_reported else "stopped"

    def _seconds_left(self, running: set[str]) -> float | None:
        now = time.time()
        left = [part.estimate.time_left(now) for name, part in self._parts.items() if name in running]
        return max((seconds for seconds in left if seconds is not None), default=None)

    def _mean_curves(self, trials: Mapping[str, TrialState]) -> dict[str, Curve]:
        curves: dict[str, list[Curve]] = {}
        for trial in trials.values():
            if trial.status == "completed":
                curves.setdefault(trial.variant, []).append(trial.curve)
        for variant, of_variant in curves.items():
            if self._means.get(variant, (0,))[0] != len(of_variant):
                self._means[variant] = len(of_variant), _mean(of_variant)
        return {variant: self._means[variant][1] for variant in curves}

    def _verdicts(self, trials: Mapping[str, TrialState], phase: Phase) -> list[Row]:
        """Judge what is settled again if a variant has ended; a failed trial may be trained once more."""
        final = (
            ("completed", "diverged") if phase != "ended" else ("completed", "diverged", "failed", "timeout")
        )
        open_ = {trial.variant for trial in trials.values() if trial.status not in final}
        asked = open_, self._changed, phase == "ended"
        if not self._judged or self._judged[0] != asked:
            self._judged = asked, self._judge(open_)
        return self._judged[1]

    def _judge(self, open_: set[str]) -> list[Row]:
        """Judge with the results of the variants that are not open."""
        run = self._run
        asked = (q for q in study_questions(run.study, run.study.compare) if q.is_declared and q.weights)
        if any(open_.isdisjoint(question.weights) for question in asked):
            self._read_results([trial for trial in run.trials if trial.variant not in open_])
        run.refresh()
        run.trial_results = {t.id: self._results[t.id] for t in run.trials if t.id in self._results}
        rows: list[Row] = settled_verdicts(run.results, run.study, self._compare, self._correct).to_dict(
            "records"
        )
        run.refresh()
        return rows

    def _read_results(self, trials: Sequence[Trial]) -> None:
        """Read what verdicts rest on, of trials that are new; the curves and the images are not kept."""
        run = self._run
        self._results = {t.id: self._results[t.id] for t in trials if t.id in self._results}
        new = ((trial.id, run.store.result(trial)) for trial in trials if trial.id not in self._results)
        run.refresh()
        run.trial_results = {name: r.model_copy(update={"history": ()}) for name, r in new if r}
        self._results |= run.trial_results
        self._compare = run.compare
        if self._compare.includes_images:
            for variant, of_variant in run.all_right.items():
                self._correct.setdefault(variant, {}).update(of_variant)
        run.__dict__.pop("dataset", None)


def _ended(file: Path, changed: int) -> _Ended:
    """Read a result as far as it is shown."""
    try:
        result = read_json(file)
        curve = [
            Epoch(int(one["epoch"]), float(one["train_accuracy"]), float(one["val_accuracy"]))
            for one in result["history"]
        ]
        return _Ended(changed, str(result["status"]), str(result.get("cause", "")), curve)
    except DAMAGED:
        return _Ended(changed, "failed", "result.json cannot be read", ())


def _mean(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves over those that have the epoch."""
    by_epoch: dict[int, list[Epoch]] = {}
    for curve in curves:
        for one in curve:
            by_epoch.setdefault(one.epoch, []).append(one)
    means = ((e, np.mean([(o.train, o.val) for o in of], axis=0)) for e, of in sorted(by_epoch.items()))
    return [Epoch(epoch, float(train), float(val)) for epoch, (train, val) in means]
