"""Keras callbacks around the compiled loop: around training, and around each of its epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ablation.grid.keras_names import make
from ablation.grid.settings import TrainingSettings
from ablation.grid.trial import EpochRecord

if TYPE_CHECKING:
    import keras


def callback_list(training: TrainingSettings, model: keras.Model, images: int) -> Any:
    """Return the callbacks of a trial as one, which knows the model.

    Args:
        training: The trial's settings.
        model: What is trained.
        images: How many training images there are.
    """
    import keras

    return keras.callbacks.CallbackList(
        [make("callbacks", component) for component in training.callbacks],
        model=model,
        epochs=training.epochs,
        steps=math.ceil(images / training.batch_size),
        verbose=0,
    )


def logs(record: EpochRecord) -> dict[str, float]:
    """Return what Keras would log of an epoch; further metrics of training are measured after the epoch."""
    known = {"loss": record.loss, "accuracy": record.accuracy}
    known |= {"val_loss": record.val_loss, "val_accuracy": record.val_accuracy}
    return known | {name.removeprefix("train_"): value for name, value in record.extra.items()}
