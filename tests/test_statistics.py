"""Intervals and comparisons against SciPy and plain pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablation.statistics import COMPARISON_COLUMNS, mean_intervals, paired_comparisons


def results(**accuracies: list[float | None]) -> pd.DataFrame:
    rows = [
        {
            "variant": variant,
            "seed": seed,
            "status": "failed" if value is None else "completed",
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


def test_one_value_has_no_interval() -> None:
    row = mean_intervals(pd.DataFrame({"variant": ["a"], "x": [0.5]}), ["variant"], ["x"]).iloc[0]
    assert row["mean"] == 0.5
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])


def test_a_comparison_is_the_paired_t_test_adjusted_by_holm() -> None:
    table = results(plain=[0.70, 0.72, 0.69, 0.74], a=[0.75, 0.76, 0.70, 0.79], b=[0.71, 0.70, 0.70, 0.74])
    compared = paired_comparisons(table, "plain")
    assert list(compared.columns) == COMPARISON_COLUMNS
    by_variant = table.pivot(index="seed", columns="variant", values="test_accuracy")
    p = []
    for row, variant in zip(compared.to_dict("records"), ("a", "b"), strict=True):
        expected = stats.ttest_rel(by_variant[variant], by_variant["plain"])
        interval = expected.confidence_interval(0.95)
        assert row["n"] == 4
        assert row["p"] == pytest.approx(expected.pvalue, abs=1e-12)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-12)
        p.append(expected.pvalue)
    assert compared["p_adjusted"].tolist() == pytest.approx([min(1, 2 * min(p)), max(2 * min(p), max(p))])
    assert compared["difference"][0] == pytest.approx(0.0375)


def test_failed_seeds_are_left_out_in_pairs() -> None:
    table = results(plain=[0.5, None, 0.6, 0.7], a=[0.6, 0.9, None, 0.9])
    row = paired_comparisons(table, "plain").iloc[0]
    assert row["n"] == 2
    assert row["difference"] == pytest.approx(0.15)  # seeds 0 and 3, and no mean over others


def test_too_few_pairs_have_no_interval_and_no_p() -> None:
    table = results(plain=[0.5, None], one=[0.6, 0.7], none=[None, None])
    one, none = paired_comparisons(table, "plain").to_dict("records")
    assert (one["n"], none["n"]) == (1, 0)
    assert one["difference"] == pytest.approx(0.1)
    assert all(np.isnan(row[key]) for row in (one, none) for key in ("low", "high", "p", "p_adjusted"))
    assert np.isnan(none["difference"])
