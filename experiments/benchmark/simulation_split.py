"""Do results of seeds that draw from one pool need a correction for the images that they share?

With ``split`` in ``vary``, seeds draw their training images from one pool, so that two seeds share images and
their results are correlated. The paired t-test takes them as independent. Here two classifiers with a closed
form, nearest centroid and ridge regression, are trained on the same draws and compared on a fixed test set.
Each study has a pool of its own, drawn from a population. A verdict is an error if it denies the true
difference:

- the mean over all training sets from the study's own pool, which is what the documentation promises, or
- the mean over all training sets from the population, whatever the pool.

For the latter, the table shows the correction of Nadeau and Bengio (2003, "Inference for the generalization
error"), too. It multiplies the variance of the mean by 1 + seeds * rho / (1 - rho), where rho, the
correlation of the results of two seeds, is taken to be the share of a seed's images that another seed draws,
too. That is the seed's share of the pool.

With ``test`` in ``vary``, too, each seed is tested on images of its own, drawn from the same pool. The first
of the two is then the mean over all draws of training and test images from the study's own pool.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from simulation_rows import Row, at_most, no_promise, share

from ablation.analysis.inference import judge
from ablation.grid.compare_settings import CompareSettings

Array = NDArray[np.float64]
FEATURES, TRAINED, TESTED = 10, 60, 500
SHARES = (0.05, 0.1, 0.25, 0.5, 0.8)  # of the pool, that a seed is trained on
FURTHER = 100  # further draws from a pool, which estimate the mean over all of its training sets
COMPARE = CompareSettings(correction="none")


def population(generator: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Draw images of two classes, (size, features), and their labels, -1 or 1.

    The classes differ in the mean of the first feature, and the features differ in their variance.
    """
    labels = generator.choice([-1.0, 1.0], size)
    images = generator.normal(size=(size, FEATURES)) * np.linspace(0.5, 2, FEATURES)
    images[:, 0] += 0.4 * labels
    return images, labels


def accuracies(images: Array, labels: Array, test: tuple[Array, Array]) -> Array:
    """Train both classifiers on each training set; return the differences in their accuracies.

    Args:
        images: The training sets, (sets, images, features).
        labels: Their labels, (sets, images).
        test: The test images, (images, features), and their labels, (images,); or those of each training
            set, with the sets as a further first axis.
    """
    centred, signs = images - images.mean(axis=1, keepdims=True), labels[..., None]
    centroids = [(images * (signs == k)).sum(1) / (signs == k).sum(1) for k in (-1, 1)]
    products, moments = centred.transpose(0, 2, 1) @ centred, (centred * signs).sum(1)
    ridge = np.linalg.solve(products + np.eye(FEATURES), moments[..., None])[..., 0]
    nearest = centroids[1] - centroids[0]
    middles = (centroids[0] + centroids[1]) / 2
    right = []
    for weights in (ridge, nearest):
        scores = (test[0] @ weights[..., None])[..., 0] - (middles * weights).sum(1)[:, None]
        right.append((np.sign(scores) == test[1]).mean(1))
    return right[0] - right[1]


def training_sets(generator: np.random.Generator, pool: int, sets: int) -> NDArray[np.int64]:
    """Draw training sets from a pool of images, each without replacement, (sets, TRAINED)."""
    return generator.random((sets, pool)).argpartition(TRAINED - 1, axis=1)[:, :TRAINED]


def study(
    generator: np.random.Generator, part: float, seeds: int, test: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return the differences of a study's seeds, and those of further draws from the same pool."""
    images, labels = population(generator, round(TRAINED / part))
    chosen = training_sets(generator, len(labels), seeds + FURTHER)
    found = accuracies(images[chosen], labels[chosen], test)
    return found[:seeds], found[seeds:]


def is_error(values: Array, truth: float, inflation: float = 0.0) -> bool:
    """Return whether the paired t-test denies the true difference.

    Args:
        values: One difference per seed.
        truth: The true difference.
        inflation: How much the variance of the mean is larger than the variance of a seed over the number of
            seeds, relative to the latter.
    """
    mean = values.mean()
    wider = mean + math.sqrt(1 + inflation) * (values - mean)
    return judge({"ridge": wider - truth}, COMPARE)["verdict"].iloc[0] in ("better", "worse")


def draws_from_a_pool(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """How often a verdict denies the true difference, by a seed's share of the pool."""
    test = population(generator, TESTED)
    images, labels = population(generator, 20_000 * TRAINED)
    sets = accuracies(images.reshape(-1, TRAINED, FEATURES), labels.reshape(-1, TRAINED), test)
    truth, spread = float(sets.mean()), float(sets.std())
    for seeds, part in itertools.product((5, 10), SHARES):
        found = [study(generator, part, seeds, test) for _ in range(max(20, studies // 10))]
        noisy = [values + generator.normal(0, spread, seeds) for values, _ in found]
        errors = {
            f"each of {seeds} seeds draws {part:.0%} of the pool: error on other draws from it": [
                is_error(values, further.mean(), seeds / FURTHER) for values, further in found
            ],
            "  error on other pools": [is_error(values, truth) for values, _ in found],
            "  the same, half of the variance from initial weights, order and dropout": [
                is_error(values, truth) for values in noisy
            ],
            "  error on other pools, corrected": [
                is_error(values, truth, seeds * part / (1 - part)) for values, _ in found
            ],
        }
        for k, (name, hits) in enumerate(errors.items()):
            yield no_promise(name, hits) if k else share(name, 0.05, hits, at_most(0.05))


def tested_on_the_pool(generator: np.random.Generator, studies: int) -> Iterator[Row]:
    """How often a verdict denies the true difference if each seed draws its test images from the pool, too.

    The sizes are the default ones: a seed is trained on 64% of the pool, and tested on 20%.
    """
    pool, tested = round(TRAINED / 0.64), round(TRAINED / 0.64 * 0.2)

    def differences(images: Array, labels: Array, order: NDArray[np.int64]) -> Array:
        train, test = order[:, :TRAINED], order[:, TRAINED : TRAINED + tested]
        return accuracies(images[train], labels[train], (images[test], labels[test]))

    def of_a_pool(sets: int) -> Array:
        order = generator.random((sets, pool)).argsort(axis=1)
        return differences(*population(generator, pool), order)

    every = np.arange(10_000 * pool).reshape(-1, pool)
    truth = float(differences(*population(generator, every.size), every).mean())
    for seeds in (5, 10):
        found = [of_a_pool(seeds + FURTHER) for _ in range(max(20, studies // 10))]
        errors = [is_error(values[:seeds], values[seeds:].mean(), seeds / FURTHER) for values in found]
        name = f"each of {seeds} seeds draws test images, too: error on other draws from the pool"
        yield share(name, 0.05, errors, at_most(0.05))
        yield no_promise("  error on other pools", [is_error(values[:seeds], truth) for values in found])
