"""Saving a trained model so that others can use it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.data.datasets import Dataset
from ablation.grid.study import SaveModels
from ablation.grid.trial import Trial
from ablation.operating_system import move
from ablation.training.checkpoint import copy_state
from ablation.training.compilation import compiled_model

if TYPE_CHECKING:
    import keras

MODEL, NORMALISATION = "model.keras", "normalisation.json"


def save_trained_model(
    trial: Trial, dataset: Dataset, trained: keras.Model, folder: Path, save_models: SaveModels
) -> dict[str, Any]:
    """Save a model that was trained for a trial; one that Keras cannot save costs no result.

    It is written as ``model.keras``, with ``normalisation.json`` beside it: the ``scale`` and ``offset`` of
    each channel. The model was trained on ``images * scale + offset``.

    Args:
        trial: The trial, for which the model is built once more, so that its layers name its seeds.
        dataset: The trial's images, with their normalisation.
        trained: The compiled model with the state that is saved.
        folder: The folder that the files go to.
        save_models: Whether to save it; ``raw`` for a model that takes the images as they are, and
            normalises them itself.

    Returns:
        ``model`` or ``unsaved``, as in `TrialResult`; neither if nothing is to be saved.
    """
    if not save_models:
        return {}
    takes_raw = save_models == "raw"
    partial = folder / f"partial-{MODEL}"  # Keras writes to no file without the suffix .keras
    try:
        model = compiled_model(trial, dataset)
        copy_state(trained, model)
        (_with_normalisation(model, dataset) if takes_raw else model).save(partial)
        move(partial, folder / MODEL)
    except Exception as error:  # of a layer of the user's, of which Keras cannot tell how to make it again
        partial.unlink(missing_ok=True)
        return {"unsaved": f"{type(error).__name__}: {_first_sentence(str(error))}"}
    normalisation = {"scale": dataset.scale.ravel().tolist(), "offset": dataset.offset.ravel().tolist()}
    (folder / NORMALISATION).write_text(json.dumps(normalisation | {"in_model": takes_raw}) + "\n", "utf-8")
    return {"model": "raw" if takes_raw else "normalised"}


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split()))[0][:300].removesuffix(".")


def _with_normalisation(model: keras.Model, dataset: Dataset) -> keras.Model:
    """Return a model that takes raw images, normalises them, and passes them on."""
    import keras

    images = keras.Input(dataset.image_shape, name="raw_images")
    scale, offset = (tuple(values.ravel().tolist()) for values in (dataset.scale, dataset.offset))
    normalised = keras.layers.Rescaling(scale, offset, dtype="float32", name="normalisation")(images)
    return keras.Model(images, model(normalised), name="raw")
