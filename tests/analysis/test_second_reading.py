"""The second reading: against SciPy, and when a note says that it disagrees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.phrases import second_reading_notes
from ablation.analysis.second_reading import second_reading
from ablation.grid.compare_settings import CompareSettings


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=20))
def test_it_is_the_sign_test_and_the_test_of_shapiro_and_wilk(values: list[float]) -> None:
    differences = np.array(values)
    median, above, p_sign, p_normal = second_reading(differences)
    nonzero = differences[np.abs(differences) > 1e-12]  # smaller ones are floating-point noise
    assert median == np.median(differences)
    assert above == (differences > 1e-12).sum()
    if len(nonzero):
        assert p_sign == pytest.approx(stats.binomtest(int(above), len(nonzero)).pvalue, abs=1e-12)
    else:
        assert p_sign == 1.0
    if np.ptp(differences) > 1e-6:
        assert p_normal == pytest.approx(stats.shapiro(differences).pvalue)


def notes(plain: list[float], **others: list[float]) -> list[str]:
    table = results_of({"plain": plain} | others)
    compared = study_answers(table, study_of(["plain", *others])).comparisons
    return second_reading_notes(compared, CompareSettings())


def test_differences_on_one_side_of_an_interval_that_contains_0_are_noted() -> None:
    one_low = [0.62, 0.61, 0.63, 0.10, 0.62]
    assert notes([0.7] * 5, a=one_low, b=[1.4 - value for value in one_low]) == [
        "All paired differences lie on one side of 0, although the interval of their mean contains 0 (a sign test, "
        "which is exploratory): a against plain (n = 5, below), b against plain (n = 5, above)."
    ]


def test_differences_that_are_visibly_not_normal_are_noted() -> None:
    assert notes([0.7] * 8, a=[0.70, 0.701, 0.699, 0.702, 0.698, 0.7, 0.45, 0.701]) == [
        "The paired differences are not normal (Shapiro–Wilk test, p < 0.01), so that the interval of their mean can "
        "err more often than its level says: a against plain (median +0.00, 3 of 8 above 0)."
    ]


def test_a_mean_and_a_median_of_different_signs_are_noted() -> None:
    values = [0.699] * 60 + [0.75] * 40
    assert notes([0.7] * 100, a=values) == [
        "The mean and the median of the paired differences disagree in direction: a against plain (median "
        "\N{MINUS SIGN}0.1, 40 of 100 above 0)."
    ]


def test_ordinary_differences_have_no_note() -> None:
    assert notes([0.70, 0.71, 0.69, 0.72, 0.7], a=[0.75, 0.74, 0.75, 0.78, 0.74]) == []
