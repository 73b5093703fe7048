"""The whole state of a running trial in one file, so that it can go on where it was, to the bit."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
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
_PAUSE = 50  # saving takes at most a fiftieth of the time


@dataclass
class TrainingState:
    """What training has come to, beside the model's and the optimizer's variables.

    Batch orders need no state, for they are a function of seed and epoch, and neither does early stopping,
    which is a function of the history.

    Attributes:
        history: An entry an epoch.
        best_weights: Those of the best epoch; empty where nobody will ask for them.
        seconds: Time spent before this process took over.
    """

    history: list[EpochRecord] = field(default_factory=list)
    best_weights: list[NDArray[Any]] = field(default_factory=list)
    seconds: float = 0.0


def state_of(model: keras.Model) -> list[Any]:
    """Return all variables of a compiled model: weights, optimizer, random generators."""
    return [*model.variables, *model.optimizer.variables]


def copy_state(source: keras.Model, target: keras.Model) -> None:
    """Give a model the state of another one that was built from the same settings."""
    for old, new in zip(state_of(target), state_of(source), strict=True):
        old.assign(new)


class Checkpoint:
    """A model's checkpoint file: weights, optimizer, random generators, and the training state.

    Args:
        folder: The folder of the running trial.
        model: A compiled model whose optimizer is built.
        provenance: What made the numbers; a checkpoint made otherwise is not taken up.
    """

    def __init__(self, folder: Path, model: keras.Model, provenance: Mapping[str, str]) -> None:
        self._file = folder / CHECKPOINT
        self._variables = state_of(model)
        self._provenance = dict(provenance)
        self._next = 0.0

    def save_if_due(self, state: TrainingState, seconds: float) -> None:
        """Write the file, unless the last one is too fresh to be worth it."""
        if time.perf_counter() >= self._next:
            self.save(state, seconds)

    def save(self, state: TrainingState, seconds: float) -> None:
        """Write the file, whole or not at all.

        A disk that is full or gone is no reason to stop here: the trial's result will tell of it.
        """
        started = time.perf_counter()
        about = {
            "history": [json.loads(record.model_dump_json()) for record in state.history],
            "seconds": seconds,
            "provenance": self._provenance,
        }
        arrays = {f"variable{i}": variable.numpy() for i, variable in enumerate(self._variables)}
        arrays |= {f"best{i}": weights for i, weights in enumerate(state.best_weights)}
        try:
            with atomic_writer(self._file, durable=True) as stream:
                np.savez(stream, about=np.array(json.dumps(about)), **arrays)
        except OSError as error:
            print(f"no checkpoint was saved: {error}", file=sys.stderr)
        ended = time.perf_counter()
        self._next = ended + _PAUSE * (ended - started)

    def restore(self) -> TrainingState:
        """Put the variables back as they were; return the state, a new one where there is no checkpoint."""
        try:
            with np.load(self._file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                variables = [stored[f"variable{i}"] for i in range(len(self._variables))]
                best = [stored[f"best{i}"] for i in range(len(stored.files) - 1 - len(variables))]
            history = [EpochRecord.model_validate(record) for record in about["history"]]
            if about["provenance"] != self._provenance:
                return TrainingState()
        except Exception:  # absent, damaged, or another version's: training starts anew
            return TrainingState()
        for variable, value in zip(self._variables, variables, strict=True):
            variable.assign(value)
        return TrainingState(history, best, float(about["seconds"]))

    def discard(self) -> None:
        """Remove the file: the trial has ended."""
        self._file.unlink(missing_ok=True)
