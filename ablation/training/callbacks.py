"""Keras callbacks for the compiled loop, called around training and around each of its epochs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.grid.settings import TrainingSettings
from ablation.grid.trial import EpochRecord
from ablation.training.callback_folder import callback_in

if TYPE_CHECKING:
    import keras


def callback_list(training: TrainingSettings, model: keras.Model, images: int, folder: Path) -> Any:
    """Return the callbacks of a trial as one `keras.callbacks.CallbackList`, attached to the model.

    Args:
        training: The training settings of the trial.
        model: The model that is trained.
        images: The number of training images.
        folder: The trial's folder, in which they write their files.
    """
    import keras

    return keras.callbacks.CallbackList(
        [callback_in(folder, component) for component in training.callbacks],
        model=model,
        epochs=training.epochs,
        steps=math.ceil(images / training.batch_size),
        verbose=0,
    )


def logs(record: EpochRecord) -> dict[str, float]:
    """Return the logs that Keras would pass to callbacks after an epoch.

    The further metrics of training are measured after the epoch, and not as running means during it.
    """
    known = {"loss": record.loss, "accuracy": record.accuracy}
    known |= {"val_loss": record.val_loss, "val_accuracy": record.val_accuracy}
    return known | {name.removeprefix("train_"): value for name, value in record.extra.items()}
