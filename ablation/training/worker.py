"""The worker process: it reads trials from standard input and writes what happens to standard output.

It is started as ``python -m ablation.training.worker DATASET THREADS``. Each line that it reads is a task,
and each line that it writes is an event, both as JSON. Only events reach standard output: whatever other code
prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ablation.data.datasets import Dataset
from ablation.grid.trial import EpochRecord, Trial
from ablation.tensorflow_setup import start_tensorflow
from ablation.training.attempt import attempt


def main() -> None:
    """Run trials until standard input closes, because the parent closed it or died; then exit at once."""
    started = time.perf_counter()
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if hasattr(os, "register_at_fork"):  # else a child that outlives this process would hold the pipe open
        os.register_at_fork(after_in_child=lambda: os.dup2(2, events.fileno()))
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()

    start_tensorflow(int(sys.argv[2]))
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


def _read_tasks(tasks: queue.Queue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)  # the parent has closed the pipe or is dead, so that nothing waits for this trial any more


def _send(events: Any, event: dict[str, Any]) -> None:
    events.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
