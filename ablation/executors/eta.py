"""How long a run will still take, learned from the epochs that have ended."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.executors.contract import Task
from ablation.grid.trial import EpochRecord, Trial


class TimeEstimate:
    """Knows the share of each trial that is left, and what an epoch of each variant takes.

    Args:
        tasks: What is to be run. Their guesses are scaled by what epochs of other variants took, until
            an epoch of their own variant has ended.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = {task.trial.id: task for task in tasks}
        self._share_left = dict.fromkeys(self._tasks, 1.0)
        self._epoch_seconds: dict[str, list[float]] = {}  # by variant, the seconds of its epochs
        self._guessed_seconds = self._measured_seconds = 0.0  # of all epochs that have ended

    def trained(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch has ended."""
        self._share_left[trial.id] = 1 - record.epoch / trial.training.epochs
        self._epoch_seconds.setdefault(trial.variant, []).append(record.seconds)
        self._guessed_seconds += self._tasks[trial.id].seconds / trial.training.epochs
        self._measured_seconds += record.seconds

    def started(self, trial: Trial) -> None:
        """A trial begins, or begins again."""
        self._share_left[trial.id] = 1.0

    def finished(self, trial: Trial) -> None:
        """A trial has ended, whatever became of it."""
        self._share_left[trial.id] = 0.0

    def work_left(self) -> float | None:
        """Return the seconds of training left, were one worker to do it; None before the first epoch."""
        if not self._measured_seconds:
            return None
        return sum(
            share * self._seconds(self._tasks[key]) for key, share in self._share_left.items() if share
        )

    @property
    def work_done(self) -> float:
        """The seconds that epochs took."""
        return self._measured_seconds

    def _seconds(self, task: Task) -> float:
        measured = self._epoch_seconds.get(task.trial.variant)
        if measured:
            return task.trial.training.epochs * sum(measured) / len(measured)
        return task.seconds * self._measured_seconds / self._guessed_seconds if self._guessed_seconds else 0.0
