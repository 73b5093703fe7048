"""Find variants whose trials gave the same numbers to the bit: what distinguishes them had no effect."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.digest import short_digest

_NOT_MEASURED = ["variant", "seed", "epoch", "seconds"]  # of a history's columns
_RESULTS = ["train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "val_loss", "test_loss"]


def identical_variants(
    variants: Sequence[str], results: pd.DataFrame, history: pd.DataFrame
) -> list[tuple[str, ...]]:
    """Group the variants whose completed trials have the same results and histories to the bit.

    Args:
        variants: The names of the variants, in the order in which a group names them.
        results: The results table.
        history: The history table; all of its columns but the times are compared.

    Returns:
        The groups of two or more variants, which are compared seed by seed on the seeds that both completed.
    """
    measured = history.drop(columns=_NOT_MEASURED).to_numpy(float)
    epochs = history.groupby(["variant", "seed"], sort=False).indices
    completed = completed_results(results)
    ended = completed[_RESULTS].to_numpy(float)
    digests: dict[str, dict[int, str]] = {}
    for variant, seed, metrics in zip(completed["variant"], completed["seed"], ended, strict=True):
        content = metrics.tobytes() + measured[epochs.get((variant, seed), [])].tobytes()
        digests.setdefault(variant, {})[seed] = short_digest(content, 16)
    groups: dict[str, list[str]] = {}  # by their first variant
    holders: dict[tuple[int, str], list[str]] = {}  # the first variants that have this digest for this seed
    for name in (name for name in variants if name in digests):
        alike = {first for trial in digests[name].items() for first in holders.get(trial, ())}
        candidates = (first for first in groups if first in alike)
        if found := next((c for c in candidates if _are_identical(digests[c], digests[name])), ""):
            groups[found].append(name)
            continue
        groups[name] = [name]
        for trial in digests[name].items():
            holders.setdefault(trial, []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _are_identical(one: dict[int, str], other: dict[int, str]) -> bool:
    """Return whether two variants have a completed seed in common, and the same digest for each such seed."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[seed] == other[seed] for seed in shared)
