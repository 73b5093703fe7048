"""How many seeds a comparison needs, estimated from the noise of a pilot study."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import chdtri, nctdtr

from ablation.analysis.inference import FEWEST_PAIRS, METHODS
from ablation.analysis.intervals import completed_results, paired_differences
from ablation.grid.compare_settings import CompareSettings

POWER = 0.8
MOST_SEEDS = 10_000
SEEDS_COLUMNS = ["variant", "n", "deviation", "margin", "level", "seeds", "seeds_low", "seeds_high", "hours"]


def power_of(seeds: int, effect_size: float, level: float, compare: CompareSettings) -> float:
    """Return the power of the test to distinguish a difference of that standardised size from 0.

    Args:
        seeds: The number of pairs.
        effect_size: The difference divided by the standard deviation of the pairs' differences.
        level: The two-sided level of the test.
        compare: Whether the test is anytime-valid. If so, the power is that of the last look, and the
            probability of detecting the difference by then is a little larger.
    """
    critical = METHODS[compare.looks].critical(seeds, level)
    if math.isinf(critical):
        return 0.0
    shift = effect_size * math.sqrt(seeds)
    # The lower tail is taken as the upper one of the mirrored distribution: SciPy's has gaps far out.
    return float(2 - nctdtr(seeds - 1, shift, critical) - nctdtr(seeds - 1, -shift, critical))


def seeds_needed(deviation: float, level: float, compare: CompareSettings) -> int:
    """Return the smallest number of pairs with a power of `POWER`; `MOST_SEEDS` if that is not enough."""
    effect_size = compare.margin / deviation if deviation > 0 else math.inf
    if math.isinf(effect_size):
        return FEWEST_PAIRS
    low, high = FEWEST_PAIRS - 1, MOST_SEEDS  # power grows with the pairs, so bisection works
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if power_of(middle, effect_size, level, compare) >= POWER else (middle, high)
        )
    return high


def seeds_table(results: pd.DataFrame, baseline: str, compare: CompareSettings) -> pd.DataFrame:
    """Estimate how many seeds each comparison needs to detect a difference of the margin, and their cost.

    The pilot's standard deviation is itself uncertain: ``seeds_low`` and ``seeds_high`` are for the ends of
    its 80% interval (chi-square). The level is the strictest that the correction may require.

    Args:
        results: The pilot's results table.
        baseline: The variant that the others are compared with.
        compare: Metric, margin, alpha and correction.

    Returns:
        One row per variant: ``n`` pairs of the pilot, the standard ``deviation`` of their differences,
        ``level``, the number of ``seeds`` needed in all, and ``hours``: how long the missing seeds take, one
        after another, in the variant and in the baseline. NaN under two pairs.
    """
    by_variant = paired_differences(results, baseline, compare.metric)
    level = compare.alpha / (len(by_variant) if compare.correction == "holm" and by_variant else 1)
    seconds = completed_results(results).groupby("variant")["seconds"].mean()
    rows = []
    for name, differences in by_variant.items():
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
