"""Test images that a variant gets right and the baseline wrong, and the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablation.data.arrays import Labels
from ablation.data.datasets import Dataset
from ablation.data.predictions import Predictions
from ablation.figures.style import Drawing, in_two_lines, label
from ablation.results.run import Run

_IMAGES = 5  # a side
_MOST_VARIANTS = 8


@dataclass(frozen=True)
class Disagreement:
    """A test image on which a variant and the baseline differ.

    Attributes:
        index: The image.
        right: In how many of the pairs of trials the variant gets it right, and the baseline.
        taken_for: What the one that is wrong most often takes it for: a class, or a row of labels.
    """

    index: int
    right: tuple[int, int]
    taken_for: int | tuple[int, ...]


def disagreement_data(
    own: Mapping[int, Predictions],
    baseline: Mapping[int, Predictions],
    labels: Labels,
    shown: int = _IMAGES,
) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the images that the variant tells better than the baseline, and those that it tells worse.

    The images come in the order of how many more of the pairs get them right, ties as they lie in the test
    set; those that no more pairs get right are left out.

    Args:
        own: The variant's predictions, by seed.
        baseline: The baseline's.
        labels: The true classes, (test images,), or the labels, (test images, labels).
        shown: How many images on each side.
    """
    seeds = [seed for seed in own if seed in baseline]
    mine, theirs = (np.array([side[seed].right(labels) for seed in seeds]) for side in (own, baseline))
    gained = mine.sum(axis=0) - theirs.sum(axis=0)

    def told(index: int) -> Disagreement:
        right = int(mine[:, index].sum()), int(theirs[:, index].sum())
        wrong = own if right[0] < right[1] else baseline
        guesses = Counter(_guess(wrong[seed].classes[index]) for seed in seeds)
        del guesses[_guess(labels[index])]
        return Disagreement(int(index), right, min(guesses, key=lambda guess: (-guesses[guess], guess)))

    better = [told(i) for i in np.argsort(-gained, kind="stable")[:shown] if gained[i] > 0]
    worse = [told(i) for i in np.argsort(gained, kind="stable")[:shown] if gained[i] < 0]
    return better, worse


def _guess(found: Any) -> Any:
    """Return a class as a number, and a row of labels as a tuple."""
    return int(found) if np.ndim(found) == 0 else tuple(map(int, found))


def drawings(run: Run) -> list[Drawing]:
    """Draw a row a variant; where they are many, those that differ most from the baseline."""
    baseline = run.study.baseline
    pairs = {v: set(t) & set(run.predictions.get(baseline, {})) for v, t in run.predictions.items()}
    variants = [v for v in run.predictions if v != baseline and pairs[v]]
    if not variants:
        return []
    sizes = run.comparisons.set_index("variant")["difference"].abs()
    chosen = sorted(sorted(variants, key=lambda v: -sizes[v])[:_MOST_VARIANTS], key=variants.index)
    figure = Figure(figsize=(11, 0.5 + 1.5 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), 2 * _IMAGES, squeeze=False)
    found = {}
    for row, variant in zip(axes, chosen, strict=True):
        data = disagreement_data(run.predictions[variant], run.predictions[baseline], run.dataset.test.labels)
        draw_row(list(row), data, run.dataset, len(pairs[variant]))
        row[0].set_ylabel(in_two_lines(variant, 20), fontsize=8, fontweight="bold")
        found[variant] = data
    for column, words in ((0, f"right oftener than {label(baseline, 20)}"), (_IMAGES, "right less often")):
        axes[0, column].set_title(words, fontsize=9.5, pad=18).set_in_layout(False)
    counts = sorted({len(pairs[v]) for v in chosen})
    n = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
    left_out = f" The {len(chosen)} variants that differ most." if len(chosen) < len(variants) else ""
    truth = "labels" if run.dataset.is_multi_label else "class"
    caption = (
        f"Test images on which a variant differs most from {baseline}, trained with the same seeds ({n} "
        f"pairs of trials). Above each its true {truth}; below, what the one that is wrong takes it for, and "
        "how many of the pairs are right: variant against baseline. Chosen for being extreme: they show "
        f"how the two differ, and not how much.{left_out} {run.dataset.describe()}."
    )
    alt = "Images on which a variant and the baseline differ: " + "; ".join(
        f"{variant}: {len(better)} shown that it gets right oftener, {len(worse)} less often"
        for variant, (better, worse) in found.items()
    )
    return [Drawing("disagreements", f"Where variants and {baseline} disagree", figure, caption, alt)]


def draw_row(
    row: list[Axes], data: tuple[list[Disagreement], list[Disagreement]], dataset: Dataset, pairs: int
) -> None:
    """Draw a variant's images, those that it gets right oftener on the left."""
    for ax in row:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.patch.set_visible(False)  # of a panel without an image it would cover the title of one beside it
        ax.grid(visible=False)
    labels = dataset.test.labels
    for side, images in enumerate(data):
        for ax, shown in zip(row[side * _IMAGES :], images, strict=False):
            image = dataset.test.images[shown.index]
            ax.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray")
            true, guess = (label(dataset.words(k), 12) for k in (labels[shown.index], shown.taken_for))
            ax.text(0.5, 1.03, true, transform=ax.transAxes, ha="center", va="bottom", fontsize=8)
            ax.set_xlabel(f"× {guess}\n{shown.right[0]} : {shown.right[1]} of {pairs}", fontsize=7.5)
