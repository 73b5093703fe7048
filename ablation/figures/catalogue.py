"""All figures by name, and what draws them."""

from __future__ import annotations

import gc
import glob
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ablation.errors import AblationError
from ablation.figures import (
    calibration,
    confusion,
    confusion_differences,
    cost,
    disagreements,
    dose_response,
    effects,
    forest,
    gap_parts,
    interaction,
    learning_curves,
    models,
    overfitting_gap,
    per_class,
    predictions,
    ranking,
    seed_noise,
    tuning,
    variance_shift,
)
from ablation.figures.readable import BY_VARIANT, readable
from ablation.figures.saving import write
from ablation.figures.style import Drawing, DrawnPictures, look
from ablation.grid.user_code import error_summary
from ablation.plugins import plugins
from ablation.results.run import Run

FIGURES: dict[str, Callable[[Run], list[Drawing]]] = {
    "forest": forest.drawings,
    "effects": effects.drawings,
    "ranking": ranking.drawings,
    "interaction": interaction.drawings,
    "dose_response": dose_response.drawings,
    "models": models.drawings,
    "overfitting_gap": overfitting_gap.drawings,
    "gap_parts": gap_parts.drawings,
    "learning_curves": learning_curves.drawings,
    "per_class": per_class.drawings,
    "confusion": confusion.drawings,
    "confusion_differences": confusion_differences.drawings,
    "predictions": predictions.drawings,
    "disagreements": disagreements.drawings,
    "calibration": calibration.drawings,
    "cost": cost.drawings,
    "seed_noise": seed_noise.drawings,
    "variance_shift": variance_shift.drawings,
    "tuning": tuning.drawings,
}


def _drawings(name: str) -> Callable[[Run], list[Drawing]]:
    """Return what draws a figure, one of `FIGURES` or a plug-in's."""
    found: Callable[[Run], list[Drawing]] = FIGURES.get(name) or plugins("figure", FIGURES)[name].load()
    return found


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Turn garbage collection off, which saves a fifth of the time: nearly all of a million objects stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def texts_of(run: Run) -> list[str]:
    """Return the names that the figures of a run may contain."""
    study = run.study
    levels = [text for factor, labels in study.factors.items() for text in (factor, *labels)]
    return [study.name, *(variant.name for variant in study.variants), *levels, *run.dataset.class_names]


def draw(run: Run, names: Sequence[str], folder: Path) -> DrawnPictures:
    """Draw figures into a folder, and remove older files of the same figures from it.

    A figure that cannot be drawn costs only itself.
    """
    pictures, images = DrawnPictures(), f"{run.dataset.describe()}."
    shown, left_out = readable(run) if set(names).intersection(BY_VARIANT) else (run, "")
    for name in names:
        for stale in folder.glob(f"{glob.escape(name)}*"):
            if re.fullmatch(rf"{re.escape(name)}(_\d\d_.*)?\.(png|svg)", stale.name):
                stale.unlink()
        of, note = (shown, left_out) if name in BY_VARIANT else (run, "")
        try:
            with look(texts_of(of)), _no_garbage_collected():
                drawn = [replace(d, caption=f"{d.caption} {note}".rstrip()) for d in _drawings(name)(of)]
                pictures += [write(drawing, folder, name, images) for drawing in drawn]
        except (AblationError, OSError):
            raise
        except (Exception, SystemExit) as error:
            pictures.missing[name] = error_summary(error)
    return pictures
