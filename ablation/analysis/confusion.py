"""Per-class accuracy and confusions, and where they differ from those of the baseline."""

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
from ablation.data.predictions import ByTrial, LabelsBySeed, Predictions

CONFUSION_COLUMNS = ["variant", "true", "predicted", "count", "share"]
PER_CLASS_COLUMNS = [
    "variant", "class", "n", "images", "accuracy", "low", "high",
    "pairs", "difference", "difference_low", "difference_high", "p", "q",
]  # fmt: skip
DIFFERENCE_COLUMNS = [
    "variant", "true", "predicted", "pairs", "share", "baseline_share",
    "difference", "low", "high", "p", "q",
]  # fmt: skip
FALSE_DISCOVERIES = 0.05  # the false discovery rate at which a difference is called significant

Counts = Mapping[str, Mapping[int, NDArray[np.int64]]]
"""For each variant and seed, its counts of true and predicted classes: (true classes, predicted classes)."""


def confusion_counts(predictions: ByTrial, labels: LabelsBySeed, classes: int) -> Counts:
    """Count true and predicted classes, one matrix per trial.

    Args:
        predictions: What each trial predicts.
        labels: The true classes of each seed's test images, (test images,). If images have several labels,
            no label is confused with another, and the result is empty.
        classes: The number of classes.
    """
    if any(of_seed.ndim == 2 for of_seed in labels.values()):
        return {}

    def matrix(true: Labels, predicted: Predictions) -> NDArray[np.int64]:
        return np.bincount(true * classes + predicted.classes, minlength=classes**2).reshape(classes, -1)

    return {
        variant: {seed: matrix(labels[seed], predicted) for seed, predicted in trials.items()}
        for variant, trials in predictions.items()
    }


def confusion_table(counts: Counts, class_names: Sequence[str]) -> pd.DataFrame:
    """Return how often a variant's trials predict each class as each class.

    Returns:
        One row per variant, true class and predicted class: ``count``, summed over the variant's trials, and
        ``share``, that count divided by the count of all images of the true class.
    """
    tables = []
    for variant, trials in counts.items():
        total = sum(trials.values(), np.zeros((len(class_names),) * 2, np.int64))
        cells = {"count": total.ravel(), "share": _shares(total).ravel()}
        tables.append(pd.DataFrame({"variant": variant, **_cells(class_names), **cells}))
    return _joined(tables, CONFUSION_COLUMNS)


def per_class_table(
    predictions: ByTrial, labels: LabelsBySeed, baseline: str, class_names: Sequence[str]
) -> pd.DataFrame:
    """Return the accuracy of each variant in each class, and its difference from the baseline's.

    Args:
        predictions: What each trial predicts.
        labels: The true classes of each seed's test images, (test images,), or their labels,
            (test images, labels).
        baseline: The variant that the others are compared with.
        class_names: The names of the classes, or of the labels.

    Returns:
        One row per variant and class. ``accuracy`` is a mean over ``n`` seeds with its 95% interval
        (Student's t), and ``images`` the number of test images of the class, the fewest that a seed has. For
        a label, the accuracy is the share of all test images on which the label is predicted correctly. A
        class without test images has no accuracy and no difference: NaN.
        ``difference`` is a mean over the ``pairs``, seed by seed, with its 95% interval and its p (paired
        t-test). ``q`` is p adjusted over all classes and variants together, so that among the differences
        with q at most 0.05, at most 5% are expected to be false discoveries (Benjamini and Hochberg, 1995).
        Under three pairs there is neither p nor q.
    """
    tables = []
    images = {seed: _images_per_class(of_seed, len(class_names)) for seed, of_seed in labels.items()}
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
                    "variant": variant, "class": class_names, "n": len(trials),
                    "images": np.min([images[seed] for seed in trials], axis=0),
                    "accuracy": mean, "low": low, "high": high, "pairs": len(pairs), **tests,
                }
            )
        )  # fmt: skip
    return _with_q(_joined(tables, PER_CLASS_COLUMNS))


def confusion_differences(counts: Counts, baseline: str, class_names: Sequence[str]) -> pd.DataFrame:
    """Return how much more often than the baseline each variant confuses one class with another.

    Returns:
        One row per variant and ordered pair of different classes. ``share`` is the share of the true class's
        images that are predicted as the other class, a mean over the ``pairs``. ``difference`` is that share
        minus the baseline's, seed by seed, with its 95% interval and p (paired t-test). ``q`` is as in
        `per_class_table`, adjusted over all pairs of classes and all variants.
    """
    tables = []
    off = ~np.eye(len(class_names), dtype=bool).ravel()
    for variant, trials in counts.items():
        pairs = _pairs(counts, variant, baseline)
        if not pairs:
            continue
        of_variant, of_baseline = (
            np.array([_shares(c[seed]).ravel()[off] for seed in pairs]) for c in (trials, counts[baseline])
        )
        difference, low, high, p = _mean_test(of_variant - of_baseline)
        cells = {name: column[off] for name, column in _cells(class_names).items()}
        shares = {"share": of_variant.mean(axis=0), "baseline_share": of_baseline.mean(axis=0)}
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
    """Return the shares of each true class's images, (classes, classes); NaN for a class without images."""
    return _divided(counts, counts.sum(axis=1, keepdims=True))


def _divided(counts: NDArray[Any], totals: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts divided by totals, NaN where the total is 0."""
    return np.asarray(np.divide(counts, totals, where=totals > 0, out=np.full(counts.shape, np.nan)))


def _images_per_class(labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return the number of images of each class; of each label, that of all images, (classes,)."""
    return np.bincount(labels, minlength=classes) if labels.ndim == 1 else np.full(classes, len(labels))


def _accuracies(
    trials: Mapping[int, Predictions],
    seeds: Sequence[int],
    labels: LabelsBySeed,
    images: Mapping[int, NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Return the accuracy in each class, (seeds, classes); NaN in a class without test images."""
    right = []
    for seed in seeds:
        true, agreed = labels[seed], trials[seed].classes == labels[seed]
        right.append(
            np.bincount(true[agreed], minlength=len(images[seed])) if true.ndim == 1 else agreed.sum(axis=0)
        )
    return _divided(np.array(right), np.array([images[seed] for seed in seeds]))


def _pairs(by_trial: Mapping[str, Mapping[int, Any]], variant: str, baseline: str) -> list[int]:
    """Return the seeds that a variant shares with the baseline; none for the baseline itself."""
    of_baseline = by_trial.get(baseline, {})
    return [] if variant == baseline else [seed for seed in by_trial[variant] if seed in of_baseline]


def _mean_test(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return mean, low and high end of the 95% interval, and p of each column; NaN for too few rows.

    Args:
        values: (seeds, columns).
    """
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
    """Add ``q``: p adjusted over the whole table (Benjamini and Hochberg, 1995)."""
    from scipy.stats import false_discovery_control

    p = table["p"].astype(float)
    tested = p.notna()
    table["q"] = np.nan
    if tested.any():
        table.loc[tested, "q"] = false_discovery_control(p[tested], method="bh")
    return table
