"""A worker process, which is started when it is needed, and replaced when it dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Protocol

from ablation.grid.study import Engine
from ablation.operating_system import describe_exit, group_of_its_own, kill_group

LONGEST_START = 600.0
"""Seconds until a process must have begun its first trial; importing TensorFlow may take a minute."""


class Conversation(Protocol):
    """What a worker process is told to do, and what it says."""

    is_overdue: bool

    @property
    def unfinished(self) -> list[Any]:
        """The tasks that have no result yet."""

    @property
    def timeout(self) -> float | None:
        """The seconds after which the process is killed."""

    def task_lines(self) -> list[dict[str, object]]:
        """Return what the worker is to know of each task."""

    def heard(self, event: dict[str, Any]) -> None:
        """Pass on what the worker says of a trial."""


class WorkerProcess:
    """A process of `ablation.training.worker`.

    Args:
        dataset_file: The file that holds the images.
        threads: The number of threads per trial.
        engine: What trains the models.
        gpu: The GPU that the process may use, as CUDA numbers it; empty for none.
        log: The file for its error output.
    """

    def __init__(self, dataset_file: Path, threads: int, engine: Engine, gpu: str, log: Path) -> None:
        worker = ("-P", "-m", "ablation.training.worker")
        self._command = [sys.executable, *worker, str(dataset_file), str(threads), engine]
        self._environment = os.environ | {
            "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": gpu or "-1",
        }  # fmt: skip
        self.log = log
        self._process: subprocess.Popen[str] | None = None
        self.is_stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Kill the process; no other is started afterwards."""
        with self._lock:
            self.is_stopped = True
            if self._process is not None:
                kill_group(self._process)
                self._process.wait()

    def converse(self, conversation: Conversation, fewer_because: str) -> str:
        """Hand over tasks and wait for their results; say how the process died if it did so first.

        Args:
            conversation: The tasks, and where events go. It is overdue if the process was killed because of
                their timeout.
            fewer_because: Why there are not more seeds at once, if more were tried.

        Raises:
            OSError: No process can be started.
        """
        process = self._living()
        if process is None:
            return ""
        is_frozen = self._talk(process, conversation, fewer_because)
        if not conversation.unfinished:
            return ""
        kill_group(process)
        code = process.wait()
        return f"because it began no trial in {LONGEST_START:g} s" if is_frozen else describe_exit(code)

    def _talk(self, process: subprocess.Popen[str], conversation: Conversation, fewer_because: str) -> bool:
        """Talk with a process until all tasks have a result, or it dies; return whether it was frozen."""
        starting, training = _Clock(process), _Clock(process)
        assert process.stdin is not None
        assert process.stdout is not None
        line = {"tasks": conversation.task_lines(), "fewer_because": fewer_because}
        starting.set(LONGEST_START)
        try:
            process.stdin.write(json.dumps(line) + "\n")
            for answer in process.stdout:
                event = json.loads(answer)
                if "trial" in event:
                    conversation.heard(event)
                else:  # the trials have started, the engine is imported
                    starting.stop()
                    training.set(conversation.timeout)
                if not conversation.unfinished:
                    break
        except (OSError, json.JSONDecodeError):  # the process died, perhaps in the middle of a line
            pass
        finally:
            starting.stop()
            training.stop()
            conversation.is_overdue = training.has_struck
        return starting.has_struck

    def _living(self) -> subprocess.Popen[str] | None:
        """Return the process, a new one if it does not live; None once it is stopped."""
        with self._lock:
            if self.is_stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                with self.log.open("a") as log:
                    self._process = subprocess.Popen(
                        self._command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                        bufsize=1,
                        env=self._environment,
                        **group_of_its_own(),  # Ctrl-C reaches only the parent, which ends its workers
                    )
            return self._process


class _Clock:
    """Kills a process that takes longer than it may.

    Attributes:
        has_struck: Whether it did.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.has_struck = False
        self._process = process
        self._timer = threading.Timer(0, self._strike)

    def set(self, seconds: float | None) -> None:
        """Start the clock; without a number of seconds, it never strikes."""
        if seconds is not None:
            self._timer = threading.Timer(seconds, self._strike)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Stop the clock."""
        self._timer.cancel()

    def _strike(self) -> None:
        self.has_struck = True
        kill_group(self._process)
