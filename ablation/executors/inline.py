"""Trials in this process, one after the other: for tests and for a debugger."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ablation.data.datasets import Dataset
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.executors.task_queue import TaskQueue
from ablation.grid.trial import EpochRecord, TrialResult
from ablation.tensorflow_setup import configure_tensorflow
from ablation.training.attempt import attempt


class InlineExecutor:
    """Runs each task in this process; a timeout takes effect at the end of an epoch.

    TensorFlow must not already run in this process with another number of threads.
    """

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        if not tasks:
            return
        configure_tensorflow(threads)
        dataset = Dataset.load(dataset_file)
        task_queue, task = TaskQueue(tasks), None
        while task := task_queue.next(task):
            trial = task.trial

            history: list[EpochRecord] = []
            started = time.perf_counter()

            def report(
                record: EpochRecord, task: Task = task, history: Any = history, started: float = started
            ) -> None:
                history.append(record)
                on_progress(Progress(task.trial, record))
                if task.timeout is not None and time.perf_counter() - started > task.timeout:
                    raise _TimeoutReached

            on_progress(Progress(trial, None))
            try:
                yield task, attempt(trial, dataset, task.folder, task.save_model, report)
            except _TimeoutReached:
                yield task, task.timed_out(history)

    def close(self) -> None:
        """See `Executor.close`."""


class _TimeoutReached(BaseException):
    """Stops a trial. It is not an `Exception`, so that no handler of the trial's errors catches it."""
