"""The child process: trials in by standard input, progress and results out by standard output.

Started as ``python -m ablation.worker DATASET THREADS``. Each line in is a task, each line out an event,
both JSON. Only events reach standard output: whatever else prints is sent to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ablation.trial import EpochRecord, Trial, TrialResult
from ablation.user_code import in_a_line


def main() -> None:
    """Run trials until standard input closes; then, or when the parent is gone, exit at once."""
    started = time.perf_counter()
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()

    start_tensorflow(int(sys.argv[2]))
    from ablation.datasets import Dataset

    dataset = Dataset.load(Path(sys.argv[1]))
    start = {"start": time.perf_counter() - started}
    while True:
        task = json.loads(tasks.get())
        _send(events, {"started": True})
        trial = Trial.model_validate(task["trial"])

        def report(record: EpochRecord) -> None:
            _send(events, {"epoch": record.model_dump(mode="json")})

        result = attempt(trial, dataset, Path(task["folder"]), task["save_model"], report)
        timing = start | result.timing  # the first trial pays for the process
        start = {}
        _send(events, {"result": result.model_copy(update={"timing": timing}).model_dump(mode="json")})


def start_tensorflow(threads: int) -> None:
    """Import TensorFlow and give it its threads; must come before its first operation in this process."""
    gc.disable()  # looking for garbage would take a quarter of the time that the import takes
    with _absent("sklearn", "matplotlib", "IPython"):  # so would these, which Keras imports if it can
        from ablation.training import configure_tensorflow

        configure_tensorflow(threads)
    gc.freeze()  # what was imported stays: no collection need look at it
    gc.enable()


@contextmanager
def _absent(*modules: str) -> Iterator[None]:
    """Let modules that are not imported yet look as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import of it fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def attempt(trial: Trial, dataset: Any, folder: Path, save_model: bool, report: Any) -> TrialResult:
    """Run a trial; turn an exception into a failed result with its traceback in ``error.txt``."""
    from ablation.provenance import worker_provenance
    from ablation.training import run_trial

    started = time.perf_counter()
    try:
        return run_trial(trial, dataset, folder, save_model, report)
    except Exception as error:
        traceback.print_exc()
        seconds = time.perf_counter() - started
        return failed(trial, folder, error, seconds, worker_provenance(trial.threads))


def failed(
    trial: Trial, folder: Path, error: Exception, seconds: float, provenance: dict[str, str]
) -> TrialResult:
    """Return the result of a trial that an exception ended, and leave its traceback in ``error.txt``."""
    with suppress(OSError):  # a full disk may be what this is about
        (folder / "error.txt").write_text("".join(traceback.format_exception(error)), "utf-8")
    return TrialResult(
        trial_id=trial.id, status="failed", cause=_cause(error), seconds=seconds, provenance=provenance
    )


def _cause(error: Exception) -> str:
    """Put an exception into a line; one about memory says what needs less of it."""
    reason = in_a_line(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"out of memory; a smaller batch_size, width or --workers needs less ({reason})"
    return reason


def _read_tasks(tasks: queue.Queue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)  # the parent has closed the pipe, or is dead: nobody waits for this trial any more


def _send(events: Any, event: dict[str, Any]) -> None:
    events.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
