"""A second reading of paired differences, which does not assume that they are normal."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from ablation.analysis.inference import ROUNDING

SECOND_READING_COLUMNS = ["median", "above_zero", "p_sign", "p_normal"]
FEWEST_FOR_SHAPE = 3


def second_reading(differences: NDArray[np.float64]) -> list[float]:
    """Return the columns `SECOND_READING_COLUMNS` of one comparison.

    Args:
        differences: One per pair, (pairs,).

    Returns:
        The ``median``; how many differences lie ``above_zero``; the p of the sign test, whose hypothesis is a
        median of 0, ties left out (Arbuthnott, 1710; Conover, 1999, "Practical nonparametric statistics",
        section 3.4); and the p of the test of Shapiro and Wilk (1965), "An analysis of variance test for
        normality", NaN under three pairs or if all differences are the same.
    """
    n = len(differences)
    if n == 0:
        return [math.nan, 0, math.nan, math.nan]
    above, below = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
    p_sign = min(1.0, 2 * float(bdtr(min(above, below), above + below, 0.5))) if above + below else 1.0
    return [float(np.median(differences)), above, p_sign, _shapiro_wilk(differences)]


def _shapiro_wilk(differences: NDArray[np.float64]) -> float:
    if len(differences) < FEWEST_FOR_SHAPE or float(np.ptp(differences)) < ROUNDING:
        return math.nan
    from scipy.stats import shapiro

    return float(shapiro(differences).pvalue)
