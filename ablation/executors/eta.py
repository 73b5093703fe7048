"""An estimate of the time that a run still needs, learned from the epochs that have ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from ablation.executors.contract import Task
from ablation.grid.trial import Trial


class EndedEpoch(Protocol):
    """The number of an epoch that has ended, and its wall time in seconds."""

    @property
    def epoch(self) -> int:
        """The number, from 1 on."""

    @property
    def seconds(self) -> float:
        """The wall time."""


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
        self._clock: tuple[float, float] | None = None  # when the first epoch ended, and the work until then

    def trained(self, trial: Trial, record: EndedEpoch, at: float | None = None) -> None:
        """Take note that a trial has ended an epoch.

        Args:
            trial: The trial.
            record: The epoch.
            at: When it ended, in seconds of any clock; by default now, of the monotonic clock.
        """
        trial_id = trial.id  # a hash, which takes its time
        self._share_left[trial_id] = 1 - record.epoch / trial.training.epochs
        self._epoch_seconds.setdefault(trial.variant, []).append(record.seconds)
        self._guessed_seconds += self._tasks[trial_id].seconds / trial.training.epochs
        self._measured_seconds += record.seconds
        self._clock = self._clock or (time.monotonic() if at is None else at, self._measured_seconds)

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

    def time_left(self, now: float | None = None) -> float | None:
        """Estimate the seconds that the run still takes; None before the second epoch.

        Args:
            now: The time, in seconds of the clock of `trained`.
        """
        left = self.work_left()
        if left is None or self._clock is None:
            return None
        # The clock starts at the end of the first epoch: importing TensorFlow says nothing of the rest.
        since, before = self._clock
        done = self._measured_seconds - before
        return left * ((time.monotonic() if now is None else now) - since) / done if done else None

    def _seconds(self, task: Task) -> float:
        measured = self._epoch_seconds.get(task.trial.variant)
        if measured:
            return task.trial.training.epochs * sum(measured) / len(measured)
        return task.seconds * self._measured_seconds / self._guessed_seconds if self._guessed_seconds else 0.0
