"""Trials in this process, one after the other: for tests and for a debugger."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from ablation.data.datasets import Dataset
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.executors.engine import seeds_at_once
from ablation.executors.task_queue import TaskQueue
from ablation.grid.study import Engine
from ablation.grid.trial import EpochRecord, TrialResult
from ablation.tensorflow_setup import configure_tensorflow, start_jax
from ablation.training.fused.attempt import attempts
from ablation.training.fused.lane import SeedTask


class InlineExecutor:
    """Runs each task in this process; a timeout takes effect at the end of an epoch.

    TensorFlow must not already run in this process with another number of threads.

    Args:
        engine: What trains the models; with JAX, the seeds of a variant are trained together.
    """

    def __init__(self, engine: Engine = "tensorflow") -> None:
        self._engine: Engine = engine

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        if not tasks:
            return
        if self._engine == "jax":
            start_jax(threads)
        else:
            configure_tensorflow(threads)
        dataset = Dataset.load(dataset_file)
        task_queue = TaskQueue(tasks, seeds_at_once(self._engine, len(tasks), workers=1))
        group: list[Task] = []
        while group := task_queue.next_group(group):
            yield from self._run(group, dataset, on_progress)

    def _run(
        self, group: Sequence[Task], dataset: Dataset, on_progress: OnProgress
    ) -> Iterator[tuple[Task, TrialResult]]:
        """Run tasks of one variant; if they take too long, those without a result have timed out."""
        left = {task.trial.id: task for task in group}
        histories: dict[str, list[EpochRecord]] = {trial_id: [] for trial_id in left}
        started = time.perf_counter()

        def reporting(task: Task) -> Callable[[EpochRecord], None]:
            def report(record: EpochRecord) -> None:
                histories[task.trial.id].append(record)
                on_progress(Progress(task.trial, record))
                seconds = (time.perf_counter() - started) / len(group)
                if task.timeout is not None and seconds > task.timeout:
                    raise _TimeoutReached

            return report

        for task in group:
            on_progress(Progress(task.trial, None))
        try:
            seeds = [SeedTask(t.trial, t.folder, t.save_model, reporting(t)) for t in group]
            for result in attempts(seeds, dataset):
                yield left.pop(result.trial_id), result
        except _TimeoutReached:
            for task in left.values():
                yield task, task.timed_out(histories[task.trial.id])

    def close(self) -> None:
        """See `Executor.close`."""


class _TimeoutReached(BaseException):
    """Stops a trial. It is not an `Exception`, so that no handler of the trial's errors catches it."""
