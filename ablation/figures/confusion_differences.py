"""Where a variant predicts one class as another more often, or less often, than the baseline does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.analysis.phrases import minus, signed_points
from ablation.figures.style import Drawing, heat_map, label, panel_title, seeds_phrase, small_multiples
from ablation.grid.value_text import several
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_PANELS_A_ROW, _MOST_PANELS = 3, 6  # more would be too small to read
_UPRIGHT = 2  # letters of a name that fit under a cell
_LONGEST = 10  # letters of a class's name


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
    variants = most_different(data)
    if not variants:
        return []
    figure, panels = small_multiples(len(variants), 3.6, 3.4, columns=_PANELS_A_ROW)
    figure.subplots_adjust(hspace=0.18)  # only the lowest row names its classes
    most = 100 * max(data["difference"].abs().max(), 1e-9)
    for ax, variant in zip(panels, variants, strict=True):
        draw_differences(ax, *difference_matrix(data, variant, names), names, most)
        panel_title(ax, variant, 32)
    scale = ScalarMappable(Normalize(-most, most), "PuOr_r")
    figure.colorbar(scale, ax=figure.axes, label="difference (pp)", aspect=30, shrink=0.8, pad=0.01)
    figure.supxlabel("predicted class", fontsize=9.5, y=_below_names(figure, names))
    figure.supylabel("true class", fontsize=9.5)
    significant = data[data["q"] <= FALSE_DISCOVERIES]
    caption = (
        f"Difference from {run.study.baseline} in the share of a true class's test images (row) that are "
        "predicted as another class (column); orange: more often, purple: less often. Mean over "
        f"{seeds_phrase(data['pairs'], 'pair')}, seed by seed. Cells with a number, in percentage points, "
        f"differ significantly from 0 (paired t-test, false discovery rate {FALSE_DISCOVERIES:.0%} over all "
        f"cells of all variants, Benjamini and Hochberg): {len(significant)} of "
        f"{data['q'].notna().sum():,}.{_left_out(data, variants)}"
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


def _below_names(figure: Figure, names: Sequence[str]) -> float:
    """Return where the axis is named, below the classes, as a share of the height of the figure."""
    longest = max(len(label(name, _LONGEST)) for name in names)
    if longest <= _UPRIGHT:
        return 0.01
    return float(figure.subplotpars.bottom - (0.07 * longest + 0.3) / figure.get_figheight())  # in inches


def most_different(differences: pd.DataFrame) -> list[str]:
    """Return the variants that are drawn, in their order: all, or of many those that differ most.

    Args:
        differences: The table of differences in confusion of the run.

    Returns:
        At most six variants: those with most significant cells and, of as many, with the largest sum of
        absolute differences.
    """
    cells = differences.assign(
        significant=differences["q"] <= FALSE_DISCOVERIES, size=differences["difference"].abs()
    )
    by_variant = cells.groupby("variant", sort=False)[["significant", "size"]].sum()
    ranked = by_variant.sort_values(["significant", "size"], ascending=False, kind="stable").index
    return [str(name) for name in by_variant.index if name in ranked[:_MOST_PANELS]]


def _left_out(differences: pd.DataFrame, drawn: list[str]) -> str:
    """Say which variants are not drawn, and where their numbers are; empty if all are drawn."""
    others = [str(name) for name in differences["variant"].unique() if name not in drawn]
    if not others:
        return ""
    return (
        f" Drawn are the {len(drawn)} variants with the most such cells, or else the largest differences. "
        f"Left out: {several(others, 'variant')}; their numbers are in confusion_differences.csv."
    )


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
    short = [label(name, _LONGEST) for name in names]
    texts = np.where(significant, np.array(numbers, dtype=object), "")
    heat_map(ax, 100 * np.nan_to_num(matrix), texts, (-most, most), "PuOr_r", (short, short), 8)
    ax.set_aspect("equal")
    ax.tick_params(labelsize=8)
    if max(map(len, short)) > _UPRIGHT:
        ax.tick_params(axis="x", rotation=90)
