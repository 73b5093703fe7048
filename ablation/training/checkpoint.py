"""The whole state of a running trial in one file, from which training continues bit for bit."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.files import atomic_writer
from ablation.grid.trial import EpochRecord

if TYPE_CHECKING:
    import keras

CHECKPOINT = "checkpoint.npz"
_PAUSE = 50  # times as long as saving took, before the next save: saving takes at most 2% of the time


@dataclass
class TrainingState:
    """The state of training beside the variables of model and optimizer.

    Batch orders need no state, because they are a function of seed and epoch. Early stopping needs none
    either, because it is a function of the history.

    Attributes:
        history: One record per epoch.
        best_weights: The weights of the best epoch; empty where the trial does not evaluate them.
        seconds: The seconds that were spent before this process took over.
    """

    history: list[EpochRecord] = field(default_factory=list)
    best_weights: list[NDArray[Any]] = field(default_factory=list)
    seconds: float = 0.0


def state_of(model: keras.Model) -> list[Any]:
    """Return all variables of a compiled model: weights, optimizer variables and random generators."""
    return [*model.variables, *model.optimizer.variables]


def copy_state(source: keras.Model, target: keras.Model) -> None:
    """Give a model the state of another one that was built from the same settings."""
    for old, new in zip(state_of(target), state_of(source), strict=True):
        old.assign(new)


class Pause:
    """The time between two saves, so long that training waits little for them."""

    def __init__(self) -> None:
        self._ends = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time for the next save."""
        return time.perf_counter() >= self._ends

    @contextmanager
    def after(self) -> Iterator[None]:
        """Begin a pause after the saving in the block, by the time that this took."""
        started = time.perf_counter()
        yield
        ended = time.perf_counter()
        self._ends = ended + _PAUSE * (ended - started)


class Checkpoint:
    """A model's checkpoint file: weights, optimizer, random generators, and the training state.

    Args:
        folder: The folder of the running trial.
        model: A compiled model whose optimizer is built.
        provenance: The environment of this process. A checkpoint from another environment is not restored.
    """

    def __init__(self, folder: Path, model: keras.Model, provenance: Mapping[str, str]) -> None:
        self._file = folder / CHECKPOINT
        self._variables = state_of(model)
        self._weights = list(model.weights)
        self._provenance = dict(provenance)
        self._pause = Pause()

    def save_if_due(self, state: TrainingState, seconds: float) -> None:
        """Write the file, unless the last one was written too recently.

        Args:
            state: The training state.
            seconds: The seconds that the trial has taken so far.
        """
        if self._pause.is_over:
            with self._pause.after():
                self.save(state, seconds)

    def save(self, state: TrainingState, seconds: float) -> None:
        """Write the file, whole or not at all.

        A disk that is full or has vanished does not end training here; committing the result reports it.

        Args:
            state: The training state.
            seconds: The seconds that the trial has taken so far.
        """
        about = {
            "history": [json.loads(record.model_dump_json()) for record in state.history],
            "seconds": seconds,
            "provenance": self._provenance,
        }
        arrays: dict[str, Any] = {
            f"variable{i}": _stored(variable.numpy()) for i, variable in enumerate(self._variables)
        }
        arrays |= {f"best{i}": _stored(weights) for i, weights in enumerate(state.best_weights)}
        try:
            with atomic_writer(self._file, durable=True) as stream:
                np.savez(stream, about=np.array(json.dumps(about)), **arrays)
        except OSError as error:
            print(f"no checkpoint was saved: {error}", file=sys.stderr)

    def restore(self) -> TrainingState:
        """Restore the variables and return the training state; without a usable checkpoint, a new state."""
        try:
            with np.load(self._file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                variables = [_as(v, stored[f"variable{i}"]) for i, v in enumerate(self._variables)]
                best = [_as(w, stored[f"best{i}"]) for i, w in enumerate(self._weights) if "best0" in stored]
            history = [EpochRecord.model_validate(record) for record in about["history"]]
            if about["provenance"] != self._provenance:
                return TrainingState()
        except Exception:  # it is absent, damaged or of another version: training starts from scratch
            return TrainingState()
        for variable, value in zip(self._variables, variables, strict=True):
            variable.assign(value)
        return TrainingState(history, best, float(about["seconds"]))

    def discard(self) -> None:
        """Remove the file, once the trial has ended."""
        self._file.unlink(missing_ok=True)


def stored_lanes(folder: Path) -> int:
    """Return the number of seeds that were trained at once when a checkpoint was saved; 0 without one."""
    try:
        with np.load(folder / CHECKPOINT, allow_pickle=False) as stored:
            return int(json.loads(str(stored["about"]))["provenance"].get("lanes", 0))
    except Exception:  # it is absent or damaged
        return 0


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as a file can hold it; of a type that NumPy does not know, like bfloat16, the bits."""
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array


def _as(variable: Any, stored: NDArray[Any]) -> NDArray[Any]:
    """Return a stored array as a value of a variable.

    Raises:
        ValueError: It is the value of a variable of another shape or type.
    """
    like = variable.numpy()
    array = stored.view(like.dtype) if like.dtype.kind == "V" else stored
    if (array.shape, array.dtype) != (like.shape, like.dtype):
        raise ValueError(f"{stored.dtype} {stored.shape} is no value of {variable.name}")
    return array
