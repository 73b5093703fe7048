"""Dose-response curves: the mean at each dose with a band, the doses that could be the best, and the trend.

Every statement rests on t-tests over the seeds, one value per seed, with Bonferroni's inequality where there
are several. So it assumes normal values and nothing about how variances differ between doses or how doses
correlate within a seed. With five seeds and seven doses, their covariance matrix is singular, and a
common variance would be an assumption that the noisiest dose, often the largest, breaks
(``experiments/benchmark/simulation_doses.py`` shows by how much).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ablation.analysis.dose_curves import FEWEST_DOSES, DoseCurve, are_wide, dose_curves, positions
from ablation.analysis.estimates import Measurements
from ablation.analysis.inference import FEWEST_PAIRS, ROUNDING
from ablation.grid.compare_settings import CompareSettings, limits
from ablation.grid.study import Study
from ablation.grid.value_text import counted

DOSE_COLUMNS = [
    "factor", "where", "level", "dose", "n", "mean", "low", "high", "from_best", "could_be_best",
    "p", "best", "best_low", "best_high", "slope", "slope_low", "slope_high", "slope_per", "confidence",
    "reason",
]  # fmt: skip
_UNKNOWN = dict.fromkeys(
    ("low", "high", "from_best", "p", "best", "best_low", "best_high", "slope", "slope_low", "slope_high"),
    math.nan,
)
Values = NDArray[np.float64]


def dose_response_table(results: pd.DataFrame, study: Study, compare: CompareSettings) -> pd.DataFrame:
    """Return the dose-response curves of a study's numeric factors.

    A seed counts if it completed all doses of a curve in one environment. A dose with fewer than three
    completed seeds is left out of its curve.

    Args:
        results: The results table.
        study: The study.
        compare: The metric, its direction, and alpha; everything holds at confidence 1 - alpha, curve by
            curve.

    Returns:
        One row per curve and dose, with `DOSE_COLUMNS`; empty if no factor has three numeric levels.
        ``low`` and ``high`` are the `band`, ``could_be_best`` is from `best_doses`, ``from_best`` is the
        difference from the best mean. For the whole curve, and so the same in all of its rows: the p of
        `trend`; the dose of the ``best`` mean, and the smallest and the largest dose that could be the best;
        the ``slope`` of the straight line per unit or per factor of ten of the dose, with its interval.
        ``reason`` says why a dose or a curve has none of these.
    """
    curves = dose_curves(study)
    measured = Measurements(results, compare.metric) if curves else None
    rows = [row for curve in curves if measured for row in _rows(curve, measured, compare)]
    return pd.DataFrame(rows, columns=DOSE_COLUMNS)


def usable_part(curve: DoseCurve, measured: Measurements) -> tuple[DoseCurve, str]:
    """Return a curve at the doses with enough completed seeds, and why it cannot be judged, if it cannot."""
    seeds = [len(measured.seeds(names)) for names in curve.variants]
    enough = [k for k, n in enumerate(seeds) if n >= FEWEST_PAIRS]
    if len(enough) < FEWEST_DOSES:
        needed = f"{len(enough)} of {len(seeds)} doses have {FEWEST_PAIRS} completed seeds"
        return curve, f"{needed}; a curve needs {FEWEST_DOSES} such doses"
    part = curve.at(enough)
    n = len(measured.seeds(part.every_variant))
    return (
        part,
        f"{counted(n, 'seed')} with all doses; a curve needs {FEWEST_PAIRS}" if n < FEWEST_PAIRS else "",
    )


def _rows(curve: DoseCurve, measured: Measurements, compare: CompareSettings) -> list[dict[str, Any]]:
    part, reason = usable_part(curve, measured)
    judged = {} if reason else _judged(part, part.values(measured), compare)
    missing = reason or f"fewer than {FEWEST_PAIRS} completed seeds"
    rows = []
    for level, dose, names in zip(curve.levels, curve.doses, curve.variants, strict=True):
        own = measured.values(names).mean(axis=1)
        mean = float(own.mean()) if len(own) else math.nan
        unknown = _UNKNOWN | {"n": len(own), "mean": mean, "could_be_best": False, "reason": missing}
        place: dict[str, Any] = {"factor": curve.factor, "where": curve.where, "level": level, "dose": dose}
        place |= {"confidence": 1 - compare.alpha, "slope_per": _slope_unit(part.doses)}
        rows.append(place | (judged.get(level) or unknown))
    return rows


def _judged(curve: DoseCurve, values: Values, compare: CompareSettings) -> Mapping[str, dict[str, Any]]:
    """Return what the table says of each dose of a curve, by its label."""
    means = values.mean(axis=0)
    low, high = band(values, compare.alpha)
    least, most = limits(compare.metric)
    signed = values if compare.higher_is_better else -values
    could_be_best, best = best_doses(signed, compare.alpha), int(signed.mean(axis=0).argmax())
    whole = trend(values, positions(curve.doses), compare.alpha)
    doses = np.asarray(curve.doses)
    whole |= {"best": doses[best], "n": len(values), "reason": ""}
    whole |= {"best_low": doses[could_be_best].min(), "best_high": doses[could_be_best].max()}
    return {
        level: {
            "mean": means[k], "low": max(low[k], least), "high": min(high[k], most),
            "from_best": means[k] - means[best], "could_be_best": bool(could_be_best[k]),
        } | whole
        for k, level in enumerate(curve.levels)
    }  # fmt: skip


def band(values: Values, alpha: float) -> tuple[Values, Values]:
    """Return the lower and the upper end of a band that contains the whole curve of true means.

    At each dose, it is the interval of Student's t at the level alpha divided by the number of doses, so
    all intervals contain their means together with probability of at least 1 - alpha (Bonferroni).

    Args:
        values: The metric, (seeds, doses), at least two seeds.
        alpha: The level of the band.

    Returns:
        Two arrays, (doses,), with NaN at doses at which all seeds have the same value.
    """
    n, doses = values.shape
    means, deviations = values.mean(axis=0), values.std(axis=0, ddof=1)
    half = stdtrit(n - 1, 1 - alpha / (2 * doses)) * deviations / math.sqrt(n)
    half[deviations <= ROUNDING] = math.nan
    return means - half, means + half


def best_doses(values: Values, alpha: float) -> NDArray[np.bool_]:
    """Return a confidence set of the best dose: those that no other one is shown to be better than.

    A dose is left out if a one-sided paired t-test shows any of the k - 1 others to be better at the level
    alpha / (k - 1). So the truly best dose is in the set with probability of at least 1 - alpha, whatever
    the others are. Such sets are those of Gupta (1965), "On some multiple decision (selection and ranking)
    rules", and of Hsu (1984), "Constrained simultaneous confidence intervals for multiple comparisons with
    the best"; both take the variance as common to all doses, which is not assumed here.

    Args:
        values: The metric, (seeds, doses), at least two seeds; higher values are better.
        alpha: The probability that the best dose is missed.

    Returns:
        For each dose, whether it is in the set, (doses,); the dose of the highest mean always is.
    """
    n, doses = values.shape
    critical = stdtrit(n - 1, 1 - alpha / (doses - 1))
    differences = values[:, None, :] - values[:, :, None]  # [seed, dose, another one]
    means, deviations = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    is_worse = (deviations > ROUNDING) & (means > critical * deviations / math.sqrt(n))
    return np.asarray(~is_worse.any(axis=1))


def trend(values: Values, positions: Sequence[float] | Values, alpha: float) -> dict[str, Any]:
    """Test whether the response changes with the dose at all, and estimate the slope of the straight line.

    Each seed's curve is summarised by its slope and its curvature, the linear and the quadratic orthogonal
    contrast of its values, and each of the two is tested against 0 by a t-test over the seeds: the summary
    measures of Matthews, Altman, Campbell and Royston (1990), "Analysis of serial measurements in medical
    research". The p is the smaller one, doubled (Bonferroni). The slope alone would miss a curve that rises
    and falls; a curve that does so several times may be missed by both.

    Args:
        values: The metric, (seeds, doses), at least two seeds and three doses.
        positions: The doses on their axis, (doses,).
        alpha: One minus the confidence of the slope's interval.

    Returns:
        ``p``, NaN if no summary varies over the seeds; ``slope`` per unit of the axis, ``slope_low`` and
        ``slope_high``.
    """
    n = len(values)
    x = np.asarray(positions, np.float64)
    x = x - x.mean()
    contrasts, _ = np.linalg.qr(np.vander(x / np.abs(x).max(), 3, increasing=True))
    tested = [_two_sided_p(values @ contrasts[:, degree]) for degree in (1, 2)]
    tested = [p for p in tested if not math.isnan(p)]
    slopes = values @ (x / (x**2).sum())
    slope, half = float(slopes.mean()), math.nan
    if not math.isnan(_two_sided_p(values @ contrasts[:, 1])):
        half = float(stdtrit(n - 1, 1 - alpha / 2) * slopes.std(ddof=1)) / math.sqrt(n)
    return {
        "p": min(1.0, 2 * min(tested)) if tested else math.nan,
        "slope": slope, "slope_low": slope - half, "slope_high": slope + half,
    }  # fmt: skip


def _two_sided_p(summaries: Values) -> float:
    """Return the p of the t-test of a mean of 0; NaN if the values do not vary beyond rounding."""
    n, deviation = len(summaries), float(summaries.std(ddof=1))
    if not deviation > ROUNDING:
        return math.nan
    return float(2 * stdtr(n - 1, -abs(float(summaries.mean())) / deviation * math.sqrt(n)))


def _slope_unit(doses: Sequence[float]) -> str:
    return "factor of ten" if are_wide(doses) else "unit"
