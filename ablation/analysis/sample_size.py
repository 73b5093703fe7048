"""How many seeds a comparison needs, estimated from the noise of a pilot study."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, gammainccinv, gammaincinv, ndtr

from ablation.analysis.inference import FEWEST_PAIRS, METHODS, ROUNDING
from ablation.analysis.intervals import completed_results, paired_differences
from ablation.grid.compare_settings import CompareSettings

POWER = 0.8
MOST_SEEDS = 10_000
SEEDS_COLUMNS = [
    "variant", "n", "deviation", "margin", "level", "seeds", "seeds_low", "seeds_high", "hours",
    "equivalent_if_zero", "better_or_worse_if_zero", "unresolved_if_zero",
    "equivalent_if_margin", "better_or_worse_if_margin", "unresolved_if_margin",
]  # fmt: skip
_Floats = NDArray[np.float64]
_LARGEST_EFFECT = 1e6  # in standard deviations; above it, power no longer changes
_TAIL = 1e-16  # the probability beyond each end of the integral
_NORMAL_REACH = 8.5  # standard deviations beyond which a normal variable lies with a probability of 1e-17
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


class VerdictChances(NamedTuple):
    """The probability of each verdict on one comparison. Their sum is 1."""

    equivalent: float
    better_or_worse: float
    unresolved: float


def verdict_chances(
    seeds: int, effect_size: float, margin: float, level: float, compare: CompareSettings
) -> VerdictChances:
    """Return the probability of each verdict that `ablation.analysis.inference.judge` gives.

    The differences are normal, so their mean and their standard deviation are independent. Given the ratio u
    of the estimated to the true standard deviation, which is a chi variable over the root of its degrees of
    freedom, the half-width of the interval is known, and each verdict is an event of the normal mean alone.
    Its probability is integrated over u by the Gauss-Legendre rule on panels that end where the integrand
    bends: the integral that defines the noncentral t distribution, and Owen's Q (Owen, 1965, "A special case
    of a bivariate non-central t-distribution"), by which the power of two one-sided tests is computed exactly
    (Phillips, 1990, "Power of the two one-sided tests procedure in bioequivalence").

    Args:
        seeds: The number of pairs, at least 2.
        effect_size: The true difference divided by the standard deviation of the pairs' differences.
        margin: The margin divided by the same standard deviation. With a margin of 0, nothing is equivalent.
        level: The two-sided level of the test.
        compare: Whether the test is anytime-valid. If so, the verdicts are those of this look alone.
    """
    critical = METHODS[compare.looks].critical(seeds, level)
    if math.isinf(critical):
        return VerdictChances(0.0, 0.0, 1.0)
    shift, bound = abs(effect_size) * math.sqrt(seeds), margin * math.sqrt(seeds)
    bends = np.array([0, shift, bound / 2, bound, bound - shift, bound + shift])
    reach = _NORMAL_REACH
    u, weights = _chi_rule(seeds - 1, np.concatenate([bends - reach, bends, bends + reach]) / critical)
    half = critical * u  # the interval's half-width in standard errors, as are the bounds of its centre
    within, beyond = np.maximum(bound - half, 0), np.maximum(half, bound - half)
    equivalent = float(weights @ (ndtr(within - shift) - ndtr(-within - shift)))
    decided = float(weights @ (ndtr(shift - beyond) + ndtr(-shift - beyond)))
    return VerdictChances(min(1.0, equivalent), min(1.0, decided), max(0.0, 1 - equivalent - decided))


def _chi_rule(degrees: int, breaks: _Floats) -> tuple[_Floats, _Floats]:
    """Return a rule for means of functions of a chi variable over the root of its degrees of freedom.

    Args:
        degrees: The degrees of freedom.
        breaks: Where panels end, besides the two ends and 1, near which the density peaks.

    Returns:
        The nodes and their weights, each (nodes,). The weights sum to 1.
    """
    low, high = (
        math.sqrt(quantile(degrees / 2, _TAIL) * 2 / degrees) for quantile in (gammaincinv, gammainccinv)
    )
    edges = np.unique(np.clip([low, 1, *breaks, high], low, high))
    halves = np.diff(edges)[:, None] / 2
    u = (edges[:-1, None] + halves * (1 + _NODES)).ravel()
    density = np.exp((degrees - 1) * np.log(u) - degrees * (u * u - 1) / 2)
    weights = (halves * _WEIGHTS).ravel() * density
    return u, weights / weights.sum()


def power_of(seeds: int, effect_size: float, level: float, compare: CompareSettings) -> float:
    """Return the power of the test to distinguish a difference of that standardised size from 0.

    The power of Student's test grows with every pair. That of the anytime-valid test is 0 for the fewest
    pairs. Where it is low, it may fall a little with a further pair, because the test grows stricter: only
    below 1% at a level of 0.05, and below 20% at any level.

    Args:
        seeds: The number of pairs.
        effect_size: The difference divided by the standard deviation of the pairs' differences.
        level: The two-sided level of the test.
        compare: Whether the test is anytime-valid. If so, the power is that of the last look, and the
            probability of detecting the difference by then is a little larger.
    """
    return verdict_chances(seeds, effect_size, 0.0, level, compare).better_or_worse


def seeds_needed(deviation: float, level: float, compare: CompareSettings) -> int:
    """Return the smallest number of pairs with a power of `POWER`; `MOST_SEEDS` if that is not enough.

    Once the power is above 20%, it grows with every pair (see `power_of`), so it reaches `POWER` only once,
    and that number can be bisected.
    """
    effect_size = _in_deviations(compare.margin, deviation)
    low, high = FEWEST_PAIRS - 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of(middle, effect_size, level, compare) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def _in_deviations(margin: float, deviation: float) -> float:
    return min(margin / max(deviation, ROUNDING), _LARGEST_EFFECT)


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
        after another, in the variant and in the baseline. The other columns are the chance of each verdict
        with that many ``seeds`` at that level, if the pilot's deviation is the true one, and the true
        difference is zero (``equivalent_if_zero`` and so on) or exactly the margin (``equivalent_if_margin``
        and so on). A difference may be detected and equivalent at once, so ``better_or_worse_if_margin`` can
        be a little below `POWER`. NaN under two pairs; the chances also if all differences are the same.
    """
    by_variant = paired_differences(results, baseline, compare.metric)
    level = compare.alpha / (len(by_variant) if compare.correction == "holm" and by_variant else 1)
    seconds = completed_results(results).groupby("variant")["seconds"].mean()
    rows = []
    for name, differences in by_variant.items():
        n = len(differences)
        deviation = float(np.std(differences, ddof=1)) if n > 1 else math.nan
        needed, chances = [math.nan] * 3, [math.nan] * 6
        if n > 1:
            ends = [deviation * math.sqrt((n - 1) / chdtri(n - 1, tail)) for tail in (0.1, 0.9)]
            needed = [float(seeds_needed(d, level, compare)) for d in (deviation, *ends)]
        if deviation > ROUNDING:
            margin = _in_deviations(compare.margin, deviation)
            truths = [verdict_chances(int(needed[0]), true, margin, level, compare) for true in (0.0, margin)]
            chances = [chance for verdicts in truths for chance in verdicts]
        cost = seconds.get(name, math.nan) + seconds.get(baseline, math.nan)
        hours = np.maximum(0.0, needed[0] - n) * cost / 3600  # NaN stays NaN, unlike with `max`
        rows.append([name, n, deviation, compare.margin, level, *needed, hours, *chances])
    return pd.DataFrame(rows, columns=SEEDS_COLUMNS)
