"""Trials as tasks of a Ray cluster: Ray decides where each one runs, and this process keeps the results."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablation.errors import RunError
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.executors.ray_cluster import RayCluster
from ablation.executors.ray_task import Ended, Event, Saved, train
from ablation.executors.task_queue import TaskQueue
from ablation.files import write_atomically
from ablation.grid.trial import EpochRecord, TrialResult
from ablation.training.attempt import failed
from ablation.training.checkpoint import CHECKPOINT

_ATTEMPTS = 2  # of a trial whose process dies; the loss of its node is not the trial's fault, and not counted
_PATIENCE = 5.0  # seconds without news until nodes are counted again


class _LostError(Exception):
    """A trial was lost with its node or its process, and must go on elsewhere."""


@dataclass
class _Attempt:
    """A task that was submitted to Ray, and what has come back from it.

    Attributes:
        task: The task.
        deaths: How many times its process has died.
        history: The epochs of the present attempt.
        deadline: The monotonic time at which its timeout is over, once it has started.
    """

    task: Task
    deaths: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    deadline: float | None = None

    @property
    def is_overdue(self) -> bool:
        """Whether the task's timeout is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class RayExecutor:
    """Runs each task as a Ray task, with as many CPUs as it has threads.

    A trial whose node or process is lost goes on elsewhere, from the last checkpoint that came back.

    Args:
        address: The address of the cluster; see `RayCluster`.
        workers: The largest number of trials at a time; see `RayCluster`.
        gpus: The number of GPUs per trial, or a fraction of one.
        keep: Whether to stay connected from one `run` to the next, until `close`.
    """

    def __init__(self, address: str | None, workers: int | None, gpus: float, keep: bool = False) -> None:
        self._cluster = RayCluster(address, workers, gpus)
        self._keep = keep

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        if not tasks:
            return
        self._cluster.connect(threads)
        all_yielded = False
        try:
            yield from self._results(tasks, dataset_file, threads, on_progress)
            all_yielded = True
        finally:
            if not self._keep:
                self._cluster.close(wait=not all_yielded)

    def close(self) -> None:
        """See `Executor.close`."""
        self._cluster.close()

    def _results(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        import ray

        task_queue, unfinished = TaskQueue(tasks), len(tasks)
        running: dict[Any, _Attempt] = {}  # by the stream of its events
        ended: Task | None = None
        try:
            dataset = self._cluster.dataset(dataset_file)
            while unfinished:
                while len(running) < self._cluster.places(threads) and (task := task_queue.next(ended)):
                    running[self._start(task, dataset, threads)] = _Attempt(task)
                    ended = None
                for stream in _with_news(running):
                    attempt = running[stream]
                    try:
                        result = _listen(stream, attempt, on_progress)
                    except _LostError:
                        attempt.deadline = None
                        running[self._start(attempt.task, dataset, threads)] = running.pop(stream)
                        continue
                    if result is not None:
                        ended = running.pop(stream).task
                        unfinished -= 1
                        yield ended, result
        finally:
            for stream in running:
                ray.cancel(stream, force=True)

    def _start(self, task: Task, dataset: Any, threads: int) -> Any:
        """Submit a task to Ray; return the stream of its events."""
        import ray

        remote = ray.remote(train).options(
            name=f"train {task.trial.id}",
            num_cpus=threads,
            num_gpus=self._cluster.gpus,
            num_returns="streaming",
            max_retries=0,  # `run` retries it, because it has the checkpoint
        )
        file = task.folder / CHECKPOINT
        checkpoint = file.read_bytes() if file.is_file() else None
        settings = task.trial.model_dump(mode="json")
        return remote.remote(task.trial.id, settings, dataset, threads, task.save_model, checkpoint)


def _with_news(running: dict[Any, _Attempt]) -> list[Any]:
    """Wait until a trial has an event or is overdue; return the streams of all such trials."""
    import ray

    streams, now = list(running), time.monotonic()
    due = [attempt.deadline - now for attempt in running.values() if attempt.deadline]
    ray.wait(streams, timeout=max(0.0, min([_PATIENCE, *due])), fetch_local=False)
    news: list[Any] = ray.wait(streams, num_returns=len(streams), timeout=0, fetch_local=False)[0]
    return news + [s for s in streams if running[s].is_overdue and s not in news]


def _listen(stream: Any, attempt: _Attempt, on_progress: OnProgress) -> TrialResult | None:
    """Handle the next event of a trial; return the trial's result once it has one.

    Raises:
        _LostError: The trial's node or process died, and it is to be tried again.
        RunError: A node is not set up to train, or Ray cannot run the trial.
    """
    import ray

    task = attempt.task
    if attempt.is_overdue:
        ray.cancel(stream, force=True)
        return task.timed_out(attempt.history)
    try:
        event: Event = ray.get(next(stream))
    except ray.exceptions.RayTaskError as error:
        raise RunError(_unfit_node_message(error)) from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        attempt.deaths += 1
        if attempt.deaths < _ATTEMPTS:
            raise _LostError from None
        return _died_result(task, error)
    except _lost_with_a_node():
        raise _LostError from None
    except ray.exceptions.RayError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RunError(f"Ray cannot run the trials: {reason}") from None
    match event:
        case None:
            attempt.history.clear()
            attempt.deadline = time.monotonic() + task.timeout if task.timeout else None
            on_progress(Progress(task.trial, None))
        case EpochRecord():
            attempt.history.append(event)
            on_progress(Progress(task.trial, event))
        case Saved():
            with suppress(OSError):  # a full disk is reported when the result is written
                write_atomically(task.folder / CHECKPOINT, event.content)
        case Ended():
            return _write_files(task, event)
    return None


def _lost_with_a_node() -> tuple[type[Exception], ...]:
    """Return the exceptions that Ray raises when a trial, or one of its events, is lost with a node."""
    import ray

    errors = ray.exceptions
    return errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError


def _write_files(task: Task, ended: Ended) -> TrialResult:
    """Write a trial's files into its folder and return its result; a failed one if they cannot be written."""
    try:
        (task.folder / CHECKPOINT).unlink(missing_ok=True)
        for name, content in ended.files.items():
            (task.folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(task.folder / name, content)
    except OSError as error:
        return failed(task.trial, task.folder, error, ended.result.seconds, ended.result.provenance)
    return ended.result


def _died_result(task: Task, error: Exception) -> TrialResult:
    last = str(error).strip().splitlines()[0].rstrip(".")
    cause = f"the worker process died {_ATTEMPTS} times; the last time, Ray reported: {last}"
    return TrialResult(trial_id=task.trial.id, status="failed", cause=cause)


def _unfit_node_message(error: Any) -> str:
    """Return the message about a node on which a trial cannot even begin."""
    first, *_, last = str(error).strip().splitlines()
    where = first.partition(" (")[2].rstrip(")")
    return (
        f"a node of the Ray cluster cannot train ({where}): {last}. Each node needs the same versions of "
        "ablation and TensorFlow as this machine."
    )
