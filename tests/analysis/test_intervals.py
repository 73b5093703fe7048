"""Intervals and comparisons against SciPy and plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablation.analysis.intervals import COMPARISON_COLUMNS, mean_intervals, paired_comparisons
from ablation.grid.compare_settings import CompareSettings


def results(**accuracies: list[float | None]) -> pd.DataFrame:
    rows = [
        {
            "variant": variant,
            "seed": seed,
            "status": "failed" if value is None else "completed",
            "provenance": "here",
            "test_accuracy": value,
        }
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=8, unique=True))
def test_an_interval_is_students(values: list[float]) -> None:
    table = pd.DataFrame({"variant": "a", "x": values})
    row = mean_intervals(table, ["variant"], ["x"]).iloc[0]
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
    assert row["n"] == len(values)


@pytest.mark.parametrize(
    ("column", "values", "low", "high"),
    [
        ("test_accuracy", [0.99, 1, 1], 0.98232, 1),
        ("val_accuracy", [0, 0, 0.01], 0, 0.01768),
        ("calibration_error", [0, 0, 0.01], 0, 0.01768),
        ("gap_accuracy", [-0.01, 0, 0], -0.01768, 0.01101),
        ("test_loss", [0, 0, 0.01], -0.01101, 0.01768),
    ],
)
def test_the_interval_of_a_share_ends_where_shares_do(
    column: str, values: list[float], low: float, high: float
) -> None:
    row = mean_intervals(pd.DataFrame({"variant": "a", column: values}), ["variant"], [column]).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=2e-5)


def test_one_value_has_no_interval() -> None:
    row = mean_intervals(pd.DataFrame({"variant": ["a"], "x": [0.5]}), ["variant"], ["x"]).iloc[0]
    assert row["mean"] == 0.5
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])


def test_a_comparison_is_the_paired_t_test_adjusted_by_holm() -> None:
    table = results(plain=[0.70, 0.72, 0.69, 0.74], a=[0.75, 0.76, 0.70, 0.79], b=[0.71, 0.70, 0.70, 0.74])
    compared = paired_comparisons(table, "plain", CompareSettings())
    assert list(compared.columns) == COMPARISON_COLUMNS
    by_variant = table.pivot(index="seed", columns="variant", values="test_accuracy")
    p = [stats.ttest_rel(by_variant[variant], by_variant["plain"]).pvalue for variant in ("a", "b")]
    assert compared["p"].tolist() == pytest.approx(p, abs=1e-12)
    assert compared["p_adjusted"].tolist() == pytest.approx([min(1, 2 * min(p)), max(2 * min(p), max(p))])
    # a is decided at 0.05 / 2, and since it stands so does b, at the same level
    first = stats.ttest_rel(by_variant["a"], by_variant["plain"]).confidence_interval(0.975)
    assert (compared["low"][0], compared["high"][0]) == pytest.approx((first.low, first.high), abs=1e-12)
    assert compared["confidence"].tolist() == pytest.approx([0.975, 0.975])
    assert compared["difference"][0] == pytest.approx(0.0375)
    assert compared["verdict"].tolist() == ["unresolved", "unresolved"]


def test_failed_seeds_are_left_out_in_pairs() -> None:
    table = results(plain=[0.5, None, 0.6, 0.7], a=[0.6, 0.9, None, 0.9])
    row = paired_comparisons(table, "plain", CompareSettings()).iloc[0]
    assert row["n"] == 2
    assert row["difference"] == pytest.approx(0.15)  # seeds 0 and 3, and no mean over others


def test_too_few_pairs_have_no_interval_and_no_p() -> None:
    table = results(plain=[0.5, None], one=[0.6, 0.7], none=[None, None])
    one, none = paired_comparisons(table, "plain", CompareSettings()).to_dict("records")
    assert (one["n"], none["n"]) == (1, 0)
    assert one["difference"] == pytest.approx(0.1)
    assert all(np.isnan(row[key]) for row in (one, none) for key in ("low", "high", "p", "p_adjusted"))
    assert np.isnan(none["difference"])


def test_trials_of_another_provenance_are_not_pooled() -> None:
    table = results(plain=[0.5, 0.51, 0.52, 0.9], a=[0.6, 0.62, 0.61, 0.1])
    table.loc[table["seed"] == 3, "provenance"] = "another machine"
    row = paired_comparisons(table, "plain", CompareSettings()).iloc[0]
    assert row["n"] == 3
    assert row["difference"] == pytest.approx(0.1)


def test_another_metric_is_compared_where_the_study_says_so() -> None:
    table = results(plain=[0.5, 0.51, 0.53], a=[0.6, 0.62, 0.61]).rename(
        columns={"test_accuracy": "test_loss"}
    )
    row = paired_comparisons(table, "plain", CompareSettings(metric="test_loss", margin=0.01)).iloc[0]
    assert (row["metric"], row["margin"], row["verdict"]) == ("test_loss", 0.01, "worse")
