"""The figures of a run: for each a pure ``*_data`` function, and a ``draw`` function that only draws."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ablation.errors import RunError, did_you_mean
from ablation.executors.local import available_cores
from ablation.figures import (
    calibration,
    confusion,
    confusion_differences,
    cost,
    disagreements,
    forest,
    gap_parts,
    interaction,
    learning_curves,
    overfitting_gap,
    per_class,
    predictions,
    seed_noise,
    variance_shift,
)
from ablation.figures.half import Half
from ablation.figures.style import Drawing, Picture, look, write

if TYPE_CHECKING:
    from ablation.run import Run

__all__ = ["FIGURES", "Drawing", "Picture", "draw_figures"]

FIGURES: dict[str, Callable[[Run], list[Drawing]]] = {
    "forest": forest.drawings,
    "interaction": interaction.drawings,
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
}

_MANY = 12  # from so many variants on, a second process saves more time than its start takes


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


def draw_figures(run: Run, only: Sequence[str], folder: Path) -> list[Picture]:
    """Draw figures and write each as PNG and SVG; if all are drawn, write their captions as ``captions.md``.

    Args:
        run: The run to draw.
        only: Names from `FIGURES`; empty for all.
        folder: The folder that the files are written to.

    Raises:
        RunError: A name is not in `FIGURES`, the study has nothing to draw under it (interactions without
            factors), or no trial of the run is completed.
    """
    for name in only:
        if name not in FIGURES:
            raise RunError(f"there is no figure named '{name}'.{did_you_mean(name, FIGURES)}")
    if not run.completed_trials:
        raise RunError(f"{run.folder}: no trial is completed yet, so there is nothing to draw.")
    names = [name for name in FIGURES if not only or name in only]
    if not only and len(run.study.variants) >= _MANY and available_cores() > 1:
        pictures = _draw_in_two_processes(run, names, folder)
    else:
        pictures = draw(run, names, folder)
    for name in only:
        if name not in {picture.figure for picture in pictures}:
            raise RunError(f"{run.folder}: this study has nothing to draw for the figure '{name}'.")
    if not only:
        texts = [f"## {p.title}\n\n![{p.title}]({quote(p.png.name)})\n\n{p.caption}\n" for p in pictures]
        (folder / "captions.md").write_text("\n".join(texts), "utf-8")
    return pictures


def draw(run: Run, names: Sequence[str], folder: Path) -> list[Picture]:
    """Draw figures into a folder, and remove older files of the same figures from it."""
    pictures = []
    for name in names:
        for stale in folder.glob(f"{name}*"):
            if re.fullmatch(rf"{name}(_\d\d_.*)?\.(png|svg)", stale.name):
                stale.unlink()
        with look(), _no_garbage_collected():
            pictures += [write(drawing, folder, name) for drawing in FIGURES[name](run)]
    return pictures


def _draw_in_two_processes(run: Run, names: Sequence[str], folder: Path) -> list[Picture]:
    """Draw half of the figures in a second process; if it fails, draw that half in this process, too."""
    first_half, second_half = names[: len(names) // 2], names[len(names) // 2 :]
    second_process = Half(run, second_half, folder)
    try:
        pictures = draw(run, first_half, folder)
        return pictures + (second_process.pictures() or draw(run, second_half, folder))
    finally:
        second_process.stop()
