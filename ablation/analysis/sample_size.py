"""How many seeds a question needs, estimated from the noise of a pilot study."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, gammainccinv, gammaincinv, ndtr

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.estimates import Correct, Estimate, Measurements
from ablation.analysis.inference import FEWEST_PAIRS, METHODS, ROUNDING
from ablation.analysis.questions import COMPARISON, Question, study_questions
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

POWER = 0.8
MOST_SEEDS = 10_000
SEEDS_COLUMNS = [
    "question", "n", "deviation", "se_images", "margin", "level", "seeds", "seeds_low", "seeds_high", "hours",
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
    seeds: int,
    effect_size: float,
    margin: float,
    level: float,
    compare: CompareSettings,
    image_error: float = 0.0,
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
        image_error: The standard error that other test images add, divided by the same standard deviation,
            which no seeds reduce, and which is taken as known.
    """
    error = math.sqrt(1 / seeds + image_error**2)
    shift, bound = abs(effect_size) / error, margin / error
    bends = np.array([0, shift, bound / 2, bound, bound - shift, bound + shift])
    breaks = np.concatenate([bends - _NORMAL_REACH, bends, bends + _NORMAL_REACH])
    method = METHODS[compare.looks]
    if math.isinf(method.half_width(seeds, 1.0, image_error, level)):
        return VerdictChances(0.0, 0.0, 1.0)
    own_level = level * method.image_share if image_error else level
    of_images = method.half_width(seeds, 0.0, image_error, level) / error
    of_seeds = method.half_width(seeds, seeds**-0.5, 0.0, own_level) / error
    inverted = np.sqrt(np.maximum(breaks**2 - of_images**2, 0)) / of_seeds
    u, weights = _chi_rule(seeds - 1, inverted)
    half = np.hypot(of_seeds * u, of_images)  # the interval's half-width in standard errors
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


def power_of(
    seeds: int, effect_size: float, level: float, compare: CompareSettings, image_error: float = 0.0
) -> float:
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
        image_error: As in `verdict_chances`.
    """
    return verdict_chances(seeds, effect_size, 0.0, level, compare, image_error).better_or_worse


def seeds_needed(deviation: float, level: float, compare: CompareSettings, image_error: float = 0.0) -> float:
    """Return the smallest number of pairs with a power of `POWER`.

    Once the power is above 20%, it grows with every pair (see `power_of`), so it reaches `POWER` only once,
    and that number can be bisected.

    Args:
        deviation: The standard deviation of the pairs' differences, in the unit of the metric.
        level: The two-sided level of the test.
        compare: The margin, and whether the test is anytime-valid.
        image_error: The standard error that other test images add, in the unit of the metric.

    Returns:
        The number; infinity if `MOST_SEEDS` are not enough, or if, with any number of seeds, the test images
        are too few for that power.
    """
    if deviation < ROUNDING:
        return FEWEST_PAIRS
    if image_error and not images_suffice(compare.margin / image_error, level, compare):
        return math.inf
    effect_size = _in_deviations(compare.margin, deviation)
    images = min(image_error / deviation, _LARGEST_EFFECT)
    low, high = FEWEST_PAIRS - 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of(middle, effect_size, level, compare, images) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    enough = power_of(high, effect_size, level, compare, images) >= POWER
    return high if enough else math.inf


def images_suffice(margin: float, level: float, compare: CompareSettings) -> bool:
    """Return whether a difference of the margin, in standard errors of images alone, can be detected."""
    half_width = METHODS[compare.looks].half_width(MOST_SEEDS, 0.0, 1.0, level)
    return bool(ndtr(margin - half_width) >= POWER)


def _in_deviations(margin: float, deviation: float) -> float:
    return min(margin / max(deviation, ROUNDING), _LARGEST_EFFECT)


def seeds_table(results: pd.DataFrame, study: Study, correct: Correct | None = None) -> pd.DataFrame:
    """Estimate how many seeds each declared question needs to detect a difference of the margin.

    The pilot's standard deviation is itself uncertain: ``seeds_low`` and ``seeds_high`` are for the ends of
    its 80% interval (chi-square). The level is the strictest that the correction may require.

    Args:
        results: The pilot's results table.
        study: The study, for its declared questions and how they are judged.
        correct: Which test images each trial classified correctly, if the intervals hold for other images.

    Returns:
        One row per declared question: its ``question`` in words, ``n`` pairs of the pilot, the standard
        ``deviation`` of their differences, the standard error ``se_images`` that other test images add,
        ``level``, the number of ``seeds`` needed in all, and ``hours``: how long the missing seeds take, one
        after another, in the variants of the question. The other columns are the chance of each verdict with
        that many ``seeds`` at that level, if the pilot's deviation is the true one, and the true difference
        is zero (``equivalent_if_zero`` and so on) or exactly the margin (``equivalent_if_margin`` and so on).
        A difference may be detected and equivalent at once, so ``better_or_worse_if_margin`` can be a little
        below `POWER`. NaN under two pairs; the chances also if all differences are the same, or no number of
        seeds is enough.
    """
    compare = study.compare
    declared = [q for q in study_questions(study, compare) if q.is_declared]
    family = {q.identity for q in declared}
    level = compare.alpha / (len(family) if compare.correction == "holm" and family else 1)
    measured = Measurements(results, compare.metric, correct if compare.includes_images else None)
    seconds = completed_results(results).groupby("variant")["seconds"].mean()
    rows, seen = [], set()
    for question in declared:
        if question.identity in seen:
            continue
        seen.add(question.identity)
        estimate = measured.estimate(question.weights)
        cost = sum(seconds.get(name, math.nan) for name in question.weights)
        figures = _needed(estimate, level, compare, cost)
        rows.append([_in_words(question, study.baseline), estimate.n, *figures])
    return pd.DataFrame(rows, columns=SEEDS_COLUMNS)


def _in_words(question: Question, baseline: str) -> str:
    if question.kind == COMPARISON:
        return question.subject if question.detail == baseline else f"{question.subject} – {question.detail}"
    return f"{question.subject}: {question.detail}"


def _needed(estimate: Estimate, level: float, compare: CompareSettings, cost: float) -> list[float]:
    """Return the columns of a row from the deviation on."""
    n, deviation, image_error = estimate.n, estimate.deviation, math.sqrt(estimate.image_variance)
    needed, chances = [math.nan] * 3, [math.nan] * 6
    if n > 1:
        ends = [deviation * math.sqrt((n - 1) / chdtri(n - 1, tail)) for tail in (0.1, 0.9)]
        needed = [float(seeds_needed(d, level, compare, image_error)) for d in (deviation, *ends)]
    if deviation > ROUNDING and math.isfinite(needed[0]):
        margin, images = _in_deviations(compare.margin, deviation), image_error / deviation
        truths = [
            verdict_chances(int(needed[0]), true, margin, level, compare, images) for true in (0.0, margin)
        ]
        chances = [chance for verdicts in truths for chance in verdicts]
    hours = float(np.maximum(0.0, needed[0] - n)) * cost / 3600  # NaN stays NaN, unlike with `max`
    return [deviation, image_error, compare.margin, level, *needed, hours, *chances]
