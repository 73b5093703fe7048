"""A confusion matrix a variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablation.figures.style import Drawing, label, seeds_phrase
from ablation.trial import slug

if TYPE_CHECKING:
    from ablation.run import Run

_MOST_ANNOTATED = 20


def confusion_matrix(confusion: pd.DataFrame, variant: str) -> tuple[NDArray[np.float64], list[str]]:
    """Return a variant's row-normalised matrix (true, predicted), and the class names."""
    of_variant = confusion[confusion["variant"] == variant]
    names = list(of_variant["true"].unique())
    return of_variant["share"].to_numpy(float).reshape(len(names), len(names)), names


def drawings(run: Run) -> list[Drawing]:
    """Draw one matrix a variant that has predictions."""
    completed = run.results[run.results["status"] == "completed"]
    found = []
    for i, variant in enumerate(run.confusion["variant"].unique(), 1):
        matrix, names = confusion_matrix(run.confusion, variant)
        side = min(max(3.2, 1.6 + 0.36 * len(names)), 12)
        figure = Figure(figsize=(side + 0.4, side), layout="constrained")
        draw_confusion(figure.subplots(), matrix, names)
        figure.axes[0].set_title(label(variant, 40))
        over = seeds_phrase(completed.loc[completed["variant"] == variant, "seed"].agg(["count"]))
        caption = (
            f"{variant}: of the test images of each true class (row), the percentage that was predicted as "
            f"each class (column), over {over}; rows add up to 100. The counts are in confusion.csv. "
            f"{run.dataset.describe()}."
        )
        off = matrix - np.diag(np.diag(matrix))
        true, predicted = np.unravel_index(off.argmax(), off.shape)
        alt = (
            f"Confusion matrix of {variant}. On average {np.diag(matrix).mean():.1%} of a class is right; "
            f"the commonest confusion is {names[true]} taken for {names[predicted]}, {off.max():.1%}."
        )
        found.append(
            Drawing(f"confusion_{i:02d}_{slug(variant)}", f"Confusion: {variant}", figure, caption, alt)
        )
    return found


def draw_confusion(ax: Axes, matrix: NDArray[np.float64], names: list[str]) -> None:
    """Draw a row-normalised matrix, each cell in percent where there is room."""
    readable = len(names) <= _MOST_ANNOTATED
    short = [label(name, 14) for name in names]
    sns.heatmap(
        100 * matrix, ax=ax, vmin=0, vmax=100, cmap="Blues", square=True, linewidths=0.5 if readable else 0,
        linecolor="white", annot=readable, fmt=".0f", annot_kws={"fontsize": 8}, cbar=not readable,
        xticklabels=short if readable else False, yticklabels=short if readable else False,
    )  # fmt: skip
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    ax.grid(visible=False)
