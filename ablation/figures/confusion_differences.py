"""Where a variant predicts one class as another more often, or less often, than the baseline does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.analysis.phrases import minus, signed_points
from ablation.figures.style import Drawing, heat_map, label, panel_title, seeds_phrase, small_multiples
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def difference_matrix(
    differences: pd.DataFrame, variant: str, class_names: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a variant's differences from the baseline as a matrix, and which of them are significant.

    Args:
        differences: The table of differences in confusion of the run.
        variant: The variant.
        class_names: The names of the classes, in the order of rows and columns.

    Returns:
        Two arrays (true classes, predicted classes): differences in shares, NaN on the diagonal, and whether
        each is significant at the false discovery rate.
    """
    of_variant = differences[differences["variant"] == variant]
    matrix, q = (
        of_variant.pivot(index="true", columns="predicted", values=column).reindex(
            index=class_names, columns=class_names
        )
        for column in ("difference", "q")
    )
    return matrix.to_numpy(float), q.to_numpy(float) <= FALSE_DISCOVERIES


def drawings(run: Run) -> list[Drawing]:
    """Draw one matrix per variant other than the baseline."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    data, names = run.confusion_differences, run.dataset.class_names
    variants = list(data["variant"].unique())
    if not variants:
        return []
    side = 3.0 if len(variants) <= 3 else 2.6
    figure, panels = small_multiples(len(variants), side, 1.1 * side)
    most = 100 * max(data["difference"].abs().max(), 1e-9)
    for ax, variant in zip(panels, variants, strict=True):
        draw_differences(ax, *difference_matrix(data, variant, names), names, most)
        panel_title(ax, variant)
    scale = ScalarMappable(Normalize(-most, most), "PuOr_r")
    figure.colorbar(scale, ax=figure.axes, label="difference (pp)", aspect=30, shrink=0.8, pad=0.01)
    figure.supxlabel("predicted class", fontsize=9.5)
    figure.supylabel("true class", fontsize=9.5)
    significant = data[data["q"] <= FALSE_DISCOVERIES]
    caption = (
        f"Difference from {run.study.baseline} in the share of a true class's test images (row) that are "
        "predicted as another class (column); orange: more often, purple: less often. Mean over "
        f"{seeds_phrase(data['pairs'], 'pair')}, seed by seed. Cells with a number, in percentage points, "
        f"differ significantly from 0 (paired t-test, false discovery rate {FALSE_DISCOVERIES:.0%} over all "
        f"cells of all variants, Benjamini and Hochberg): {len(significant)} of "
        f"{data['q'].notna().sum():,}."
    )
    alt = "Significant differences in confusion: " + (
        "; ".join(
            f"{row.variant} predicts {row.true} as {row.predicted}, {signed_points(row.difference)} points"
            for row in significant.head(10).itertuples(index=False)
        )
        or "none"
    )
    title = f"Confusion compared with {run.study.baseline}"
    return [Drawing("confusion_differences", title, figure, caption, alt)]


def draw_differences(
    ax: Axes, matrix: NDArray[np.float64], significant: NDArray[np.bool_], names: tuple[str, ...], most: float
) -> None:
    """Draw a matrix of differences, with the numbers of those that are significant.

    Args:
        ax: The panel to draw in.
        matrix: Differences in shares, (classes, classes).
        significant: Which of them differ significantly from 0, (classes, classes).
        names: The names of the classes.
        most: The difference in percentage points that has full colour.
    """
    numbers = [[minus(f"{100 * d:+.0f}") for d in row] for row in np.nan_to_num(matrix)]
    short = [label(name, 10) for name in names]
    texts = np.where(significant, np.array(numbers, dtype=object), "")
    heat_map(ax, 100 * np.nan_to_num(matrix), texts, (-most, most), "PuOr_r", (short, short), 6.5)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=6.5)
    ax.tick_params(axis="x", rotation=90)
