"""How often a few seeds give a difference another sign than all seeds together do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIZES = (1, 2, 3, 5)
"""The numbers of pairs that are looked at."""
SIGN_COLUMNS = ["pairs", "groups", "all_groups", "same", "zero", "other"]
ROUNDING = 1e-12  # a mean of differences below this is 0, and the rest is from floating point

_MOST_GROUPS = 200_000  # that are all looked at
_DRAWN = 50_000
_AT_A_TIME = 2_000


def sign_errors(differences: NDArray[np.float64], sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """Return how often the mean of a few differences has another sign than the mean of all.

    For each size, all groups of so many of the differences are looked at, or, where these are more than
    200,000, 50,000 groups that are drawn with a fixed seed, each without repetition. The groups are part of
    the whole that they are compared with, and its sign is itself an estimate: these are shares of the groups
    of this sample, and no probabilities of an error in the population. They are what is called a type S error
    (Gelman and Carlin, 2014, "Beyond power calculations") where the sign of the whole is known.

    Args:
        differences: One per pair of trials, (pairs,).
        sizes: The numbers of pairs in a group.

    Returns:
        `SIGN_COLUMNS`, one row per size: the number of ``groups``, whether these are ``all_groups``, and
        the shares of groups whose mean has the ``same`` sign as the mean of all, is ``zero``, or has the
        ``other`` sign. The shares are NaN where a group would be the whole, or if the mean of all is 0.
    """
    whole = _sign(differences.mean(keepdims=True))[0] if len(differences) else 0
    rows = list[tuple[int, int, bool, float, float, float]]()
    for size in sizes:
        count = math.comb(len(differences), size)
        if size >= len(differences) or whole == 0:
            rows.append((size, 0, True, math.nan, math.nan, math.nan))
            continue
        signs = np.concatenate([_sign(group.mean(axis=1)) for group in _groups(differences, size, count)])
        same, zero, other = (float(np.mean(signs == wanted)) for wanted in (whole, 0, -whole))
        rows.append((size, len(signs), count <= _MOST_GROUPS, same, zero, other))
    return pd.DataFrame(rows, columns=SIGN_COLUMNS)


def _sign(means: NDArray[np.float64]) -> NDArray[np.int8]:
    return np.where(np.abs(means) < ROUNDING, 0, np.sign(means)).astype(np.int8)


def _groups(differences: NDArray[np.float64], size: int, count: int) -> Iterator[NDArray[np.float64]]:
    """Yield groups of differences, (groups, size) at a time."""
    if count <= _MOST_GROUPS:
        chosen = combinations(range(len(differences)), size)
        while part := list(islice(chosen, _AT_A_TIME)):
            yield differences[np.array(part)]
        return
    generator = np.random.default_rng(0)
    for _ in range(_DRAWN // _AT_A_TIME):
        keys = generator.random((_AT_A_TIME, len(differences)))
        yield differences[np.argpartition(keys, size, axis=1)[:, :size]]
