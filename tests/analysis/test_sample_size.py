"""How many seeds: against statsmodels, and against drawing studies of that size."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from ablation import Run
from ablation.analysis.inference import METHODS
from ablation.analysis.sample_size import POWER, SEEDS_COLUMNS, power_of, seeds_needed
from ablation.grid.compare_settings import CompareSettings


@pytest.mark.parametrize("effect", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("n", [4, 10, 40])
def test_power_is_that_of_statsmodels(effect: float, n: int) -> None:
    expected = TTestPower().power(effect, n, 0.05, alternative="two-sided")
    expected = 1.0 if np.isnan(expected) else expected  # SciPy's lower tail has holes where power is 1
    assert power_of(n, effect, 0.05, CompareSettings()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("looks", ["once", "any"])
def test_so_many_seeds_have_the_power_and_one_fewer_has_not(looks: str) -> None:
    compare = CompareSettings(margin=0.01, looks=looks)  # type: ignore[arg-type]
    for deviation in (0.004, 0.01, 0.03):
        n = seeds_needed(deviation, 0.025, compare)
        assert power_of(n, 0.01 / deviation, 0.025, compare) >= POWER
        assert n == 3 or power_of(n - 1, 0.01 / deviation, 0.025, compare) < POWER


def test_drawn_studies_of_that_size_find_the_difference_as_often() -> None:
    compare, deviation = CompareSettings(margin=0.01), 0.015
    n = seeds_needed(deviation, 0.05, compare)
    draws = np.random.default_rng(0).normal(compare.margin, deviation, (4000, n))
    t = draws.mean(axis=1) / draws.std(axis=1, ddof=1) * np.sqrt(n)
    found = np.mean(np.abs(t) >= METHODS["once"].critical(n, 0.05))
    assert found == pytest.approx(power_of(n, 0.01 / deviation, 0.05, compare), abs=0.02)


def test_a_run_is_a_pilot(finished_run: Run) -> None:
    table = finished_run.seeds_needed
    assert list(table.columns) == SEEDS_COLUMNS
    row = table[table["variant"] == "+Dropout"].iloc[0]
    assert row["n"] == 2
    assert row["level"] == pytest.approx(0.05 / len(table))
    assert row["seeds_low"] <= row["seeds"] <= row["seeds_high"]
    assert row["hours"] > 0


def test_a_pilot_that_never_varies_needs_the_fewest() -> None:
    assert seeds_needed(0.0, 0.05, CompareSettings()) == 3
