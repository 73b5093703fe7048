"""The part of the Ray executor that runs on a node: one trial, told of as it goes."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.data.datasets import Dataset
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.tensorflow_setup import start_tensorflow
from ablation.training.attempt import attempt
from ablation.training.checkpoint import CHECKPOINT

_BYTES_A_SECOND = (
    2**20
)  # of checkpoints, from each running trial: hundreds of them share the driver's network


@dataclass(frozen=True)
class Saved:
    """A running trial's checkpoint file."""

    content: bytes


@dataclass(frozen=True)
class Ended:
    """A trial's result, and the files that it leaves behind, by name."""

    result: TrialResult
    files: dict[str, bytes]


# None: the trial has started, TensorFlow is imported.
Event = EpochRecord | Saved | Ended | None


def train(
    trial_id: str,
    settings: dict[str, Any],
    dataset: Dataset,
    threads: int,
    save_model: bool,
    checkpoint: bytes | None,
) -> Iterator[Event]:
    """Run a trial in a folder of this node, and yield what happens.

    Args:
        trial_id: The trial's id where it was planned.
        settings: The trial, as JSON.
        dataset: What to train it on, from this node's memory.
        threads: How many TensorFlow may use.
        save_model: Whether the model is among the files that it leaves.
        checkpoint: What an earlier attempt had come to.

    Raises:
        RuntimeError: This node's ablation would train another trial of that name.
    """
    trial = Trial.model_validate(settings)
    if trial.id != trial_id:
        raise RuntimeError("the node's version of ablation would train a different trial")
    start = _start_tensorflow(threads)
    yield None
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="ablation-") as name:
        folder = Path(name)
        if checkpoint is not None:
            (folder / CHECKPOINT).write_bytes(checkpoint)
        changed = _changes(folder / CHECKPOINT)

        def report(record: EpochRecord) -> None:
            events.put(record)
            if (content := changed()) is not None:
                events.put(Saved(content))

        def work() -> None:
            try:
                result = attempt(trial, dataset, folder, save_model, report)
                result = result.model_copy(update={"timing": start | result.timing})
                events.put(Ended(result, {file.name: file.read_bytes() for file in folder.iterdir()}))
            except BaseException as error:
                events.put(error)

        threading.Thread(target=work, daemon=True).start()
        while True:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, Ended):
                return


_started = False


def _start_tensorflow(threads: int) -> dict[str, float]:
    """Import TensorFlow and set its threads, once a process; return what it took, for the first trial."""
    global _started
    if _started:
        return {}
    began = time.perf_counter()
    start_tensorflow(threads)
    _started = True
    return {"start": time.perf_counter() - began}


def _changes(file: Path) -> Callable[[], bytes | None]:
    """Return a function that returns the file's content where it is new and it is time to send it."""
    seen = file.stat().st_mtime_ns if file.exists() else 0
    allowed = 0.0

    def changed() -> bytes | None:
        nonlocal seen, allowed
        with suppress(FileNotFoundError):
            written = file.stat().st_mtime_ns
            if written != seen and time.monotonic() >= allowed:
                content = file.read_bytes()
                seen, allowed = written, time.monotonic() + len(content) / _BYTES_A_SECOND
                return content
        return None

    return changed
