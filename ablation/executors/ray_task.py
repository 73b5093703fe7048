"""The part of the Ray executor that runs on a node: it trains one trial and yields what happens."""

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
from ablation.files import files_below
from ablation.grid.study import SaveModels
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.tensorflow_setup import start_tensorflow
from ablation.training.attempt import attempt
from ablation.training.checkpoint import CHECKPOINT

# Of checkpoints, from each running trial: hundreds of trials share the driver's network.
_BYTES_A_SECOND = 2**20


@dataclass(frozen=True)
class Saved:
    """The content of a running trial's checkpoint file."""

    content: bytes


@dataclass(frozen=True)
class Ended:
    """The result of a trial, and the content of the files that it leaves, by name."""

    result: TrialResult
    files: dict[str, bytes]


# None says that the trial has started, so that TensorFlow is imported.
Event = EpochRecord | Saved | Ended | None


def train(
    trial_id: str,
    settings: dict[str, Any],
    dataset: Dataset,
    threads: int,
    save_model: SaveModels,
    checkpoint: bytes | None,
) -> Iterator[Event]:
    """Run a trial in a folder of this node, and yield what happens.

    Args:
        trial_id: The trial's id on the machine that planned it.
        settings: The trial, as JSON.
        dataset: The dataset to train it on, from this node's memory.
        threads: The number of threads of TensorFlow.
        save_model: Whether to keep the trained model; see `Task`.
        checkpoint: The checkpoint file of an earlier attempt, if there is one.

    Raises:
        RuntimeError: The version of ablation on this node would train a different trial.
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
                files = {name: file.read_bytes() for name, file in files_below(folder).items()}
                events.put(Ended(result, files))
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
    """Import TensorFlow and set its threads, once per process.

    Returns:
        ``start``, the seconds that it took; empty if TensorFlow had been started before.
    """
    global _started
    if _started:
        return {}
    began = time.perf_counter()
    start_tensorflow(threads)
    _started = True
    return {"start": time.perf_counter() - began}


def _changes(file: Path) -> Callable[[], bytes | None]:
    """Return a function that returns the file's content if it is new and due to be sent, and else None."""
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
