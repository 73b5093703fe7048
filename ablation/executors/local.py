"""Trials in worker processes on this machine, which are kept from one trial to the next."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ablation.errors import RunError, writing
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.executors.engine import seeds_at_once
from ablation.executors.task_queue import TaskQueue
from ablation.executors.worker_process import WorkerProcess
from ablation.grid.study import Engine
from ablation.grid.trial import EpochRecord, TrialResult
from ablation.training.attempt import OUT_OF_MEMORY

_ATTEMPTS = 2  # a trial whose worker dies is tried once more

_Event = tuple[Task, EpochRecord | TrialResult | None]
_Events = queue.SimpleQueue[_Event | BaseException]


class LocalExecutor:
    """Runs tasks in worker processes, each of them tended by a thread of this process.

    A trial for which memory was lacking is tried once more at the end, with no other beside it.

    Args:
        workers: The number of worker processes.
        log_folder: The folder for the error output of each worker.
        keep: Whether to keep the processes for the next `run`, until `close`.
        engine: What trains the models; with JAX, a worker trains the seeds of a variant together.
        gpus: The GPUs to use, as CUDA numbers them; each worker gets one of them.
    """

    def __init__(
        self,
        workers: int,
        log_folder: Path,
        keep: bool = False,
        engine: Engine = "tensorflow",
        gpus: Sequence[str] = (),
    ) -> None:
        self._workers = workers
        self._log_folder = log_folder
        self._keep = keep
        self._engine: Engine = engine
        self._gpus = gpus
        self._idle_workers: dict[tuple[Path, int], list[_Worker]] = {}

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        if not tasks:
            return
        task_queue = TaskQueue(tasks, seeds_at_once(self._engine, len(tasks), self._workers))
        events: _Events = queue.SimpleQueue()
        with writing(self._log_folder):
            self._log_folder.mkdir(parents=True, exist_ok=True)
        workers = self._idle_workers.pop((dataset_file, threads), [])
        for k in range(len(workers), min(self._workers, len(tasks))):
            log = self._log_folder / f"worker-{k}.log"
            gpu = self._gpus[k % len(self._gpus)] if self._gpus else ""
            process = WorkerProcess(dataset_file, threads, self._engine, gpu, log)
            workers.append(_Worker(process, self._keep))
        for worker in workers:
            threading.Thread(target=worker.tend, args=(task_queue, events), daemon=True).start()
        unfinished, lacked_memory = len(tasks), []
        try:
            while unfinished:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                task, outcome = event
                if isinstance(outcome, TrialResult):
                    unfinished -= 1
                    if len(workers) > 1 and outcome.cause.startswith(OUT_OF_MEMORY):
                        lacked_memory.append(task)
                    else:
                        yield task, outcome
                else:
                    on_progress(Progress(task.trial, outcome))
            if self._keep:
                self._idle_workers[dataset_file, threads], workers = workers, []
        finally:
            for worker in workers:
                worker.stop()
        if lacked_memory:
            alone = LocalExecutor(1, self._log_folder, False, self._engine, self._gpus)
            yield from alone.run(lacked_memory, dataset_file, threads, on_progress)

    def close(self) -> None:
        """See `Executor.close`."""
        for workers in self._idle_workers.values():
            for worker in workers:
                worker.stop()
        self._idle_workers.clear()


class _Worker:
    """Tends a worker process: hands over groups of tasks, and passes on what happens to them."""

    def __init__(self, process: WorkerProcess, keep: bool) -> None:
        self._process = process
        self._keep = keep

    def tend(self, task_queue: TaskQueue, events: _Events) -> None:
        """Run groups of tasks until none is waiting, and put everything that happens into ``events``."""
        group: list[Task] = []
        try:
            while not self._process.is_stopped and (group := task_queue.next_group(group)):
                self._run(group, events)
        except OSError as error:
            events.put(RunError(f"a worker process cannot be started: {error}."))
        except BaseException as error:
            events.put(error)
        finally:
            if not self._keep:
                self.stop()

    def stop(self) -> None:
        """Kill the process; no other is started afterwards."""
        self._process.stop()

    def _run(self, group: list[Task], events: _Events, fewer_because: str = "") -> None:
        """Run tasks; if the process dies, run what is left in halves, and a single task once more."""
        ending = ""
        for _ in range(_ATTEMPTS):
            for task in group:
                events.put((task, None))
            conversation = _Conversation(group, events)
            ending = self._process.converse(conversation, fewer_because)
            left = conversation.unfinished
            if not left or self._process.is_stopped:
                return
            if conversation.is_overdue:
                for task in left:
                    events.put((task, task.timed_out(conversation.histories[task.trial.id])))
                return
            if len(left) > 1:
                half, because = (len(left) + 1) // 2, f"the process of {len(group)} at once died {ending}"
                self._run(left[:half], events, fewer_because or because)
                self._run(left[half:], events, fewer_because or because)
                return
            group = left
        log = self._process.log
        cause = f"the worker process died {_ATTEMPTS} times, the last time {ending}; see {log}"
        events.put((group[0], TrialResult(trial_id=group[0].trial.id, status="failed", cause=cause)))


class _Conversation:
    """What a worker process has said of a group of tasks."""

    def __init__(self, group: Sequence[Task], events: _Events) -> None:
        self.histories: dict[str, list[EpochRecord]] = {task.trial.id: [] for task in group}
        self.is_overdue = False
        self._tasks = {task.trial.id: task for task in group}
        self._unfinished = dict(self._tasks)
        self._events = events

    @property
    def unfinished(self) -> list[Task]:
        """The tasks that have no result yet."""
        return list(self._unfinished.values())

    @property
    def timeout(self) -> float | None:
        """The seconds after which the group is stopped: a trial's own, as often as there are trials."""
        timeouts = [task.timeout for task in self._tasks.values() if task.timeout is not None]
        return sum(timeouts) or None

    def task_lines(self) -> list[dict[str, object]]:
        """Return what the worker is to know of each task."""
        return [
            {
                "trial": task.trial.model_dump(mode="json"),
                "folder": str(task.folder.absolute()),  # code of a user may leave the working folder
                "save_model": task.save_model,
            }
            for task in self._tasks.values()
        ]

    def heard(self, event: dict[str, Any]) -> None:
        """Pass on what the worker says of a trial."""
        task = self._tasks[event["trial"]]
        if "epoch" in event:
            record = EpochRecord.model_validate(event["epoch"])
            self.histories[task.trial.id].append(record)
            self._events.put((task, record))
        else:
            self._events.put((task, TrialResult.model_validate(event["result"])))
            del self._unfinished[task.trial.id]
