"""Which classes are taken for which, and where a variant's mistakes are others than the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ablation.judgement import FEWEST_PAIRS, ROUNDING
from ablation.predictions import ByTrial
from ablation.statistics import CONFIDENCE

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


def confusion_counts(predictions: ByTrial, labels: NDArray[np.int64], classes: int) -> Counts:
    """Count true against predicted classes, a matrix a trial.

    Args:
        predictions: What each trial predicts.
        labels: The true classes, (test images,).
        classes: How many classes there are.
    """
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


def per_class_table(counts: Counts, baseline: str, class_names: Sequence[str]) -> pd.DataFrame:
    """Return a row a variant and class: its accuracy, and its difference from the baseline's.

    Returns:
        ``accuracy`` is a mean over ``n`` seeds with its 95% interval (Student's t), ``images`` the number of
        test images of the class. ``difference`` is a mean over the ``pairs``, seed by seed, with its 95%
        interval and its p (paired t-test). ``q`` is p adjusted over all classes and variants together, so
        that among those with q at most 0.05 at most 5% are expected to be no difference at all (Benjamini
        and Hochberg, 1995). Under three pairs there is neither p nor q.
    """
    tables = []
    for variant, trials in counts.items():
        accuracies = _diagonals(trials)
        mean, low, high, _ = _mean_test(accuracies)
        pairs = _pairs(counts, variant, baseline)
        difference = _diagonals(trials, pairs) - _diagonals(counts.get(baseline, {}), pairs)
        names = ("difference", "difference_low", "difference_high", "p")
        tests = dict(zip(names, _mean_test(difference), strict=True)) if pairs else {}
        images = next(iter(trials.values())).sum(axis=1)
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


def _diagonals(
    trials: Mapping[int, NDArray[np.int64]], seeds: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Return the accuracy in each class, (seeds, classes)."""
    chosen = trials if seeds is None else seeds
    return np.array([np.diag(_shares(trials[seed])) for seed in chosen])


def _pairs(counts: Counts, variant: str, baseline: str) -> list[int]:
    """Return the seeds that a variant shares with the baseline; the baseline itself has none."""
    other = counts.get(baseline, {})
    return [] if variant == baseline else [seed for seed in counts[variant] if seed in other]


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
