"""Dose-response curves: against SciPy, against cases worked out by hand, and where there is none."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from studies import results_of

from ablation import Study
from ablation.analysis.dose_curves import are_wide, dose_curves
from ablation.analysis.dose_response import DOSE_COLUMNS, band, best_doses, dose_response_table, trend
from ablation.grid.compare_settings import CompareSettings

WriteGrid = Callable[[str], Path]
ONE = "{study: s, factors: {dropout: [0, 0.2, 0.4, 0.6]}}"
TWO = "{study: s, factors: {dropout: [0, 0.2, 0.4, 0.6], batch_norm: [false, true]}}"
PEAK = [0.5, 0.6, 0.61, 0.5]
NOISE = np.random.default_rng(7).normal(0, 0.01, (5, 4))


def table_of(
    study: Study, values: Mapping[str, list[float | None]], metric: str = "test_accuracy"
) -> pd.DataFrame:
    compare = CompareSettings(metric=metric, margin=0.01)
    return dose_response_table(results_of(values, metric), study, compare)


def along(study: Study, values: np.ndarray) -> dict[str, list[float | None]]:
    """Give each variant of a study a column of values, (seeds, variants)."""
    return {v.name: list(values[:, k]) for k, v in enumerate(study.variants)}


def test_the_band_is_students_t_with_bonferroni() -> None:
    low, high = band(NOISE, 0.05)
    for k in range(4):
        expected = stats.ttest_1samp(NOISE[:, k], 0).confidence_interval(1 - 0.05 / 4)
        assert (low[k], high[k]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_dose_is_left_out_exactly_if_a_paired_test_shows_another_one_to_be_better() -> None:
    values = NOISE + np.array([0, 0.03, 0.04, 0])
    expected = [
        not any(
            stats.ttest_rel(values[:, other], values[:, k], alternative="greater").pvalue < 0.05 / 3
            for other in range(4)
            if other != k
        )
        for k in range(4)
    ]
    assert list(best_doses(values, 0.05)) == expected == [False, True, True, False]


@given(arrays(np.float64, (4, 5), elements=st.floats(-1, 1)))
def test_the_dose_of_the_best_mean_always_could_be_the_best(values: np.ndarray) -> None:
    assert best_doses(values, 0.05)[values.mean(axis=0).argmax()]
    found = trend(values, [0, 1, 2, 3, 4], 0.05)
    assert math.isnan(found["p"]) or 0 <= found["p"] <= 1


def test_the_trend_is_tested_by_each_seeds_slope_and_curvature() -> None:
    x = np.array([0, 0.1, 0.3, 0.9])
    values = NOISE - 0.1 * (x - 0.4) ** 2
    fits = np.array([np.polyfit(x, row, 2) for row in values])
    slopes = np.array([stats.linregress(x, row).slope for row in values])
    p = [stats.ttest_1samp(summary, 0).pvalue for summary in (slopes, fits[:, 0])]
    found = trend(values, x, 0.05)
    assert found["p"] == pytest.approx(min(1, 2 * min(p)), abs=1e-9)
    interval = stats.ttest_1samp(slopes, 0).confidence_interval(0.95)
    assert (found["slope"], found["slope_low"], found["slope_high"]) == pytest.approx(
        (slopes.mean(), interval.low, interval.high), abs=1e-12
    )


def test_a_peak_without_a_slope_is_a_trend() -> None:
    values = NOISE + np.array([0, 0.1, 0.1, 0])
    assert trend(values, [0, 1, 2, 3], 0.05)["p"] < 0.01
    assert trend(NOISE, [0, 1, 2, 3], 0.05)["p"] > 0.05


def test_the_table_has_a_row_per_curve_and_dose(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(TWO))
    values = np.hstack([NOISE + np.array(PEAK), NOISE[::-1] + np.array(PEAK) + 0.1])
    table = table_of(study, along(study, values))
    assert list(table.columns) == DOSE_COLUMNS
    assert list(table["where"].unique()) == [
        "batch_norm=false",
        "batch_norm=true",
        "averaged over batch_norm",
    ]
    assert list(table["dose"]) == [0, 0.2, 0.4, 0.6] * 3
    averaged = table[table["where"] == "averaged over batch_norm"]
    assert list(averaged["mean"]) == pytest.approx((values[:, :4] + values[:, 4:]).mean(axis=0) / 2)
    plain = table[table["where"] == "batch_norm=false"]
    assert plain["could_be_best"].tolist() == [False, True, True, False]
    assert plain[["best", "best_low", "best_high", "n"]].drop_duplicates().to_numpy().tolist() == [
        [0.4, 0.2, 0.4, 5]
    ]
    assert plain["from_best"].tolist()[2] == 0
    assert (plain["p"] < 0.05).all()
    assert set(table["reason"]) == {""}


def test_less_may_be_better(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    values = NOISE + np.array([0.5, 0.3, 0.6, 0.7])
    loss = table_of(study, along(study, values), "test_loss")
    assert loss.loc[loss["could_be_best"], "level"].tolist() == ["0.2"]
    assert loss["best"].iloc[0] == 0.2
    accuracy = table_of(study, along(study, values))
    assert accuracy.loc[accuracy["could_be_best"], "level"].tolist() == ["0.6"]


def test_the_band_ends_where_the_metric_does(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    values = np.clip(np.random.default_rng(1).normal(0.99, 0.05, (3, 4)), 0, 1)
    assert table_of(study, along(study, values))["high"].max() <= 1


def test_levels_are_sorted_and_labels_stand_for_numbers(write_grid: WriteGrid) -> None:
    grid = "{study: s, factors: {learning_rate: {high: 0.01, low: 0.0001, middle: 0.001}}}"
    study = Study.from_yaml(write_grid(grid))
    (curve,) = dose_curves(study)
    assert (curve.levels, curve.doses) == (("low", "middle", "high"), (0.0001, 0.001, 0.01))
    slope = 0.02 * np.array([2, 0, 1])  # per factor of ten, in the order of the grid
    values = np.random.default_rng(1).normal(0.5, 0.01, (5, 1)) + slope + NOISE[:, :3] / 100
    table = table_of(study, along(study, values))
    assert table["slope"].iloc[0] == pytest.approx(0.02, abs=1e-3)
    assert set(table["slope_per"]) == {"factor of ten"}


@pytest.mark.parametrize(
    ("doses", "wide"), [((0.0001, 0.01), True), ((0, 1000), False), ((500, 4000), False), ((-1, 1000), False)]
)
def test_wide_positive_doses_are_on_a_logarithmic_axis(doses: tuple[float, ...], wide: bool) -> None:
    assert are_wide(doses) == wide


@pytest.mark.parametrize(
    "factors",
    [
        "dropout: [0, 0.2]",
        "activation: [relu, tanh, elu]",
        "dropout: {no: 0, yes: 0.2}, batch_norm: [false, true]",
        "train_size: [100, 200, null]",
        "optimizer: [adam, {sgd: {momentum: 0.5}}, {sgd: {momentum: 0.9}}]",
    ],
)
def test_other_factors_have_no_curve(write_grid: WriteGrid, factors: str) -> None:
    study = Study.from_yaml(write_grid(f"{{study: s, factors: {{{factors}}}}}"))
    assert dose_curves(study) == []
    values = {v.name: [0.5, 0.6, 0.7] for v in study.variants}
    assert table_of(study, values).empty


def test_every_numeric_factor_has_curves_and_named_variants_are_no_doses(write_grid: WriteGrid) -> None:
    grid = (
        "{study: s, factors: {dropout: [0, 0.2, 0.4], width: [1, 2, 4]}, variants: {other: {dropout: 0.5}}}"
    )
    curves = dose_curves(Study.from_yaml(write_grid(grid)))
    assert [(c.factor, c.where) for c in curves] == [
        *(("dropout", f"width={w}") for w in (1, 2, 4)), ("dropout", "averaged over width"),
        *(("width", f"dropout={d}") for d in ("0", "0.2", "0.4")), ("width", "averaged over dropout"),
    ]  # fmt: skip
    assert "other" not in itertools.chain.from_iterable(c.every_variant for c in curves)


def test_a_seed_counts_if_it_has_all_doses_and_a_dose_that_fails_is_left_out(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    values = along(study, NOISE + np.array(PEAK))
    names = list(values)
    values[names[1]][0] = None
    table = table_of(study, values)
    assert table["n"].tolist() == [4] * 4
    assert table["mean"].iloc[0] == pytest.approx((NOISE[1:, 0] + 0.5).mean())
    values[names[3]] = [None, None, None, 0.1, 0.2]
    table = table_of(study, values)
    assert table["reason"].tolist() == ["", "", "", "fewer than 3 completed seeds"]
    assert table["n"].tolist() == [4, 4, 4, 2]
    assert table["best_high"].iloc[0] == 0.4
    assert not table["could_be_best"].iloc[3]


def test_what_is_too_little_for_a_curve_is_said(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    two = table_of(study, along(study, NOISE[:2]))
    assert set(two["reason"]) == {"0 of 4 doses have 3 completed seeds; a curve needs 3 such doses"}
    apart = {name: list(column) for name, column in along(study, NOISE).items()}
    for k, column in enumerate(apart.values()):
        column[k] = None
        column[4] = column[4] if k else None
    table = table_of(study, apart)
    assert set(table["reason"]) == {"0 seeds with all doses; a curve needs 3"}
    assert table["n"].tolist() == [3, 4, 4, 4]
    assert table[["p", "best", "slope", "low"]].isna().all(axis=None)
    nothing = {name: [None, None, None] for name in apart}
    assert table_of(study, nothing)["n"].tolist() == [0] * 4


def test_curves_of_several_environments_are_not_mixed_within_a_seed(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    results = results_of(along(study, NOISE))
    results.loc[(results["seed"] == 0) & (results["variant"] == "plain"), "provenance"] = "elsewhere"
    table = dose_response_table(results, study, CompareSettings())
    assert table["n"].tolist() == [4] * 4


def test_values_that_do_not_vary_decide_nothing(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(ONE))
    table = table_of(study, along(study, np.tile([0.5, 0.6, 0.7, 0.8], (5, 1))))
    assert table["could_be_best"].all()
    assert table[["p", "low", "high", "slope_low"]].isna().all(axis=None)
    assert set(table["reason"]) == {""}
