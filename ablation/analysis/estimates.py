"""Paired differences of trials, and the standard error of their mean over seeds and test images."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.completed_trials import completed_results

Correct = Mapping[str, Mapping[int, NDArray[np.bool_]]]
"""For each variant and seed, whether each test image was classified correctly: (images,)."""


@dataclass(frozen=True)
class Estimate:
    """The mean of paired differences, with what its standard error consists of.

    Seeds and test images are two crossed random factors, like readers and cases in a study of diagnostic
    tests. The variance of the mean is the mean square of seeds, plus what the mean square of images exceeds
    that of the interaction by, divided by seeds and images (Obuchowski and Rockette, 1995, "Hypothesis
    testing of diagnostic accuracy for multiple readers and multiple tests"; Gallas, 2006, "One-shot estimate
    of MRMC variance: AUC").

    Attributes:
        differences: One per seed, (pairs,).
        image_variance: What other test images add to the variance of the mean; 0 without them.
        images: The number of test images; 0 if the mean is one for these images only.
        environments: The number of environments that the pairs ran in.
    """

    differences: NDArray[np.float64]
    image_variance: float = 0.0
    images: int = 0
    environments: int = 1

    @property
    def n(self) -> int:
        """The number of pairs."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """The mean difference; NaN without pairs."""
        return float(np.mean(self.differences)) if self.n else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of the differences; NaN if there are fewer than two."""
        return float(np.std(self.differences, ddof=1)) if self.n > 1 else math.nan

    @property
    def seed_error(self) -> float:
        """The standard error of the mean over seeds; NaN if there are fewer than two."""
        return self.deviation / math.sqrt(self.n) if self.n else math.nan

    @property
    def image_error(self) -> float:
        """The standard error that other test images add."""
        return math.sqrt(self.image_variance)


def mean_squares(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean squares of seeds, of images and of their interaction.

    Args:
        values: The difference for each seed on each image: (seeds, images), at least two of both.
    """
    seeds, images = values.shape
    by_seed, by_image = values.mean(axis=1), values.mean(axis=0)
    residual = values - by_seed[:, None] - by_image + by_image.mean()
    return (
        images * float(by_seed.var(ddof=1)),
        seeds * float(by_image.var(ddof=1)),
        float((residual**2).sum()) / ((seeds - 1) * (images - 1)),
    )


def image_variance(values: NDArray[np.float64]) -> float:
    """Return what test images add to the variance of a mean over seeds and images; at least 0.

    Args:
        values: As in `mean_squares`.
    """
    _, of_images, of_rest = mean_squares(values)
    return max(0.0, of_images - of_rest) / values.size


class Measurements:
    """A metric of completed trials, from which contrasts of variants are taken within each seed.

    A contrast is taken only within trials of one environment: what a machine adds to all of them cancels.
    The contrasts of several environments are pooled, as the blocks of an experiment are.

    Args:
        results: The results table.
        metric: A column of the table.
        correct: Which test images each trial classified correctly, if the means should hold for other test
            images; a contrast of which a trial is missing there holds for other seeds only.
    """

    def __init__(self, results: pd.DataFrame, metric: str, correct: Correct | None = None) -> None:
        completed = completed_results(results)
        values = completed.pivot(index="seed", columns="variant", values=metric).astype(float)
        self._values = values.where(np.isfinite(values))
        environments = completed.pivot(index="seed", columns="variant", values="provenance")
        self._cells = self._values.to_numpy()  # arrays, for pandas takes seconds where variants are many
        self._environment_of = environments.to_numpy(object)
        self._correct = correct or {}

    def seeds(self, variants: Collection[str]) -> list[int]:
        """Return the seeds that all variants completed in one environment."""
        columns = self._columns(variants)
        return list(self._values.index[self._shared(columns)])

    def values(self, variants: Collection[str]) -> NDArray[np.float64]:
        """Return the metric of variants for their `seeds`: (seeds, variants)."""
        columns = self._columns(variants)
        return np.asarray(self._cells[np.ix_(self._shared(columns), columns)])

    def _columns(self, variants: Collection[str]) -> NDArray[np.intp]:
        """Return the column of each variant, -1 if it has no completed trial."""
        return np.asarray(self._values.columns.get_indexer(list(variants)), np.intp)

    def _shared(self, columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return for each seed whether all of these columns have it in one environment."""
        if not len(columns) or (columns < 0).any():
            return np.zeros(len(self._cells), np.bool_)
        environments = self._environment_of[:, columns]
        together = (environments == environments[:, :1]).all(axis=1)
        return np.asarray(together & ~np.isnan(self._cells[:, columns]).any(axis=1), np.bool_)

    def estimate(self, weights: Mapping[str, float], without: Collection[tuple[str, int]] = ()) -> Estimate:
        """Return the estimate of a contrast.

        Args:
            weights: The weight of each variant.
            without: Trials, as pairs of variant and seed, whose seeds are left out.
        """
        left_out = {seed for variant, seed in without if variant in weights}
        seeds = [seed for seed in self.seeds(weights) if seed not in left_out]
        if not seeds:
            return Estimate(np.empty(0))
        names, factors = list(weights), np.array(list(weights.values()))
        differences = self._values.loc[seeds, names].to_numpy() @ factors
        of_first = self._environment_of[self._values.index.get_indexer(seeds), self._columns(names[:1])]
        environments = len(set(of_first))
        by_image = self._by_image(names, factors, seeds)
        if by_image is None or min(by_image.shape) < 2:
            return Estimate(differences, environments=environments)
        return Estimate(differences, image_variance(by_image), by_image.shape[1], environments)

    def _by_image(
        self, names: list[str], factors: NDArray[np.float64], seeds: list[int]
    ) -> NDArray[np.float64] | None:
        """Return the contrast for each seed on each image; None if a trial's predictions are missing."""
        if any(seed not in self._correct.get(name, {}) for name in names for seed in seeds):
            return None
        correct = np.array([[self._correct[name][seed] for name in names] for seed in seeds], np.float64)
        return np.asarray(np.einsum("svi,v->si", correct, factors))
