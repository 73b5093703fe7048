"""The worker process: it reads trials from standard input and writes what happens to standard output.

It is started as ``python -m ablation.training.worker DATASET THREADS ENGINE``. Each line that it reads is a
group of tasks, and each line that it writes is an event, both as JSON. With TensorFlow, a group is one task;
with JAX, it is seeds of one variant, which are trained together. Only events reach standard output: whatever
other code prints goes to standard error. Only this module reads standard input: other code finds it empty.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ablation.data.datasets import Dataset
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.operating_system import call_in_forked_child
from ablation.tensorflow_setup import start_jax, start_tensorflow
from ablation.training.fused.attempt import attempts
from ablation.training.fused.lane import SeedTask


def main() -> None:
    """Run trials until standard input closes, because the parent closed it or died; then exit at once."""
    started = time.perf_counter()
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # Else a child that outlives this process would hold the pipe open.
    call_in_forked_child(lambda: os.dup2(2, events.fileno()))
    lines = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # on Windows, scipy's import waits for whoever reads it
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_tasks, args=(lines, tasks), daemon=True).start()

    file, threads, engine = sys.argv[1:]
    if engine == "jax":
        start_jax(int(threads))
    else:
        start_tensorflow(int(threads))
    dataset = Dataset.load(Path(file))
    start = {"start": time.perf_counter() - started}
    while True:
        group = json.loads(tasks.get())
        _send(events, {"started": True})
        for result in _results(group, dataset, events):
            timing = start | result.timing  # the first trial pays for the process
            start = {}
            result = result.model_copy(update={"timing": timing})
            _send(events, {"trial": result.trial_id, "result": result.model_dump(mode="json")})


def _results(group: dict[str, Any], dataset: Dataset, events: Any) -> Iterator[TrialResult]:
    """Train the tasks of a group; yield the result of each one as it ends."""

    def seed_of(task: dict[str, Any]) -> SeedTask:
        trial = Trial.model_validate(task["trial"])

        def report(record: EpochRecord) -> None:
            _send(events, {"trial": trial.id, "epoch": record.model_dump(mode="json")})

        return SeedTask(trial, Path(task["folder"]), task["save_model"], report)

    return attempts([seed_of(task) for task in group["tasks"]], dataset, group["fewer_because"])


def _read_tasks(lines: Iterable[str], tasks: queue.Queue[str]) -> None:
    for line in lines:
        tasks.put(line)
    os._exit(0)  # the parent has closed the pipe or is dead, so that nothing waits for this trial any more


def _send(events: Any, event: dict[str, Any]) -> None:
    events.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main()
