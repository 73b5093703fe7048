"""Some test images with their true labels and each variant's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablation.analysis.completed_trials import completed_results
from ablation.data.datasets import Dataset, Part
from ablation.data.predictions import Predictions
from ablation.figures.image_panels import channels_note, show_image
from ablation.figures.style import Drawing, in_two_lines, label, new_figure
from ablation.results.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle


_SHOWN = 10
_RIGHT, _WRONG = "#dcebf7", "#f9dcc4"


@dataclass(frozen=True)
class SamplePredictions:
    """The chosen test images, and what the variants predict on them.

    Attributes:
        indices: The positions of the images in the test set, (images,).
        predicted: The predictions on these images, by variant.
    """

    indices: NDArray[np.int64]
    predicted: dict[str, Predictions]


def sample_data(
    predicted: dict[str, Predictions], generator: np.random.Generator, shown: int = _SHOWN
) -> SamplePredictions:
    """Choose test images: half of them at random, half of them where the variants disagree most.

    Args:
        predicted: The predictions of one trial on all test images, by variant.
        generator: Draws the random half, and breaks ties in the other half.
        shown: How many images to choose.
    """
    votes = np.stack([p.classes for p in predicted.values()])
    count = votes.shape[1]
    disagreement = np.array([len(np.unique(votes[:, i], axis=0)) for i in range(count)])
    random = generator.permutation(count)
    disputed = random[np.argsort(-disagreement[random], kind="stable")]
    half = [int(i) for i in random[: min(shown // 2, count)]]
    rest = [int(i) for i in disputed if int(i) not in half][: shown - len(half)]
    indices = np.array(half + rest)
    return SamplePredictions(indices, {variant: p.take(indices) for variant, p in predicted.items()})


def drawings(run: Run) -> list[Drawing]:
    """Draw the sample for one trial per variant: the first seed that the most variants completed."""
    seeds = completed_results(run.results).groupby("seed")["variant"].nunique()
    seed = int(seeds.idxmax())
    dataset, predicted = run.dataset, {}
    for trial in run.completed_trials:
        if trial.seed == seed and (probabilities := run.store.test_probabilities(trial)) is not None:
            predicted[trial.variant] = Predictions.of(probabilities, dataset.is_multi_label)
    if not predicted:
        return []
    data = sample_data(predicted, np.random.default_rng(0))
    tested = next(dataset.of(trial).test for trial in run.completed_trials if trial.seed == seed)
    figure = draw_samples(data, dataset, tested)
    half = min(_SHOWN // 2, len(data.indices))
    contents = (
        f"their true labels, and the labels that each variant (seed {seed}) predicts"
        if dataset.is_multi_label
        else f"their true class, and the class that each variant (seed {seed}) predicts, with its probability"
    )
    caption = (
        f"Test images with {contents}. Blue cells are correct; orange cells, marked ×, are wrong. The "
        f"{half} images on the left were drawn at random, the {len(data.indices) - half} on the right are "
        f"among those on which the variants disagree most.{channels_note(dataset.image_shape[-1])}"
    )
    true = tested.labels[data.indices]
    alt = f"Predictions on {len(true)} test images. Correct: " + "; ".join(
        f"{variant}: {p.right(true).sum()} of {len(true)}" for variant, p in data.predicted.items()
    )
    return [Drawing("predictions", "Sample predictions", figure, caption, alt)]


def draw_samples(data: SamplePredictions, dataset: Dataset, tested: Part) -> Figure:
    """Draw the images in a row, and below each image one cell per variant.

    Args:
        data: What `sample_data` returned.
        dataset: The names of the classes.
        tested: The test images of the seed.
    """
    variants, count = list(data.predicted), len(data.indices)
    labels = tested.labels[data.indices]
    height = 0.36 * len(variants)
    figure = new_figure(1.6 + 1.0 * count, 1.5 + height)
    grid = figure.add_gridspec(2, count, height_ratios=[1.15, height])
    for column, index in enumerate(data.indices):
        ax = figure.add_subplot(grid[0, column])
        show_image(ax, tested.images[index])
        ax.set_title(label(dataset.words(labels[column]), 12), fontsize=9, loc="center")
        ax.axis("off")
    ax = figure.add_subplot(grid[1, :])
    for row, variant in enumerate(variants):
        predicted = data.predicted[variant]
        for column, right in enumerate(predicted.right(labels)):
            ax.add_patch(_cell(column, row, _RIGHT if right else _WRONG))
            guess = dataset.words(predicted.classes[column])
            confidence = "" if dataset.is_multi_label else f" · {100 * predicted.confidence[column]:.0f}%"
            text = f"{'' if right else '× '}{label(guess, 11 if confidence else 17)}{confidence}"
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7)
    ax.set(xlim=(0, count), ylim=(len(variants), 0))
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(variants)) + 0.5, [in_two_lines(v, 22) for v in variants], fontsize=9)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return figure


def _cell(column: int, row: int, colour: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((column + 0.02, row + 0.06), 0.96, 0.88, facecolor=colour, edgecolor="none")
