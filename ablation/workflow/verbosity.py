"""Observers for those who want to read less of a run, or more."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from ablation.analysis.phrases import duration
from ablation.executors.contract import Task
from ablation.executors.cores import available_cores
from ablation.executors.engine import choose_engine
from ablation.grid.study import Study
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.workflow.observers import NullObserver


class FailuresOnly(NullObserver):
    """Prints the trials that do not complete, to the error output, and nothing else."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        if not result.is_completed:
            line = f"{trial.variant} seed {trial.seed}: {result.status}, {result.cause}"
            print(line, file=sys.stderr)


class TimeSpent(NullObserver):
    """Counts where the time of a run goes."""

    def __init__(self) -> None:
        self._phases: Counter[str] = Counter()
        self._trials = 0
        self._began = self._last = time.monotonic()

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""
        if not self._trials:
            self._began = self._last = time.monotonic()

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        self._phases.update(result.timing)
        self._trials += 1
        self._last = time.monotonic()

    def sentences(self) -> list[str]:
        """Say where the time went since the run was planned; nothing if no trial was trained."""
        if not self._trials:
            return []
        now, total = time.monotonic(), sum(self._phases.values())
        shares = ", ".join(
            f"{phase} {duration(seconds)} ({seconds / total:.0%})"
            for phase, seconds in self._phases.most_common()
            if seconds >= total / 200
        )
        return [
            f"Time: {duration(now - self._began)} in all, of which {duration(now - self._last)} after the "
            "last trial, for tables, figures and report.",
            f"Time of the workers, over {counted(self._trials, 'trial')}: {shares or 'not measured'}.",
        ]


def decisions(study: Study, executor: str, workers: int | None, address: str | None) -> Iterable[str]:
    """Say what is decided before a study is run: where and with what its trials are trained.

    Args:
        study: The study.
        executor: The name of the executor.
        workers: The number of workers that was asked for.
        address: The address of the Ray cluster, if one was given.
    """
    threads = f"{counted(study.threads, 'thread')} per trial"
    if executor == "ray":
        yield f"Executor: ray, on {address or 'RAY_ADDRESS or a cluster started here'}; {threads}."
        return
    engine = choose_engine(study.engine)
    count = engine.workers(workers, study.threads)
    place = "in this process" if executor == "inline" else f"{count} worker process{'es' * (count != 1)}"
    cores = counted(available_cores(), "core")
    yield f"Executor: {executor}, {place}; {threads}; {cores} available."
    gpus = f" on GPU {', '.join(engine.gpus)}" if engine.gpus else " on the processor"
    yield f"Engine: {engine.name}{gpus}, {'as the study asks' if study.engine else 'by default'}."
    precisions = dict.fromkeys(variant.training.precision for variant in study.variants)
    yield f"Precision: {', '.join(precisions)}."
