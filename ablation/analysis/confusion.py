"""Which classes are taken for which, and where a variant's mistakes are others than the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ablation.analysis.inference import FEWEST_PAIRS, ROUNDING
from ablation.analysis.intervals import CONFIDENCE
from ablation.data.arrays import Labels
from ablation.data.predictions import ByTrial, Predictions

CONFUSION_COLUMNS = ["variant", "true", "predicted", "count", "share"]
PER_CLASS_COLUMNS = [
    "variant", "class", "n", "images", "accuracy", "low", "high",
    "pairs", "difference", "difference_low", "difference_high", "p", "q",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "variant", "true", "predicted", "pairs", "share", "baseline_share",
    "difference", "low", "high", "p", "q",
]  # fmt: skip
FALSE_DISCOVERIES = 0.05  # the share of them that is tolerated among what is called a difference

Counts = Mapping[str, Mapping[int, NDArray[np.int64]]]
"""For each variant and seed its counts of true against predicted classes: (classes, classes)."""


def confusion_counts(predictions: ByTrial, labels: Labels, classes: int) -> Counts:
    """Count true against predicted classes, a matrix a trial.

    Args:
        predictions: What each trial predicts.
        labels: The true classes, (test images,). Where an image has several labels, none is taken for
            another, and there are no counts.
        classes: How many classes there are.
    """
    if labels.ndim == 2:
        return {}
    return {
        variant: {
            seed: np.bincount(labels * classes + found.classes, minlength=classes**2).reshape(classes, -1)
            for seed, found in trials.items()
        }
        for variant, trials in predictions.items()
    }


def confusion_table(counts: Counts, class_names: Sequence[str]) -> pd.DataFrame:
    """Return a row a variant and pair of classes: what the variant's trials take for what.

    Returns:
        ``count`` summed over the variant's trials, and ``share``, that count over all images of the true
        class.
    """
    tables = []
    for variant, trials in counts.items():
        total = sum(trials.values(), np.zeros((len(class_names),) * 2, np.int64))
        cells = {"count": total.ravel(), "share": _shares(total).ravel()}
        tables.append(pd.DataFrame({"variant": variant, **_cells(class_names), **cells}))
    return _joined(tables, CONFUSION_COLUMNS)


def per_class_table(
    predictions: ByTrial, labels: Labels, baseline: str, class_names: Sequence[str]
) -> pd.DataFrame:
    """Return a row a variant and class: its accuracy, and its difference from the baseline's.

    Args:
        predictions: What each trial predicts.
        labels: The true classes, (test images,), or the labels, (test images, labels).
        baseline: The variant that the others are compared with.
        class_names: A name a class, or a label.

    Returns:
        ``accuracy`` is a mean over ``n`` seeds with its 95% interval (Student's t), ``images`` the number of
        test images of the class; of a label, it is the share of all test images on which it is told right.
        ``difference`` is a mean over the ``pairs``, seed by seed, with its 95% interval and its p (paired
        t-test). ``q`` is p adjusted over all classes and variants together, so that among those with q at
        most 0.05 at most 5% are expected to be no difference at all (Benjamini and Hochberg, 1995). Under
        three pairs there is neither p nor q.
    """
    tables = []
    classes = len(class_names)
    images = np.bincount(labels, minlength=classes) if labels.ndim == 1 else np.full(classes, len(labels))
    for variant, trials in predictions.items():
        pairs = _pairs(predictions, variant, baseline)
        mean, low, high, _ = _mean_test(_accuracies(trials, list(trials), labels, images))
        low, high = np.maximum(low, 0), np.minimum(high, 1)  # no mean of accuracies lies beyond
        difference = (
            _accuracies(trials, pairs, labels, images)
            - _accuracies(predictions[baseline], pairs, labels, images)
            if pairs
            else None
        )
        names = ("difference", "difference_low", "difference_high", "p")
        tests = {} if difference is None else dict(zip(names, _mean_test(difference), strict=True))
        tables.append(
            pd.DataFrame(
                {
                    "variant": variant, "class": class_names, "n": len(trials), "images": images,
                    "accuracy": mean, "low": low, "high": high, "pairs": len(pairs), **tests,
                }
            )
        )  # fmt: skip
    return _with_q(_joined(tables, PER_CLASS_COLUMNS))


def confusion_differences(counts: Counts, baseline: str, class_names: Sequence[str]) -> pd.DataFrame:
    """Return a row a variant and pair of two classes: how much oftener than the baseline it mixes them up.

    Returns:
        ``share`` is the part of the true class's images that are taken for the other class, a mean over the
        ``pairs``; ``difference`` is it minus the baseline's, seed by seed, with 95% interval and p (paired
        t-test), and ``q`` as in `per_class_table`, adjusted over all pairs of classes and all variants.
    """
    tables = []
    off = ~np.eye(len(class_names), dtype=bool).ravel()
    for variant, trials in counts.items():
        pairs = _pairs(counts, variant, baseline)
        if not pairs:
            continue
        own, other = (
            np.array([_shares(c[seed]).ravel()[off] for seed in pairs]) for c in (trials, counts[baseline])
        )
        difference, low, high, p = _mean_test(own - other)
        cells = {name: column[off] for name, column in _cells(class_names).items()}
        shares = {"share": own.mean(axis=0), "baseline_share": other.mean(axis=0)}
        tests = {"difference": difference, "low": low, "high": high, "p": p}
        tables.append(pd.DataFrame({"variant": variant, **cells, "pairs": len(pairs), **shares, **tests}))
    return _with_q(_joined(tables, DIFFERENCE_COLUMNS))


def _cells(class_names: Sequence[str]) -> dict[str, NDArray[np.object_]]:
    names = np.array(class_names, dtype=object)
    return {"true": np.repeat(names, len(names)), "predicted": np.tile(names, len(names))}


def _joined(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return joined.reindex(columns=columns)


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _accuracies(
    trials: Mapping[int, Predictions], seeds: Sequence[int], labels: Labels, images: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the accuracy in each class, (seeds, classes)."""
    right = []
    for seed in seeds:
        agreed = trials[seed].classes == labels
        right.append(
            np.bincount(labels[agreed], minlength=len(images)) if labels.ndim == 1 else agreed.sum(axis=0)
        )
    return np.asarray(np.array(right) / np.maximum(images, 1))


def _pairs(found: Mapping[str, Mapping[int, Any]], variant: str, baseline: str) -> list[int]:
    """Return the seeds that a variant shares with the baseline; the baseline itself has none."""
    other = found.get(baseline, {})
    return [] if variant == baseline else [seed for seed in found[variant] if seed in other]


def _mean_test(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return mean, 95% interval and p of each column, NaN where there are too few rows; (rows, columns)."""
    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:
        return (mean, *[np.full(mean.shape, np.nan)] * 3)
    error = values.std(axis=0, ddof=1) / np.sqrt(n)
    half = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * error
    testable = (error > ROUNDING) & (n >= FEWEST_PAIRS)
    t = np.divide(mean, error, where=testable, out=np.full(mean.shape, np.nan))
    return mean, mean - half, mean + half, np.asarray(2 * stdtr(n - 1, -np.abs(t)))


def _with_q(table: pd.DataFrame) -> pd.DataFrame:
    """Adjust p over the whole table."""
    from scipy.stats import false_discovery_control

    p = table["p"].astype(float)
    tested = p.notna()
    table["q"] = np.nan
    if tested.any():
        table.loc[tested, "q"] = false_discovery_control(p[tested], method="bh")
    return table
