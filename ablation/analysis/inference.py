"""What paired differences support: estimate, interval, p, and a verdict that is read off the interval.

There are two methods, both exact for normal differences at any number of pairs, however small. Rank and
sign-flip tests do not suit few seeds: with five pairs, their smallest p is 1/16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit  # Student's t as `scipy.stats.t` has it, half a second sooner

from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted

JUDGEMENT_COLUMNS = [
    "n", "difference", "low", "high", "p", "p_adjusted", "effect_size", "test", "confidence",
    "verdict", "reason",
]  # fmt: skip
FEWEST_PAIRS = 3
ROUNDING = 1e-12  # a standard deviation below this comes from floating point, not from the data
_PRIOR_VARIANCE = 4.0  # of the standardised effect; paired seeds often differ by one to three deviations


@dataclass(frozen=True)
class Method:
    """A test of a mean of paired differences against zero.

    Attributes:
        name: The name in the tables.
        p: Returns the p of a t statistic for a number of pairs.
        critical: Returns the absolute t statistic, for a number of pairs, from which on p is at most a level.
    """

    name: str
    p: Callable[[float, int], float]
    critical: Callable[[int, float], float]


def _student_p(t: float, n: int) -> float:
    return float(2 * stdtr(n - 1, -abs(t)))


def _student_critical(n: int, level: float) -> float:
    return float(stdtrit(n - 1, 1 - level / 2))


def _anytime_p(t: float, n: int) -> float:
    degrees, spread = n - 1, 1 + n * _PRIOR_VARIANCE
    ratio = math.log1p(t * t / degrees) - math.log1p(t * t / degrees / spread)
    return min(1.0, math.exp((math.log(spread) - n * ratio) / 2))


def _anytime_critical(n: int, level: float) -> float:
    degrees, spread = n - 1, 1 + n * _PRIOR_VARIANCE
    factor = math.exp((math.log(spread) - 2 * math.log(level)) / n)
    return math.sqrt(degrees * (factor - 1) / (1 - factor / spread)) if factor < spread else math.inf


STUDENT = Method("paired t", _student_p, _student_critical)
"""The t-test of Student (1908), "The probable error of a mean", for a number of pairs fixed beforehand."""

ANYTIME = Method("anytime-valid paired t", _anytime_p, _anytime_critical)
"""The mixture t-test, which is anytime-valid: its p holds at every number of pairs simultaneously.

Results may therefore be inspected, and seeds added, at any time.

The p is one over the Bayes factor of a normal standardised effect of variance 4 against none, which is a test
martingale, so Ville's inequality holds its error at every moment together: Lai (1976), "On confidence
sequences"; Wang and Ramdas (2025), "Anytime-valid t-tests and confidence sequences for Gaussian means with
unknown variance", arXiv:2310.03722.
"""

METHODS = {"once": STUDENT, "any": ANYTIME}


def judge(differences: Mapping[str, NDArray[np.float64]], compare: CompareSettings) -> pd.DataFrame:
    """Judge a family of paired differences together.

    The p-values are adjusted by Holm's method (Holm, 1979, "A simple sequentially rejective multiple test
    procedure"), and each interval has the confidence level at which Holm's method decides on its difference:
    at least ``1 - alpha``, and more while other differences are open. An interval therefore excludes 0
    exactly if the adjusted p is at most alpha. The verdict is read off the interval:

    - ``equivalent``: it lies within plus and minus the margin (two one-sided tests: Schuirmann, 1987);
    - ``better`` or ``worse``: it excludes 0;
    - ``unresolved``: neither; and, under three pairs, no verdict.

    Args:
        differences: The differences of the pairs, by name: (pairs,).
        compare: Margin, alpha, correction, and how often the results may be looked at.

    Returns:
        One row per name, with `JUDGEMENT_COLUMNS`; ``difference`` is the mean, ``effect_size`` is Cohen's d
        of the differences (mean divided by standard deviation), and ``reason`` says why the verdict is given.
    """
    method = METHODS[compare.looks]
    moments = {name: _moments(values) for name, values in differences.items()}
    p = {name: _p_value(m, method) for name, m in moments.items()}
    tested = [name for name in p if not math.isnan(p[name])]
    levels, adjusted = _levels({name: p[name] for name in tested}, compare)
    rows = []
    for name, (n, mean, deviation) in moments.items():
        level = levels.get(name, math.nan)
        half = math.nan
        if name in levels:
            half = method.critical(n, level) * deviation / math.sqrt(n)
        low, high = (mean - half, mean + half) if math.isfinite(half) else (math.nan, math.nan)
        rows.append([
            n, mean, low, high, p[name], adjusted.get(name, math.nan),
            mean / deviation if name in levels else math.nan, method.name, 1 - level,
            *_verdict(n, low, high, deviation, compare),
        ])  # fmt: skip
    return pd.DataFrame(rows, columns=JUDGEMENT_COLUMNS, index=pd.Index(list(moments), dtype=object))


def _moments(values: NDArray[np.float64]) -> tuple[int, float, float]:
    """Return n, mean and standard deviation; NaN if there are too few values."""
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    return n, mean, float(np.std(values, ddof=1)) if n > 1 else math.nan


def _p_value(moments: tuple[int, float, float], method: Method) -> float:
    n, mean, deviation = moments
    return method.p(mean / deviation * math.sqrt(n), n) if deviation > ROUNDING else math.nan


def _levels(p: Mapping[str, float], compare: CompareSettings) -> tuple[dict[str, float], dict[str, float]]:
    """Return the level at which each hypothesis is decided, and its adjusted p, by name."""
    if compare.correction == "none" or not p:
        return dict.fromkeys(p, compare.alpha), dict(p)
    levels: dict[str, float] = {}
    adjusted: dict[str, float] = {}
    level = highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        remaining = len(p) - rank
        if highest <= compare.alpha:  # all before are rejected; once one is not, neither are those after it
            level = compare.alpha / remaining
        highest = max(highest, remaining * p[name])
        levels[name], adjusted[name] = level, min(1.0, highest)
    return levels, adjusted


def _verdict(n: int, low: float, high: float, deviation: float, compare: CompareSettings) -> tuple[str, str]:
    if n < FEWEST_PAIRS:
        return "", f"{counted(n, 'pair')}; a verdict needs {FEWEST_PAIRS}"
    if not deviation > ROUNDING:
        return "unresolved", f"all {n} differences are the same, so their spread is not known"
    if math.isnan(low):
        return "unresolved", f"{n} pairs are too few for an interval that holds under looking"
    if -compare.margin < low and high < compare.margin:
        return "equivalent", "the interval lies within the margin"
    if low > 0:
        return "better" if compare.higher_is_better else "worse", "the interval lies above 0"
    if high < 0:
        return "worse" if compare.higher_is_better else "better", "the interval lies below 0"
    return "unresolved", "the interval holds 0 and differences beyond the margin"
