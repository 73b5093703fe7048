"""Trials in worker processes on this machine, which are kept from one trial to the next."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from ablation.errors import RunError, writing
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.executors.task_queue import TaskQueue
from ablation.grid.trial import EpochRecord, TrialResult

_ATTEMPTS = 2  # a trial whose worker dies is tried once more

_Event = tuple[Task, EpochRecord | TrialResult | None]


class LocalExecutor:
    """Runs tasks in worker processes, each of them tended by a thread of this process.

    Args:
        workers: The number of worker processes.
        log_folder: The folder for the error output of each worker.
        keep: Whether to keep the processes for the next `run`, until `close`.
    """

    def __init__(self, workers: int, log_folder: Path, keep: bool = False) -> None:
        self._workers = workers
        self._log_folder = log_folder
        self._keep = keep
        self._idle_workers: dict[tuple[Path, int], list[_Worker]] = {}

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `Executor.run`."""
        if not tasks:
            return
        task_queue = TaskQueue(tasks)
        events: queue.SimpleQueue[_Event | BaseException] = queue.SimpleQueue()
        with writing(self._log_folder):
            self._log_folder.mkdir(parents=True, exist_ok=True)
        workers = self._idle_workers.pop((dataset_file, threads), [])
        for k in range(len(workers), min(self._workers, len(tasks))):
            log = self._log_folder / f"worker-{k}.log"
            workers.append(_Worker(dataset_file, threads, log, self._keep))
        for worker in workers:
            threading.Thread(target=worker.tend, args=(task_queue, events), daemon=True).start()
        unfinished = len(tasks)
        try:
            while unfinished:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                task, outcome = event
                if isinstance(outcome, TrialResult):
                    unfinished -= 1
                    yield task, outcome
                else:
                    on_progress(Progress(task.trial, outcome))
            if self._keep:
                self._idle_workers[dataset_file, threads], workers = workers, []
        finally:
            for worker in workers:
                worker.stop()

    def close(self) -> None:
        """See `Executor.close`."""
        for workers in self._idle_workers.values():
            for worker in workers:
                worker.stop()
        self._idle_workers.clear()


class _Worker:
    """A worker process, which is replaced when it dies."""

    def __init__(self, dataset_file: Path, threads: int, log: Path, keep: bool) -> None:
        self._command = [
            sys.executable,
            "-P",
            "-m",
            "ablation.training.worker",
            str(dataset_file),
            str(threads),
        ]
        self._threads = threads
        self._log = log
        self._keep = keep
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def tend(self, task_queue: TaskQueue, events: queue.SimpleQueue[_Event | BaseException]) -> None:
        """Run tasks until none is waiting, and put everything that happens into ``events``."""
        task = None
        try:
            while not self._stopped and (task := task_queue.next(task)):
                result = self._run(task, events)
                if not self._stopped:
                    events.put((task, result))
        except OSError as error:
            events.put(RunError(f"a worker process cannot be started: {error}."))
        except BaseException as error:
            events.put(error)
        finally:
            if not self._keep:
                self.stop()

    def stop(self) -> None:
        """Kill the process; no other is started afterwards."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)
                self._process.wait()

    def _run(self, task: Task, events: queue.SimpleQueue[_Event | BaseException]) -> TrialResult:
        ending = ""
        for _ in range(_ATTEMPTS):
            events.put((task, None))
            process = self._living_process()
            if process is None:
                break
            history: list[EpochRecord] = []
            overdue = threading.Event()
            result = self._converse(process, task, events, history, overdue)
            if result is not None:
                return result
            _kill(process)
            if overdue.is_set():
                return task.timed_out(history)
            ending = _describe_exit(process.wait())
            if self._stopped:
                break
        cause = f"the worker process died {_ATTEMPTS} times, the last time {ending}; see {self._log}"
        return TrialResult(trial_id=task.trial.id, status="failed", cause=cause)

    def _living_process(self) -> subprocess.Popen[str] | None:
        """Return the process, a new one if it does not live; None once the worker is stopped."""
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                with self._log.open("a") as log:
                    self._process = subprocess.Popen(
                        self._command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                        bufsize=1,
                        env=os.environ | {"OMP_NUM_THREADS": str(self._threads), "TF_CPP_MIN_LOG_LEVEL": "2"},
                        start_new_session=True,  # Ctrl-C reaches only the parent, which ends its workers
                    )
            return self._process

    def _converse(
        self,
        process: subprocess.Popen[str],
        task: Task,
        events: queue.SimpleQueue[_Event | BaseException],
        history: list[EpochRecord],
        overdue: threading.Event,
    ) -> TrialResult | None:
        """Hand over a task and wait for its result; return None if the process died first.

        Args:
            process: The worker process.
            task: The task to run.
            events: Receives each epoch as it ends.
            history: Receives each epoch as it ends, too.
            overdue: Is set if the process was killed because of the task's timeout.
        """

        def end() -> None:
            overdue.set()
            _kill(process)

        clock = threading.Timer(task.timeout or 0, end)
        assert process.stdin is not None
        assert process.stdout is not None
        line = {
            "trial": task.trial.model_dump(mode="json"),
            "folder": str(task.folder),
            "save_model": task.save_model,
        }
        try:
            process.stdin.write(json.dumps(line) + "\n")
        except OSError:
            return None
        try:
            for answer in process.stdout:
                try:
                    event = json.loads(answer)
                except ValueError:  # the process died in the middle of a line
                    return None
                if "result" in event:
                    return TrialResult.model_validate(event["result"])
                if "epoch" in event:
                    history.append(EpochRecord.model_validate(event["epoch"]))
                    events.put((task, history[-1]))
                elif task.timeout is not None:  # the trial has started, TensorFlow is imported
                    clock.start()
            return None
        finally:
            clock.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a worker, if it still lives, and the processes that a user's code started in it.

    Its end is not awaited here: until then, its process group cannot be that of another program.
    """
    if process.returncode is not None:
        return
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
        meaning = (
            " (as the system does when memory runs out: try fewer --workers)" if name == "SIGKILL" else ""
        )
        return f"killed by {name}{meaning}"
    except ValueError:
        return f"killed by signal {-code}"
