"""Keras callbacks for the compiled loop, called around training, each of its epochs, and its measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.errors import AblationError
from ablation.grid.settings import TrainingSettings
from ablation.grid.trial import EpochRecord
from ablation.training.callback_folder import callback_in
from ablation.training.traced_settings import changed_setting, traced_settings

if TYPE_CHECKING:
    import keras


class Callbacks:
    """The callbacks of a trial, attached to its model and called where Keras's `fit` would call them.

    Args:
        training: The training settings of the trial.
        model: The model that is trained.
        images: The number of training images.
        folder: The trial's folder, in which they write their files.
    """

    def __init__(self, training: TrainingSettings, model: keras.Model, images: int, folder: Path) -> None:
        import keras

        self._model = model
        self._traced = traced_settings(model) if training.callbacks else {}
        self._names = [component.name for component in training.callbacks]
        self._callbacks = keras.callbacks.CallbackList(
            [callback_in(folder, component) for component in training.callbacks],
            model=model,
            epochs=training.epochs,
            steps=math.ceil(images / training.batch_size),
            verbose=0,
        ).callbacks
        self._logs: dict[str, float] = {}

    def train_begin(self) -> None:
        """Announce that training begins."""
        self._call("on_train_begin", {})

    def train_end(self) -> None:
        """Announce that training has ended."""
        self._call("on_train_end", self._logs)

    def epoch_begin(self, epoch: int) -> None:
        """Announce an epoch by its number, from 1."""
        self._call("on_epoch_begin", {}, epoch - 1)

    def epoch_end(self, record: EpochRecord) -> None:
        """Announce that an epoch has ended, with its record."""
        self._logs = logs(record)
        self._call("on_epoch_end", self._logs, record.epoch - 1)

    @contextmanager
    def testing(self) -> Iterator[None]:
        """Announce the beginning and the end of the measurements after an epoch."""
        self._call("on_test_begin", {})
        yield
        self._call("on_test_end", {})

    def _call(self, hook: str, logs: dict[str, float], *epoch: int) -> None:
        """Call a method of each callback.

        Raises:
            AblationError: A callback changed what the graphs have read already.
        """
        for name, callback in zip(self._names, self._callbacks, strict=True):
            getattr(callback, hook)(*epoch, dict(logs))  # by position, as Keras does
            if changed := changed_setting(self._traced, traced_settings(self._model)):
                raise AblationError(
                    f"the callback {name} changed {changed}, which has no effect: the steps of an epoch were "
                    "compiled before. Build the model as it is to be trained, or let the model read a "
                    "keras.Variable, as the learning rate is, and change its value."
                )


def logs(record: EpochRecord) -> dict[str, float]:
    """Return the logs that Keras would pass to callbacks after an epoch.

    As from Keras, both losses contain the penalties. The further metrics of training are measured after the
    epoch, and not as running means during it.
    """
    known = {"loss": record.loss, "accuracy": record.accuracy}
    known |= {"val_loss": record.val_loss + record.penalty, "val_accuracy": record.val_accuracy}
    return known | {name.removeprefix("train_"): value for name, value in record.extra.items()}
