"""Verdicts: against SciPy and statsmodels, hand-computed cases, and properties that hold for all data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from ablation.analysis.inference import ANYTIME, JUDGEMENT_COLUMNS, STUDENT, judge
from ablation.grid.compare_settings import CompareSettings

PAIRS = st.lists(st.floats(-0.25, 0.25, width=32), min_size=3, max_size=9)
FAMILY = st.lists(PAIRS, min_size=1, max_size=5)


def family(values: list[list[float]]) -> dict[str, np.ndarray]:
    return {f"v{k}": np.array(v) for k, v in enumerate(values)}


def test_without_correction_it_is_the_paired_t_test() -> None:
    differences = np.array([0.05, 0.04, 0.01, 0.05, 0.03])
    row = judge({"a": differences}, CompareSettings(correction="none")).loc["a"]
    expected = stats.ttest_1samp(differences, 0)
    interval = expected.confidence_interval(0.95)
    assert row["p"] == pytest.approx(expected.pvalue, abs=1e-12)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert row["effect_size"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert list(row.index) == JUDGEMENT_COLUMNS
    assert row["verdict"] == "better"


def test_a_hand_computed_case() -> None:
    """Differences 1, 2, 3, 4, 5 hundredths: mean 3, deviation sqrt(2.5), t = 3 / sqrt(2.5 / 5) = 4.2426."""
    row = judge({"a": np.array([0.01, 0.02, 0.03, 0.04, 0.05])}, CompareSettings()).loc["a"]
    half = 2.7764451051977987 * math.sqrt(0.5) / 100  # Student's t, 4 degrees of freedom, 97.5%
    assert (row["low"], row["high"]) == pytest.approx((0.03 - half, 0.03 + half), abs=1e-12)
    assert row["p"] == pytest.approx(0.013235, abs=1e-6)


@settings(max_examples=30, deadline=None)  # statsmodels collects garbage at each call
@given(FAMILY)
def test_holms_p_is_that_of_statsmodels(values: list[list[float]]) -> None:
    judged = judge(family(values), CompareSettings())
    tested = judged["p"].notna()
    expected = multipletests(judged["p"].fillna(1.0), method="holm")[1]  # declared, though not tested yet
    np.testing.assert_allclose(judged.loc[tested, "p_adjusted"], expected[tested], atol=1e-12)


@given(FAMILY, st.sampled_from(["holm", "none"]), st.sampled_from(["once", "any"]))
def test_interval_p_and_verdict_never_contradict_each_other(
    values: list[list[float]], correction: str, looks: str
) -> None:
    compare = CompareSettings(correction=correction, looks=looks, margin=0.02)  # type: ignore[arg-type]
    strictest = 1 - compare.alpha / (len(values) if correction == "holm" else 1)
    for _, row in judge(family(values), compare).dropna(subset=["low"]).iterrows():
        excludes_zero = row["low"] > 0 or row["high"] < 0
        if abs(row["p_adjusted"] - compare.alpha) > 1e-9 and row["verdict"] != "equivalent":
            assert excludes_zero == (row["p_adjusted"] < compare.alpha)
        within = -compare.margin < row["low"] and row["high"] < compare.margin
        if row["verdict"] == "equivalent":
            assert within
            assert row["confidence"] == pytest.approx(strictest)
        elif row["verdict"] == "unresolved":
            assert not within
            assert not excludes_zero
            assert row["confidence"] == pytest.approx(strictest)
        else:
            assert row["verdict"] == ("better" if row["low"] > 0 else "worse")
        assert row["confidence"] >= 1 - compare.alpha - 1e-12


def test_equivalence_is_judged_at_the_level_of_the_whole_family() -> None:
    """A difference whose 95% interval lies within the margin is equivalent alone, and not among twenty."""
    alone = np.array([0.002, -0.004, 0.001, 0.003, -0.001])
    family_of_twenty = {f"v{k}": np.array([0.1, -0.1, 0.2, 0.0, -0.2]) for k in range(19)} | {"a": alone}
    compare = CompareSettings(margin=0.0045)
    assert judge({"a": alone}, compare).loc["a", "verdict"] == "equivalent"
    row = judge(family_of_twenty, compare).loc["a"]
    assert (row["verdict"], row["confidence"]) == ("unresolved", 1 - 0.05 / 20)


def test_what_is_not_declared_has_an_interval_and_no_verdict() -> None:
    values = {"a": np.array([0.05, 0.04, 0.01, 0.05, 0.03]), "b": np.array([0.05, 0.04, 0.02, 0.05, 0.03])}
    judged = judge(values, CompareSettings(), exploratory={"b"})
    assert judged.loc["a", "confidence"] == 0.95  # the family is that of a alone
    assert tuple(judged.loc["b", ["verdict", "reason", "declared"]]) == ("", "exploratory", False)
    interval = stats.ttest_1samp(values["b"], 0).confidence_interval(0.95)
    assert tuple(judged.loc["b", ["low", "high"]]) == pytest.approx((interval.low, interval.high))
    assert math.isnan(judged.loc["b", "p_adjusted"])


def test_one_question_under_two_names_counts_once() -> None:
    values = np.array([0.05, 0.04, 0.01, 0.05, 0.03])
    judged = judge({"a": values, "b": -values}, CompareSettings(), questions={"a": 1, "b": 1})
    assert judged["confidence"].tolist() == [0.95, 0.95]
    assert judged["verdict"].tolist() == ["better", "worse"]
    assert judged.loc["a", "low"] == -judged.loc["b", "high"]


def test_equivalence_is_two_one_sided_tests() -> None:
    """At half of alpha each, so that it shows in the interval; statsmodels' test of the same agrees."""
    generator = np.random.default_rng(0)
    for scale in (0.002, 0.01, 0.02):
        differences = generator.normal(0.001, scale, 12)
        row = judge({"a": differences}, CompareSettings(margin=0.01)).loc["a"]
        p = DescrStatsW(differences).ttost_mean(-0.01, 0.01)[0]
        assert (row["verdict"] == "equivalent") == (p < 0.025)


def test_lower_is_better_for_losses_and_gaps() -> None:
    down = {"a": np.array([-0.10, -0.12, -0.11, -0.09])}
    for metric, verdict in (("test_accuracy", "worse"), ("test_loss", "better"), ("gap_accuracy", "better")):
        assert judge(down, CompareSettings(metric=metric, margin=0.01)).loc["a", "verdict"] == verdict


@pytest.mark.parametrize(
    ("differences", "looks", "verdict", "reason"),
    [
        ([], "once", "", "0 pairs; a verdict needs 3"),
        ([0.1], "once", "", "1 pair; a verdict needs 3"),
        ([0.1, 0.2], "once", "", "2 pairs; a verdict needs 3"),
        ([0.1, 0.1, 0.1], "once", "unresolved", "all 3 differences are the same, so their spread is not known"),
        ([0.0, 0.0, 0.0], "once", "unresolved", "all 3 differences are the same, so their spread is not known"),
        ([0.1, 0.2, 0.3], "any", "unresolved", "3 pairs are too few for an interval that holds under looking"),
        ([0.1, -0.2, 0.3], "once", "unresolved", "the interval holds 0 and differences beyond the margin"),
    ],
)  # fmt: skip
def test_a_missing_verdict_has_its_reason(
    differences: list[float], looks: str, verdict: str, reason: str
) -> None:
    compare = CompareSettings(looks=looks)  # type: ignore[arg-type]
    row = judge({"a": np.array(differences)}, compare).loc["a"]
    assert (row["verdict"], row["reason"]) == (verdict, reason)


@given(st.integers(2, 60), st.floats(0.001, 0.2))
def test_critical_values_are_where_p_is_the_level(n: int, level: float) -> None:
    for method in (STUDENT, ANYTIME):
        critical = method.critical(n, level)
        if math.isfinite(critical) and critical < 1e4:
            assert method.p(critical, n) == pytest.approx(level, rel=1e-6)


def test_the_anytime_p_is_one_over_the_bayes_factor() -> None:
    """Integrated by hand over the standardised effect, its prior normal with variance 4."""
    n, t = 7, 3.1
    effects = np.linspace(-40, 40, 80_001)
    prior = stats.norm.pdf(effects, scale=2)
    likelihood = stats.nct.pdf(t, n - 1, effects * math.sqrt(n))
    factor = np.trapezoid(np.nan_to_num(likelihood) * prior, effects) / stats.t.pdf(t, n - 1)
    assert ANYTIME.p(t, n) == pytest.approx(1 / factor, rel=1e-4)


def test_under_looking_students_t_errs_and_the_anytime_test_does_not() -> None:
    """2,000 studies without an effect, looked at after each of 3 to 40 seeds; the larger table is a command."""
    draws = np.random.default_rng(0).normal(size=(2000, 40))
    n = np.arange(1, 41)
    means = draws.cumsum(axis=1) / n
    deviations = np.sqrt(((draws**2).cumsum(axis=1) - n * means**2)[:, 2:] / (n[2:] - 1))
    t = np.abs(means[:, 2:] / deviations * np.sqrt(n[2:]))
    wrong = {}
    for method in (STUDENT, ANYTIME):
        critical = np.array([method.critical(int(k), 0.05) for k in n[2:]])
        wrong[method.name] = float((t >= critical).any(axis=1).mean())
    assert wrong["paired t"] > 0.15
    assert wrong["anytime-valid paired t"] <= 0.05
