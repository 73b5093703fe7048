"""Where trials run. An executor takes trials and yields their results, in whatever order they end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ablation.errors import AblationError, did_you_mean
from ablation.trial import EpochRecord, Trial, TrialResult

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
            cause=f"was ended after its timeout of {self.timeout:g} s, with {len(history)} epochs done",
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


def make_executor(
    name: str,
    workers: int | None,
    threads: int,
    log_folder: Path,
    keep: bool = False,
    address: str | None = None,
    gpus: float = 0.0,
) -> Executor:
    """Return the executor of that name.

    Args:
        name: ``local`` (worker processes), ``inline`` (this process, one trial after the other) or ``ray``
            (a Ray cluster).
        workers: How many trials at a time; by default as many as there is room for.
        threads: Threads a trial.
        log_folder: Where the error output of worker processes goes.
        keep: Keep the processes from one `run` to the next, until `close`.
        address: The Ray cluster; by default one that is started on this machine.
        gpus: GPUs a trial, or a fraction of one; only Ray deals them out.

    Raises:
        AblationError: There is no such executor.
    """
    from ablation.executors.inline import InlineExecutor
    from ablation.executors.local import LocalExecutor, available_cores
    from ablation.executors.ray import RayExecutor

    if address and name != "ray":
        raise AblationError("--address names a Ray cluster: it goes with --executor ray.")
    if name == "inline":
        return InlineExecutor()
    if name == "local":
        return LocalExecutor(workers or max(1, available_cores() // threads), log_folder, keep)
    if name == "ray":
        return RayExecutor(address, workers, gpus, keep)
    raise AblationError(f"--executor: there is no executor '{name}'.{did_you_mean(name, EXECUTORS)}")
