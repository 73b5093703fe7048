"""Calibration: whether a model with a confidence of 80% is correct in 80% of cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.intervals import mean_intervals
from ablation.data.arrays import Labels
from ablation.data.predictions import ByTrial, LabelsBySeed, Predictions

BINS = 10
CALIBRATION_COLUMNS = [
    "variant", "bin", "above", "up_to", "n", "images", "confidence", "accuracy", "low", "high",
]  # fmt: skip
ERROR_COLUMNS = ["variant", "seed", "confidence", "accuracy", "calibration_error"]


def calibration_table(predictions: ByTrial, labels: LabelsBySeed) -> pd.DataFrame:
    """Return, for each variant and bin of confidence, the share of images that are predicted correctly.

    There are ten bins of equal width, as in Guo et al. (2017), "On calibration of modern neural networks". If
    images have several labels, each label is predicted correctly or not, and counts as an image does.

    Args:
        predictions: What each trial predicts.
        labels: The true classes of each seed's test images, (test images,), or their labels,
            (test images, labels).

    Returns:
        One row per variant and bin. ``confidence`` and ``accuracy`` are means over the ``n`` seeds that have
        images in the bin (above ``above``, up to ``up_to``), ``low`` and ``high`` are the 95% interval of the
        accuracy (Student's t), and ``images`` counts images over all of these seeds. Bins without images are
        left out.
    """
    rows = []
    for variant, trials in predictions.items():
        for seed, predicted in trials.items():
            counts, confidence, right = _binned(predicted, labels[seed])
            for k in np.flatnonzero(counts):
                rows.append([variant, k, counts[k], confidence[k] / counts[k], right[k] / counts[k]])
    table = pd.DataFrame(rows, columns=["variant", "bin", "images", "confidence", "accuracy"])
    if table.empty:
        return pd.DataFrame(columns=CALIBRATION_COLUMNS)
    by = ["variant", "bin"]
    means = table.groupby(by, sort=False).agg(images=("images", "sum"), confidence=("confidence", "mean"))
    intervals = mean_intervals(table, by, ["accuracy"]).set_index(by).rename(columns={"mean": "accuracy"})
    joined = means.join(intervals).reset_index()
    order = {variant: k for k, variant in enumerate(predictions)}
    joined = joined.sort_values(by, key=lambda c: c.map(order) if c.name == "variant" else c)
    joined = joined.assign(above=joined["bin"] / BINS, up_to=(joined["bin"] + 1) / BINS)
    return joined[CALIBRATION_COLUMNS].reset_index(drop=True)


def calibration_errors(predictions: ByTrial, labels: LabelsBySeed) -> pd.DataFrame:
    """Return the mean confidence, the accuracy and the expected calibration error of each trial.

    The error is the distance between confidence and accuracy in a bin, averaged over the bins with the number
    of their images as weight (Naeini et al., 2015; Guo et al., 2017). On few images it is above zero even for
    a perfectly calibrated model.

    Returns:
        One row per trial, with the columns `ERROR_COLUMNS`.
    """
    rows = []
    for variant, trials in predictions.items():
        for seed, predicted in trials.items():
            _, confidence, right = _binned(predicted, labels[seed])
            images = labels[seed].size
            error = np.abs(confidence - right).sum() / images
            rows.append([variant, seed, confidence.sum() / images, right.sum() / images, error])
    return pd.DataFrame(rows, columns=ERROR_COLUMNS)


def _binned(predicted: Predictions, labels: Labels) -> tuple[NDArray[np.float64], ...]:
    """Return, per bin, the count of images, the sum of their confidences, and the count of correct ones."""
    confidence = predicted.confidence.ravel().astype(float)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    right = (predicted.classes == labels).ravel().astype(float)
    return tuple(
        np.asarray(np.bincount(bins, weights=weights, minlength=BINS), np.float64)
        for weights in (np.ones(len(bins)), confidence, right)
    )
