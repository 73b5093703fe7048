"""Confusion matrices, one per variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.completed_trials import completed_results
from ablation.figures.style import (
    MOST_NAMED,
    Drawing,
    heat_map,
    label,
    new_figure,
    percent_cell,
    seeds_phrase,
)
from ablation.grid.trial import slug
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(confusion: pd.DataFrame, variant: str) -> tuple[NDArray[np.float64], list[str]]:
    """Return a variant's row-normalised confusion matrix and the class names.

    Args:
        confusion: The confusion table of the run.
        variant: The variant.

    Returns:
        Shares of the images of each true class, of shape (true classes, predicted classes), and the names.
    """
    of_variant = confusion[confusion["variant"] == variant]
    names = list(of_variant["true"].unique())
    return of_variant["share"].to_numpy(float).reshape(len(names), len(names)), names


def drawings(run: Run) -> list[Drawing]:
    """Draw one confusion matrix per variant that has predictions."""
    completed = completed_results(run.results)
    matrices = []
    for i, variant in enumerate(run.confusion["variant"].unique(), 1):
        matrix, names = confusion_matrix(run.confusion, variant)
        side = min(max(3.2, 1.6 + 0.36 * len(names)), 12)
        figure = new_figure(side + 0.4, side, layout=None)  # alone, its panel needs no layout
        draw_confusion(figure.subplots(), matrix, names)
        figure.axes[0].set_title(label(variant, 40))
        absent = " (–: the class has no test images)" if np.isnan(matrix).any() else ""
        over = seeds_phrase(completed.loc[completed["variant"] == variant, "seed"].agg(["count"]))
        caption = (
            f"{variant}: of the test images of each true class (row), the percentage that was predicted as "
            f"each class (column), over {over}; rows add up to 100{absent}. The counts are in confusion.csv."
        )
        confusions = np.nan_to_num(matrix - np.diag(np.diag(matrix)))
        true, predicted = np.unravel_index(confusions.argmax(), confusions.shape)
        alt = (
            f"Confusion matrix of {variant}. The mean per-class accuracy is "
            f"{np.nanmean(np.diag(matrix)):.1%}; the most frequent confusion is {names[true]} predicted as "
            f"{names[predicted]}, {confusions.max():.1%}."
        )
        matrices.append(
            Drawing(f"confusion_{i:02d}_{slug(variant)}", f"Confusion: {variant}", figure, caption, alt)
        )
    return matrices


def draw_confusion(ax: Axes, matrix: NDArray[np.float64], names: list[str]) -> None:
    """Draw a row-normalised confusion matrix, with each cell's percentage where there is room."""
    short = [label(name, 14) for name in names]
    numbers = np.array([[percent_cell(share) for share in row] for row in matrix], dtype=object)
    mesh = heat_map(ax, 100 * np.nan_to_num(matrix), numbers, (0, 100), "Blues", (short, short))
    if len(names) > MOST_NAMED:
        ax.figure.colorbar(mesh, ax=ax, label="percent of the true class", shrink=0.8)
    ax.set(xlabel="predicted class", ylabel="true class", aspect="equal")
    ax.tick_params(axis="x", rotation=90)
