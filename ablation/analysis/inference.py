"""What paired differences support: estimate, interval, p, and a verdict that is read off the interval.

There are two methods, both exact for normal differences at any number of pairs, however small. Rank and
sign-flip tests do not suit few seeds: with five pairs, their smallest p is 1/16. As a second reading, a sign
test and a test of normality stand beside them (`ablation.analysis.second_reading`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit  # as `scipy.stats` has them, half a second sooner

from ablation.analysis.estimates import Estimate
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted

JUDGEMENT_COLUMNS = [
    "n", "difference", "low", "high", "p", "p_adjusted", "effect_size", "test", "confidence",
    "verdict", "reason", "declared", "holds_for", "se_images", "environments",
]  # fmt: skip
FEWEST_PAIRS = 3
ROUNDING = 1e-12  # a standard deviation below this comes from floating point, not from the data
EXPLORATORY = "exploratory"
_SMALLEST_P = 1e-300
_LOG_PRECISION = 1e-13
_PRIOR_VARIANCE = 4.0  # of the standardised effect; paired seeds often differ by one to three deviations


@dataclass(frozen=True)
class Method:
    """A test of a mean of paired differences against zero.

    Attributes:
        name: The name in the tables.
        p: Returns the p of a t statistic for a number of pairs.
        critical: Returns the absolute t statistic, for a number of pairs, from which on p is at most a level.
        image_share: The share of the level that seeds and images have each, if both are in an interval.
    """

    name: str
    p: Callable[[float, int], float]
    critical: Callable[[int, float], float]
    image_share: float

    def half_width(self, n: int, seed_error: float, image_error: float, level: float) -> float:
        """Return half the width of the interval at confidence 1 - level; infinity if n is too small.

        With an image part, it is the root of the sum of the squares of two half-widths, that over seeds and
        that over images: Howe (1974), "Approximate confidence limits on the mean of X + Y where X and Y are
        two tabled independent random variables". Satterthwaite's degrees of freedom, which are usual for
        such designs, err 2 to 4 times as often as promised with 5 and 3 seeds at the level of one of seven
        (``experiments/benchmark/simulation.py``).
        """
        if not image_error:
            return self.critical(n, level) * seed_error
        level *= self.image_share
        return math.hypot(self.critical(n, level) * seed_error, -float(ndtri(level / 2)) * image_error)

    def p_value(self, mean: float, n: int, seed_error: float, image_error: float) -> float:
        """Return the level at which the interval just excludes 0."""
        if not image_error:
            return self.p(mean / seed_error, n)
        low, high = math.log(_SMALLEST_P), 0.0
        while high - low > _LOG_PRECISION:
            middle = (low + high) / 2
            excludes_zero = self.half_width(n, seed_error, image_error, math.exp(middle)) < abs(mean)
            low, high = (low, middle) if excludes_zero else (middle, high)
        return math.exp(high)


def _student_p(t: float, n: int) -> float:
    return float(2 * stdtr(n - 1, -abs(t)))


def _student_critical(n: int, level: float) -> float:
    return -float(stdtrit(n - 1, level / 2))


def _anytime_p(t: float, n: int) -> float:
    degrees, spread = n - 1, 1 + n * _PRIOR_VARIANCE
    ratio = math.log1p(t * t / degrees) - math.log1p(t * t / degrees / spread)
    return min(1.0, math.exp((math.log(spread) - n * ratio) / 2))


def _anytime_critical(n: int, level: float) -> float:
    degrees, spread = n - 1, 1 + n * _PRIOR_VARIANCE
    exponent = (math.log(spread) - 2 * math.log(level)) / n
    if exponent >= math.log(spread):
        return math.inf
    return math.sqrt(degrees * math.expm1(exponent) / (1 - math.exp(exponent) / spread))


STUDENT = Method("paired t", _student_p, _student_critical, 1.0)
"""The t-test of Student (1908), "The probable error of a mean", for a number of pairs fixed beforehand."""

ANYTIME = Method("anytime-valid paired t", _anytime_p, _anytime_critical, 0.5)
"""The mixture t-test, which is anytime-valid: its p holds at every number of pairs simultaneously.

Results may therefore be inspected, and seeds added, at any time, if the differences are normal.

The p is one over the Bayes factor of a normal standardised effect of variance 4 against none, which is a test
martingale, so Ville's inequality holds its error at every moment together: Lai (1976), "On confidence
sequences"; Wang and Ramdas (2025), "Anytime-valid t-tests and confidence sequences for Gaussian means with
unknown variance", arXiv:2310.03722. Test images, which all looks share, are a part of the error that seeds do
not shrink. With them, seeds and images have half of the level each, which holds the error in simulation.
"""

METHODS = {"once": STUDENT, "any": ANYTIME}


@dataclass(frozen=True)
class _Decision:
    """The level at which a hypothesis is decided, its p, adjusted, and whether it is rejected."""

    level: float
    adjusted: float
    rejected: bool


def judge(
    differences: Mapping[str, NDArray[np.float64] | Estimate],
    compare: CompareSettings,
    exploratory: Collection[str] = (),
    questions: Mapping[str, Hashable] | None = None,
) -> pd.DataFrame:
    """Judge a family of paired differences together.

    The p-values are adjusted by Holm's method (Holm, 1979, "A simple sequentially rejective multiple test
    procedure") over the whole family, in which a difference that cannot be tested yet counts with a p of 1.
    The verdict is read off an interval:

    - ``equivalent``: the interval of level 1 - alpha / m, for a family of m, lies within plus and minus the
      margin (two one-sided tests: Schuirmann, 1987; all m together by Bonferroni's inequality);
    - ``better`` or ``worse``: the interval of the level at which Holm's method decides excludes 0;
    - ``unresolved``: neither; and, under three pairs, no verdict.

    The interval of a row is the one from which its verdict is read; of an unresolved one, that of level
    1 - alpha / m. Except for equivalent rows, it excludes 0 exactly if the adjusted p is at most alpha.

    Args:
        differences: The differences of the pairs by name, (pairs,), or their `Estimate`.
        compare: Margin, alpha, correction, and how often the results may be looked at.
        exploratory: The names outside of the family: their intervals are not corrected, and they get no
            verdict.
        questions: What makes two names the same question, and so one member of the family; by default, each
            name is its own.

    Returns:
        One row per name, with `JUDGEMENT_COLUMNS`. ``difference`` is the mean; ``effect_size`` is Cohen's d
        of the differences (mean divided by standard deviation); ``reason`` says why the verdict is given;
        ``holds_for`` names what the interval generalises to, and ``se_images`` is the standard error that
        other test images add.
    """
    method = METHODS[compare.looks]
    estimates = {
        name: values if isinstance(values, Estimate) else Estimate(np.asarray(values, np.float64))
        for name, values in differences.items()
    }
    p = {name: _p_value(estimate, method) for name, estimate in estimates.items()}
    questions = questions or {}
    family = {questions.get(name, name): p[name] for name in p if name not in exploratory}
    decisions = _decisions(family, compare)
    rows = []
    for name, estimate in estimates.items():
        decision = decisions.get(questions.get(name, name)) if name not in exploratory else None
        strict = compare.alpha / len(family) if decision and compare.correction == "holm" else compare.alpha
        rows.append(_row(estimate, p[name], decision, strict, compare))
    return pd.DataFrame(rows, columns=JUDGEMENT_COLUMNS, index=pd.Index(list(estimates), dtype=object))


def judge_so_far(
    estimates: Mapping[str, Estimate],
    unfinished: Collection[str],
    compare: CompareSettings,
    exploratory: Collection[str] = (),
    questions: Mapping[str, Hashable] | None = None,
) -> pd.DataFrame:
    """Judge a family of which some trials are pending, so that each verdict stays.

    A difference of which all trials are done is judged as it will be at the end, with a p of 1 for each
    unfinished one. Holm's method rejects no less with smaller p-values, so it rejects at the end what it
    rejects now, and looking costs nothing. An unfinished difference is an interim look: it is judged by the
    anytime-valid test at a tenth of alpha.

    Args:
        estimates: The estimates of all differences by name.
        unfinished: The names of those of which a trial is pending.
        compare: As in `judge`.
        exploratory: As in `judge`.
        questions: As in `judge`.

    Returns:
        The rows of `judge`.
    """
    if not unfinished or compare.looks == "any":
        return judge(estimates, compare, exploratory, questions)
    nothing = Estimate(np.empty(0))
    done = {name: nothing if name in unfinished else estimate for name, estimate in estimates.items()}
    final = judge(done, compare, exploratory, questions)
    interim = judge(estimates, compare.interim(), exploratory, questions)
    final.loc[list(unfinished)] = interim.loc[list(unfinished)]
    return final


def _p_value(estimate: Estimate, method: Method) -> float:
    if not estimate.deviation > ROUNDING:
        return math.nan
    return method.p_value(estimate.mean, estimate.n, estimate.seed_error, estimate.image_error)


def _decisions(p: Mapping[Hashable, float], compare: CompareSettings) -> dict[Hashable, _Decision]:
    """Decide on each hypothesis of a family by its p; one that is not tested has NaN."""
    if compare.correction == "none":
        return {name: _Decision(compare.alpha, value, value <= compare.alpha) for name, value in p.items()}
    decisions: dict[Hashable, _Decision] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: (math.isnan(p[name]), p[name]))):
        remaining = len(p) - rank
        highest = max(highest, remaining * p[name])  # stays as it is for NaN, which comes last
        adjusted = math.nan if math.isnan(p[name]) else min(1.0, highest)
        decisions[name] = _Decision(compare.alpha / remaining, adjusted, adjusted <= compare.alpha)
    return decisions


def _row(
    estimate: Estimate, p: float, decision: _Decision | None, strict: float, compare: CompareSettings
) -> list[object]:
    """Return the columns of `judge` for one difference; without a decision, it is exploratory."""
    method, n, mean = METHODS[compare.looks], estimate.n, estimate.mean

    def interval(level: float) -> tuple[float, float]:
        if math.isnan(p):
            return math.nan, math.nan
        half = method.half_width(n, estimate.seed_error, estimate.image_error, level)
        return (mean - half, mean + half) if math.isfinite(half) else (math.nan, math.nan)

    level = strict
    low, high = interval(strict)
    is_equivalent = -compare.margin < low and high < compare.margin
    if decision and decision.rejected and not is_equivalent:
        level = decision.level
        low, high = interval(level)
    verdict, reason = "", EXPLORATORY
    if decision:
        verdict, reason = _verdict(estimate, low, high, is_equivalent, compare)
    return [
        n, mean, low, high, p, decision.adjusted if decision else math.nan,
        math.nan if math.isnan(p) else mean / estimate.deviation, method.name,
        math.nan if math.isnan(p) else 1 - level, verdict, reason, decision is not None,
        "seeds and images" if estimate.images else "seeds",
        estimate.image_error, estimate.environments,
    ]  # fmt: skip


def _verdict(
    estimate: Estimate, low: float, high: float, is_equivalent: bool, compare: CompareSettings
) -> tuple[str, str]:
    n = estimate.n
    if n < FEWEST_PAIRS:
        return "", f"{counted(n, 'pair')}; a verdict needs {FEWEST_PAIRS}"
    if not estimate.deviation > ROUNDING:
        return "unresolved", f"all {n} differences are the same, so their spread is not known"
    if math.isnan(low):
        return "unresolved", f"{n} pairs are too few for an interval that holds under looking"
    if is_equivalent:
        return "equivalent", "the interval lies within the margin"
    if low > 0:
        return "better" if compare.higher_is_better else "worse", "the interval lies above 0"
    if high < 0:
        return "worse" if compare.higher_is_better else "better", "the interval lies below 0"
    return "unresolved", "the interval holds 0 and differences beyond the margin"
