"""Test images that a variant classifies correctly and the baseline does not, and the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import Labels
from ablation.data.datasets import Dataset
from ablation.data.predictions import Predictions
from ablation.figures.image_panels import channels_note, show_image
from ablation.figures.style import Drawing, in_two_lines, label, new_figure
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_IMAGES = 5  # a side
_MOST_VARIANTS = 8


@dataclass(frozen=True)
class Disagreement:
    """A test image on which a variant and the baseline differ.

    Attributes:
        index: The position of the image in the test set.
        right: In how many of the pairs of trials the variant and the baseline classify it correctly.
        predicted_as: The most frequent wrong prediction of the side that is wrong more often: a class, or a
            row of labels.
    """

    index: int
    right: tuple[int, int]
    predicted_as: int | tuple[int, ...]


def disagreement_data(
    variant: Mapping[int, Predictions],
    baseline: Mapping[int, Predictions],
    labels: Labels,
    count: int = _IMAGES,
) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the images that the variant classifies better than the baseline, and those it classifies worse.

    The images are sorted by the difference in the number of pairs that classify them correctly; ties keep
    the order of the test set. Images without a difference are left out.

    Args:
        variant: The variant's predictions, by seed.
        baseline: The baseline's predictions, by seed.
        labels: The true classes, (test images,), or the labels, (test images, labels).
        count: How many images to return on each side.
    """
    seeds = [seed for seed in variant if seed in baseline]
    variant_right, baseline_right = (
        np.array([side[seed].right(labels) for seed in seeds]) for side in (variant, baseline)
    )
    gained = variant_right.sum(axis=0) - baseline_right.sum(axis=0)

    def disagreement(index: int) -> Disagreement:
        right = int(variant_right[:, index].sum()), int(baseline_right[:, index].sum())
        wrong = variant if right[0] < right[1] else baseline
        guesses = Counter(_guess(wrong[seed].classes[index]) for seed in seeds)
        del guesses[_guess(labels[index])]
        return Disagreement(int(index), right, min(guesses, key=lambda guess: (-guesses[guess], guess)))

    better = [disagreement(i) for i in np.argsort(-gained, kind="stable")[:count] if gained[i] > 0]
    worse = [disagreement(i) for i in np.argsort(gained, kind="stable")[:count] if gained[i] < 0]
    return better, worse


def _guess(predicted: Any) -> Any:
    """Return a class as a number, and a row of labels as a tuple."""
    return int(predicted) if np.ndim(predicted) == 0 else tuple(map(int, predicted))


def drawings(run: Run) -> list[Drawing]:
    """Draw one row per variant; if there are many, only those that differ most from the baseline.

    Nothing is drawn if each seed has test images of its own: no image is then classified by several pairs.
    """
    if run.study.draws_test_images:
        return []
    baseline = run.study.baseline
    pairs = {v: set(t) & set(run.predictions.get(baseline, {})) for v, t in run.predictions.items()}
    variants = [v for v in run.predictions if v != baseline and pairs[v]]
    if not variants:
        return []
    sizes = run.baseline_comparisons.set_index("variant")["difference"].abs()
    chosen = sorted(sorted(variants, key=lambda v: -sizes[v])[:_MOST_VARIANTS], key=variants.index)
    figure, axes = _panels(len(chosen))
    disagreements = {}
    for row, variant in zip(axes, chosen, strict=True):
        data = disagreement_data(run.predictions[variant], run.predictions[baseline], run.dataset.test.labels)
        draw_row(list(row), data, run.dataset, len(pairs[variant]))
        row[0].set_ylabel(in_two_lines(variant, 20), fontsize=8, fontweight="bold")
        disagreements[variant] = data
    for column, words in (
        (0, f"correct more often than {label(baseline, 20)}"),
        (_IMAGES, "correct less often"),
    ):
        axes[0, column].set_title(words, fontsize=9.5, pad=18).set_in_layout(False)
    counts = sorted({len(pairs[v]) for v in chosen})
    n = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
    left_out = f" Shown: the {len(chosen)} variants that differ most." if len(chosen) < len(variants) else ""
    truth = "labels" if run.dataset.is_multi_label else "class"
    caption = (
        f"Test images on which a variant differs most from {baseline}, trained with the same seeds ({n} "
        f"pairs of trials). Above each image: its true {truth}. Below: the most frequent wrong prediction of "
        "the model that is wrong more often, and in how many of the pairs the image is classified correctly, "
        "by the variant and by the baseline. The images were chosen for being extreme: they show how the two "
        f"differ, but not by how much.{left_out}{channels_note(run.dataset.image_shape[-1])}"
    )
    alt = "Images on which a variant and the baseline differ: " + "; ".join(
        f"{variant}: {len(better)} classified correctly more often, {len(worse)} less often"
        for variant, (better, worse) in disagreements.items()
    )
    return [Drawing("disagreements", f"Where variants and {baseline} disagree", figure, caption, alt)]


def _panels(rows: int) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure with panels, (rows, 2 * `_IMAGES`), and a gap between the two sides."""
    width, height = 11, 0.5 + 1.5 * rows  # inches
    figure = new_figure(width, height, layout=None)
    grid = figure.add_gridspec(
        rows, 2 * _IMAGES + 1, width_ratios=[1] * _IMAGES + [0.3] + [1] * _IMAGES, wspace=0.09, hspace=0.58,
        left=0.4 / width, right=1 - 0.05 / width, bottom=0.45 / height, top=1 - 0.55 / height,
    )  # fmt: skip
    columns = [k for k in range(2 * _IMAGES + 1) if k != _IMAGES]
    panels = [[figure.add_subplot(grid[row, column]) for column in columns] for row in range(rows)]
    return figure, np.array(panels, dtype=object)


def draw_row(
    row: list[Axes], data: tuple[list[Disagreement], list[Disagreement]], dataset: Dataset, pairs: int
) -> None:
    """Draw a variant's images, with those that it classifies correctly more often on the left.

    Args:
        row: The panels, `_IMAGES` for each side.
        data: What `disagreement_data` returned.
        dataset: The images and the names of their classes.
        pairs: The number of pairs of trials.
    """
    for ax in row:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.patch.set_visible(False)  # of a panel without an image it would cover the title of one beside it
        ax.grid(visible=False)
    labels = dataset.test.labels
    for side, images in enumerate(data):
        for ax, disagreement in zip(row[side * _IMAGES :], images, strict=False):
            show_image(ax, dataset.test.images[disagreement.index])
            true, guess = (
                label(dataset.words(k), 12) for k in (labels[disagreement.index], disagreement.predicted_as)
            )
            ax.text(0.5, 1.03, true, transform=ax.transAxes, ha="center", va="bottom", fontsize=8)
            of_variant, of_baseline = disagreement.right
            ax.set_xlabel(f"× {guess}\n{of_variant} : {of_baseline} of {pairs}", fontsize=7.5)
