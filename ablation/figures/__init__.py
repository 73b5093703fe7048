"""The figures of a run: for each a pure ``*_data`` function, and a ``draw`` function that only draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ablation.errors import RunError, did_you_mean
from ablation.figures import comparison, confusion, gap_parts, learning_curves, overfitting_gap, predictions
from ablation.figures.style import Drawing, Picture, look, write

if TYPE_CHECKING:
    from ablation.run import Run

__all__ = ["FIGURES", "Drawing", "Picture", "draw_figures"]

FIGURES: dict[str, Callable[[Run], list[Drawing]]] = {
    "comparison": comparison.drawings,
    "overfitting_gap": overfitting_gap.drawings,
    "gap_parts": gap_parts.drawings,
    "learning_curves": learning_curves.drawings,
    "confusion": confusion.drawings,
    "predictions": predictions.drawings,
}


def draw_figures(run: Run, only: Sequence[str], folder: Path) -> list[Picture]:
    """Draw figures and write each as PNG and SVG; if all are drawn, their captions as ``captions.md``.

    Args:
        run: The run to draw.
        only: Names from `FIGURES`; empty for all.
        folder: Where the files go.

    Raises:
        RunError: A name is not in `FIGURES`, or no trial of the run is completed.
    """
    for name in only:
        if name not in FIGURES:
            raise RunError(f"there is no figure named '{name}'.{did_you_mean(name, FIGURES)}")
    if not run.completed_trials:
        raise RunError(f"{run.folder}: no trial is completed yet, so there is nothing to draw.")
    pictures = []
    for name, drawings in FIGURES.items():
        if not only or name in only:
            for stale in [*folder.glob(f"{name}*.png"), *folder.glob(f"{name}*.svg")]:
                stale.unlink()
            with look():
                pictures += [write(drawing, folder) for drawing in drawings(run)]
    if not only:
        texts = [f"## {p.title}\n\n![{p.title}]({quote(p.png.name)})\n\n{p.caption}\n" for p in pictures]
        (folder / "captions.md").write_text("\n".join(texts), "utf-8")
    return pictures
