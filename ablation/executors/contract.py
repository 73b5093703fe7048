"""The contract of executors: an executor takes trials and yields their results in the order they end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ablation.grid.study import Engine, SaveModels
from ablation.grid.trial import EpochRecord, Trial, TrialResult

EXECUTORS = ("local", "inline", "ray")


@dataclass(frozen=True)
class Task:
    """A trial to run.

    Attributes:
        trial: What to train.
        folder: The folder where its files go; training resumes from a checkpoint in it.
        save_model: Whether to keep its model, and whether that takes raw images.
        seconds: An estimate of how long it takes.
        timeout: The seconds after which it is stopped; by default it is never stopped.
        note: What a user may wonder about: why a finished trial is trained again, or from which epoch on.
        continues: The id of a shorter training at whose end it begins, if the state was kept.
        bfloat16_seconds: What ``seconds`` would be in mixed_bfloat16; None where that was not measured.
    """

    trial: Trial
    folder: Path
    save_model: SaveModels = False
    seconds: float = 0.0
    timeout: float | None = None
    note: str = ""
    continues: str = ""
    bfloat16_seconds: float | None = None

    def timed_out(self, history: Sequence[EpochRecord]) -> TrialResult:
        """Return the result of a trial that was stopped after its timeout, with the completed epochs."""
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
    """News of a running trial: it has started, or it has ended an epoch.

    Attributes:
        trial: The trial.
        record: The record of the epoch; None when the trial has started.
    """

    trial: Trial
    record: EpochRecord | None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class ExecutorOptions:
    """What the executor of a plug-in is made from.

    Attributes:
        workers: The number of trials at a time that the user asked for; None to choose it.
        threads: The number of threads per trial.
        log_folder: The folder for the error output of worker processes.
        keep: Whether to keep processes or connections from one `run` to the next, until `close`.
        address: What the user gave as ``--address``.
        gpus: The number of GPUs per trial, or a fraction of one.
        engine: What trains the models; None to choose it.
    """

    workers: int | None
    threads: int
    log_folder: Path
    keep: bool
    address: str | None
    gpus: float
    engine: Engine | None


class Executor(Protocol):
    """Runs tasks. A trial that fails, or whose process dies, yields a result and never an exception."""

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """Yield each task with its result as it ends; closing the iterator stops the trials that run.

        Args:
            tasks: The trials to run.
            dataset_file: The file that holds their dataset.
            threads: The number of threads per trial.
            on_progress: Called when a trial starts and when it ends an epoch.
        """
        ...

    def close(self) -> None:
        """End the processes or connections that are kept from one `run` to the next."""
        ...
