"""Trials in this very process, one after the other: for tests and for a debugger."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from ablation.executors import OnProgress, Progress, Task
from ablation.trial import EpochRecord, TrialResult


class InlineExecutor:
    """Runs each task here. TensorFlow must not have run in this process with other threads before."""

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        from ablation.datasets import Dataset
        from ablation.training import configure_tensorflow
        from ablation.worker import attempt

        configure_tensorflow(threads)
        dataset = Dataset.load(dataset_file)
        for task in tasks:
            trial = task.trial

            def report(record: EpochRecord, task: Task = task) -> None:
                on_progress(Progress(task.trial, record))

            on_progress(Progress(trial, None))
            yield task, attempt(trial, dataset, task.folder, task.save_model, report)
