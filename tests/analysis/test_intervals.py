"""Intervals of means against SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablation.analysis.intervals import mean_intervals


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
