"""An estimate of the time that a run still needs, learned from the epochs that have ended."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.executors.contract import Task
from ablation.grid.trial import EpochRecord, Trial


class TimeEstimate:
    """The share of each trial that is left, and the seconds that an epoch of each variant takes.

    Args:
        tasks: The tasks to run. Until an epoch of its variant has ended, a task's own estimate is used,
            scaled by the time that epochs of other variants took.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = {task.trial.id: task for task in tasks}
        self._share_left = dict.fromkeys(self._tasks, 1.0)
        self._epoch_seconds: dict[str, list[float]] = {}  # by variant, the seconds of its epochs
        self._guessed_seconds = self._measured_seconds = 0.0  # of all epochs that have ended

    def trained(self, trial: Trial, record: EpochRecord) -> None:
        """Take note that a trial has ended an epoch."""
        self._share_left[trial.id] = 1 - record.epoch / trial.training.epochs
        self._epoch_seconds.setdefault(trial.variant, []).append(record.seconds)
        self._guessed_seconds += self._tasks[trial.id].seconds / trial.training.epochs
        self._measured_seconds += record.seconds

    def started(self, trial: Trial) -> None:
        """Take note that a trial has started, possibly for another time."""
        self._share_left[trial.id] = 1.0

    def finished(self, trial: Trial) -> None:
        """Take note that a trial has ended, with whatever status."""
        self._share_left[trial.id] = 0.0

    def work_left(self) -> float | None:
        """Return the seconds that one worker would still need; None before the first epoch has ended."""
        if not self._measured_seconds:
            return None
        return sum(
            share * self._seconds(self._tasks[key]) for key, share in self._share_left.items() if share
        )

    @property
    def work_done(self) -> float:
        """The seconds that all epochs took which have ended."""
        return self._measured_seconds

    def _seconds(self, task: Task) -> float:
        measured = self._epoch_seconds.get(task.trial.variant)
        if measured:
            return task.trial.training.epochs * sum(measured) / len(measured)
        return task.seconds * self._measured_seconds / self._guessed_seconds if self._guessed_seconds else 0.0
