"""Observers, which are notified of what happens during a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ablation.executors.contract import Progress, Task
from ablation.grid.trial import Trial, TrialResult


class Observer(Protocol):
    """Is notified of what happens during a run."""

    def noted(self, notes: Sequence[str]) -> None:
        """Called before anything is planned, with sentences on what the variants' models are without."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """Called before the run trains ``pending``, out of all ``trials``, and again when seeds are added."""

    def progressed(self, progress: Progress) -> None:
        """Called when a trial has started, and when it has ended an epoch."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """Called when a trial has ended and its result is kept."""


class NullObserver:
    """An observer that does nothing."""

    def noted(self, notes: Sequence[str]) -> None:
        """See `Observer.noted`."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""


class Observers:
    """An observer that notifies several observers, one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def noted(self, notes: Sequence[str]) -> None:
        """See `Observer.noted`."""
        for observer in self._observers:
            observer.noted(notes)

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""
        for observer in self._observers:
            observer.planned(trials, pending)

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""
        for observer in self._observers:
            observer.progressed(progress)

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        for observer in self._observers:
            observer.finished(trial, result)
