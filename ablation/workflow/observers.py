"""Who is told what happens during a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ablation.executors.contract import Progress, Task
from ablation.grid.trial import Trial, TrialResult


class Observer(Protocol):
    """Is told what happens during a run."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """The run is about to train ``pending``, out of all ``trials``; told again when seeds are added."""

    def progressed(self, progress: Progress) -> None:
        """A trial has started or ended an epoch."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """A trial has ended and its result is kept."""


class NullObserver:
    """Is told everything and says nothing."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""


class Observers:
    """Tells several observers, one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

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
