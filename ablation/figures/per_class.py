"""Per-class accuracy, one row per variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.figures.style import (
    MOST_NAMED,
    Drawing,
    heat_map,
    label,
    new_figure,
    percent_cell,
    seeds_phrase,
)
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def per_class_data(per_class: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return accuracy, difference from the baseline and q, each as a table (variants, classes)."""
    variants, classes = per_class["variant"].unique(), per_class["class"].unique()
    accuracy, difference, q = (
        per_class.pivot(index="variant", columns="class", values=c)
        .reindex(index=variants, columns=classes)
        .astype(float)
        for c in ("accuracy", "difference", "q")
    )
    return accuracy, difference, q


def drawings(run: Run) -> list[Drawing]:
    """Draw the accuracies as a table whose colours show the differences from the baseline."""
    accuracy, difference, q = per_class_data(run.per_class)
    if accuracy.empty:
        return []
    rows, columns = accuracy.shape
    width = min(max(6.0, 2.0 + 0.75 * min(columns, MOST_NAMED)), 12)
    figure = new_figure(width, 1.3 + 0.32 * rows)
    ax, kind = figure.subplots(), "label" if run.dataset.is_multi_label else "class"
    draw_per_class(ax, accuracy, difference, q)
    ax.set(xlabel=kind, ylabel="")
    significant = int((q <= FALSE_DISCOVERIES).to_numpy().sum())
    images = run.per_class["images"]
    share = (
        f"Per-class accuracy: of the test images of each class ({images.min()} to {images.max()}), the "
        "percentage that is classified correctly"
    )
    if run.dataset.is_multi_label:
        share = (
            f"Per-label accuracy: of the {images.max()} test images, the percentage on which each label is "
            "predicted correctly"
        )
    if (images == 0).any():
        share += " (–: the class has no test images)"
    caption = (
        f"{share}; mean over {seeds_phrase(run.per_class['n'])}. Colour: difference from "
        f"{run.study.baseline}; orange: above, purple: below. A dot marks differences that are significantly "
        f"different from 0 (paired t-test, false discovery rate {FALSE_DISCOVERIES:.0%} over all cells): "
        f"{significant} of {int(q.notna().sum().sum())}. 95% intervals are in per_class.csv."
    )
    means = accuracy.mean()
    title = f"Per-{kind} accuracy"
    alt = (
        f"{title}. On average over the variants, it is highest for {means.idxmax()}, {means.max():.1%}, and "
        f"lowest for {means.idxmin()}, {means.min():.1%}."
    )
    return [Drawing("per_class", title, figure, caption, alt)]


def draw_per_class(ax: Axes, accuracy: pd.DataFrame, difference: pd.DataFrame, q: pd.DataFrame) -> None:
    """Draw the accuracies in percent, coloured by the difference from the baseline; mark significant ones."""
    most = 100 * max(np.nanmax(np.abs(difference.to_numpy()), initial=0.0), 0.05)  # small ones are pale
    dots = np.where(q.to_numpy() <= FALSE_DISCOVERIES, " •", "")
    numbers = np.array([[percent_cell(v) for v in row] for row in accuracy.to_numpy()], dtype=object) + dots
    names = [label(str(v)) for v in accuracy.index], [label(str(c), 12) for c in accuracy]
    changes = 100 * difference.fillna(0).to_numpy()
    mesh = heat_map(ax, changes, numbers, (-most, most), "PuOr_r", names)
    ax.figure.colorbar(mesh, ax=ax, label="difference (pp)", pad=0.01, aspect=30)
    if max(map(len, names[1])) > 3:
        ax.tick_params(axis="x", rotation=90)
