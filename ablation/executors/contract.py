"""Where trials run. An executor takes trials and yields their results, in whatever order they end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ablation.grid.trial import EpochRecord, Trial, TrialResult

EXECUTORS = ("local", "inline", "ray")


@dataclass(frozen=True)
class Task:
    """A trial to run.

    Attributes:
        trial: What to train.
        folder: Where its files go; a checkpoint in it is taken up.
        save_model: Whether to keep its model.
        seconds: A guess of how long it takes.
        timeout: The seconds after which it is ended; without it, as long as it takes.
    """

    trial: Trial
    folder: Path
    save_model: bool = False
    seconds: float = 0.0
    timeout: float | None = None

    def timed_out(self, history: Sequence[EpochRecord]) -> TrialResult:
        """Return the result of a trial that was ended."""
        return TrialResult(
            trial_id=self.trial.id,
            status="timeout",
            history=tuple(history),
            seconds=self.timeout or 0.0,
            cause=(
                f"was stopped after its timeout of {self.timeout:g} s, with {len(history)} epochs completed"
            ),
        )


@dataclass(frozen=True)
class Progress:
    """A running trial has started (no record), or has ended an epoch."""

    trial: Trial
    record: EpochRecord | None


OnProgress = Callable[[Progress], None]


class Executor(Protocol):
    """Runs tasks. A trial that fails, or whose process dies, is a result and never an exception."""

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """Yield each task with its result as it ends; closing the iterator ends what runs."""
        ...

    def close(self) -> None:
        """End what is kept from one `run` to the next."""
        ...
