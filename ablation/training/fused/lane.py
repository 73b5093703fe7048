"""A seed that is trained beside others: its trial, its model and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.grid.study import SaveModels
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.user_code import code_files_read
from ablation.grid.user_files import read_digests
from ablation.models.structure import structure_digest
from ablation.training.callbacks import Callbacks
from ablation.training.checkpoint import Checkpoint, TrainingState
from ablation.training.compilation import compiled_model
from ablation.training.epochs import OnEpoch, best_epoch, built_from, described, has_stalled
from ablation.training.provenance import numeric

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class SeedTask:
    """What to train in a lane.

    Attributes:
        trial: The trial.
        folder: The folder where its files go; training resumes from a checkpoint in it.
        save_model: Whether to leave the trained model; see `save_trained_model`.
        on_epoch: Called with the record of each epoch as the epoch ends.
    """

    trial: Trial
    folder: Path
    save_model: SaveModels
    on_epoch: OnEpoch


@dataclass
class Lane:
    """A seed with its model.

    Attributes:
        seed: What is trained.
        number: Its place among the seeds of the program.
        dataset: Its images.
        model: Its compiled model. The program has the current state; the model has it when it was pulled.
        structure: A hash of the model's structure.
        built: What the result says of the model.
        files: Hashes of the files that the user's code read.
        checkpoint: Its checkpoint file.
        state: Its training state.
        callbacks: Its callbacks.
        trouble: Why its training cannot go on; empty if nothing is wrong.
    """

    seed: SeedTask
    number: int
    dataset: Dataset
    model: keras.Model
    structure: str
    built: dict[str, Any]
    files: Mapping[str, str]
    checkpoint: Checkpoint
    state: TrainingState
    callbacks: Callbacks
    trouble: str = ""

    @classmethod
    def build(
        cls, seed: SeedTask, number: int, lanes: int, dataset: Dataset, provenance: Mapping[str, str]
    ) -> Lane:
        """Build a seed's model, in its initial state or in that of its checkpoint.

        Args:
            seed: What is trained.
            number: Its place among the seeds of the program.
            lanes: The number of seeds of the program, to which a checkpoint belongs: with another number of
                seeds at once, sums are rounded differently.
            dataset: The study's images.
            provenance: The environment of this process.
        """
        import keras

        trial, own = seed.trial, dataset.of(seed.trial)
        keras.utils.clear_session()  # Keras remembers every model that was built
        with code_files_read(trial.code_folder) as read:
            model = compiled_model(trial, own)
        files, structure = read_digests(read, trial.code_folder), structure_digest(model)
        built = described(model) | {"structure": structure, "files": files}
        valid_for = numeric(provenance) | built_from(structure, files) | {"lanes": str(lanes)}
        checkpoint = Checkpoint(seed.folder, model, valid_for)
        state = checkpoint.restore()
        callbacks = Callbacks(trial.training, model, len(own.train), seed.folder)
        return cls(seed, number, own, model, structure, built, files, checkpoint, state, callbacks)

    @property
    def has_ended(self) -> bool:
        """Whether it is not trained any more: it has trained all epochs, stopped early, or diverged."""
        training, history = self.seed.trial.training, self.state.history
        stopping = training.early_stopping
        return bool(
            self.trouble
            or len(history) >= training.epochs
            or (stopping and has_stalled(history, stopping))
            or (history and self.model.stop_training)
        )

    @property
    def next_order(self) -> NDArray[np.int32]:
        """The order in which its next epoch visits the training images, of shape (images,)."""
        epoch = len(self.state.history) + 1
        return self.seed.trial.randomness.batch_order(epoch, len(self.dataset.train))

    def result(self, **measured: Any) -> TrialResult:
        """Return the trial's result.

        Args:
            measured: The fields of the result that are not known to the lane.
        """
        return TrialResult(
            trial_id=self.seed.trial.id,
            status="diverged" if self.trouble else "completed",
            history=tuple(self.state.history),
            best_epoch=best_epoch(self.state.history),
            cause=self.trouble,
            **self.built,
            **measured,
        )
