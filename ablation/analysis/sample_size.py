"""How many seeds a comparison needs, from what a pilot shows of its noise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import chdtri, nctdtr

from ablation.analysis.inference import FEWEST_PAIRS, METHODS
from ablation.analysis.intervals import paired_differences
from ablation.grid.compare_settings import CompareSettings

POWER = 0.8
MOST_SEEDS = 10_000
SEEDS_COLUMNS = ["variant", "n", "deviation", "margin", "level", "seeds", "seeds_low", "seeds_high", "hours"]


def power_of(seeds: int, effect_size: float, level: float, compare: CompareSettings) -> float:
    """Return the chance that so many pairs tell a difference of that standardised size from 0.

    Args:
        seeds: The number of pairs.
        effect_size: The difference over the standard deviation of the pairs' differences.
        level: The two-sided level of the test.
        compare: How often one may look; where that is any time, what is returned is the chance at the last
            look, and the chance of having seen it by then is a little larger.
    """
    critical = METHODS[compare.looks].critical(seeds, level)
    if math.isinf(critical):
        return 0.0
    shift = effect_size * math.sqrt(seeds)
    # The lower tail as the upper one of the mirrored distribution: SciPy's own has holes far out.
    return float(2 - nctdtr(seeds - 1, shift, critical) - nctdtr(seeds - 1, -shift, critical))


def seeds_needed(deviation: float, level: float, compare: CompareSettings) -> int:
    """Return the smallest number of pairs that has the power; `MOST_SEEDS` where even that has not."""
    effect_size = compare.margin / deviation if deviation > 0 else math.inf
    if math.isinf(effect_size):
        return FEWEST_PAIRS
    low, high = FEWEST_PAIRS - 1, MOST_SEEDS  # power grows with the pairs, so halving finds the place
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if power_of(middle, effect_size, level, compare) >= POWER else (middle, high)
        )
    return high


def seeds_table(results: pd.DataFrame, baseline: str, compare: CompareSettings) -> pd.DataFrame:
    """Say how many seeds each comparison needs to tell a difference of the margin, and what they cost.

    The pilot's standard deviation is itself uncertain: ``seeds_low`` and ``seeds_high`` are for the ends of
    its 80% interval (chi-square). The level is the strictest that the correction may ask for.

    Args:
        results: The pilot's results table.
        baseline: The variant that the others are compared with.
        compare: Metric, margin, alpha and correction.

    Returns:
        A row a variant: ``n`` pairs of the pilot, the ``deviation`` of their differences, ``level``,
        ``seeds`` needed in all, and ``hours``: how long the missing ones take, one after another, in the
        variant and in the baseline. NaN under two pairs.
    """
    found = paired_differences(results, baseline, compare.metric)
    level = compare.alpha / (len(found) if compare.correction == "holm" and found else 1)
    seconds = results[results["status"] == "completed"].groupby("variant")["seconds"].mean()
    rows = []
    for name, differences in found.items():
        n = len(differences)
        deviation = float(np.std(differences, ddof=1)) if n > 1 else math.nan
        needed = [math.nan] * 3
        if n > 1:
            ends = [deviation * math.sqrt((n - 1) / chdtri(n - 1, tail)) for tail in (0.1, 0.9)]
            needed = [float(seeds_needed(d, level, compare)) for d in (deviation, *ends)]
        cost = seconds.get(name, math.nan) + seconds.get(baseline, math.nan)
        hours = max(0.0, needed[0] - n) * cost / 3600
        rows.append([name, n, deviation, compare.margin, level, *needed, hours])
    return pd.DataFrame(rows, columns=SEEDS_COLUMNS)
