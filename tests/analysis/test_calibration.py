"""Calibration by hand, and for models whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest

from ablation import Run
from ablation.analysis.calibration import calibration_errors, calibration_table
from ablation.data.predictions import Predictions
from ablation.figures.calibration import draw_reliability
from ablation.figures.palette import variant_styles
from ablation.figures.style import small_multiples


def trial(confidence: list[float], right: list[bool]) -> Predictions:
    classes = np.where(right, 0, 1).astype(np.int32)
    return Predictions(classes, np.array(confidence, np.float32))


def test_a_case_by_hand() -> None:
    found = {"plain": {0: trial([0.55, 0.58, 0.95, 0.91], [True, False, True, True])}}
    labels = np.zeros(4, np.int64)
    table = calibration_table(found, {0: labels})
    assert table["bin"].tolist() == [5, 9]
    assert table["images"].tolist() == [2, 2]
    assert table["confidence"].tolist() == pytest.approx([0.565, 0.93])
    assert table["accuracy"].tolist() == [0.5, 1.0]
    assert table[["above", "up_to"]].to_numpy().tolist() == [[0.5, 0.6], [0.9, 1.0]]
    error = calibration_errors(found, {0: labels}).iloc[0]
    assert error["calibration_error"] == pytest.approx((2 * 0.065 + 2 * 0.07) / 4)
    assert (error["confidence"], error["accuracy"]) == pytest.approx((0.7475, 0.75))


def test_a_calibrated_model_has_a_small_error_and_one_too_sure_has_its_excess() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 20_000)
    labels = np.zeros(20_000, np.int64)
    right = generator.random(20_000) < confidence
    too_sure = generator.random(20_000) < confidence - 0.2
    found = {name: {0: trial(list(confidence), list(r))} for name, r in (("good", right), ("sure", too_sure))}
    errors = calibration_errors(found, {0: labels}).set_index("variant")["calibration_error"]
    assert errors["good"] < 0.015
    assert errors["sure"] == pytest.approx(0.2, abs=0.015)


def test_bins_are_means_over_seeds_with_an_interval() -> None:
    right = {0: 70, 1: 71}
    trials = {s: trial([0.95] * 100, [True] * n + [False] * (100 - n)) for s, n in right.items()}
    row = calibration_table({"plain": trials}, dict.fromkeys(right, np.zeros(100, np.int64))).iloc[0]
    assert (row["n"], row["images"], row["accuracy"]) == (2, 200, 0.705)
    assert row["high"] - row["low"] == pytest.approx(2 * 12.706204736 * 0.005)


def test_each_seed_has_the_labels_of_its_own_test_images() -> None:
    found = {"plain": {seed: trial([0.95, 0.95], [True, False]) for seed in (0, 1)}}
    labels = {0: np.array([0, 0]), 1: np.array([0, 1])}
    assert calibration_errors(found, labels)["accuracy"].tolist() == [0.5, 1.0]
    assert calibration_table(found, labels)["accuracy"].tolist() == [0.75]


def test_an_interval_ends_where_accuracies_do() -> None:
    found = {"plain": {0: trial([0.95] * 4, [True] * 4), 1: trial([0.95] * 4, [True] * 2 + [False] * 2)}}
    row = calibration_table(found, dict.fromkeys((0, 1), np.zeros(4, np.int64))).iloc[0]
    assert (row["accuracy"], row["low"], row["high"]) == (0.75, 0, 1)


def test_a_runs_table_agrees_with_its_accuracies(finished_run: Run) -> None:
    errors = finished_run.calibration_error.set_index(["variant", "seed"])
    results = finished_run.results.set_index(["variant", "seed"])
    assert errors["accuracy"].to_dict() == pytest.approx(results["test_accuracy"].to_dict(), abs=1e-6)
    images = finished_run.calibration.groupby("variant")["images"].sum()
    assert images.unique().tolist() == [100]


def test_panels_in_two_rows_are_drawn_with_the_labels_of_the_lower_one(finished_run: Run) -> None:
    figure, panels = small_multiples(9, 2.2, 2.7)
    style = variant_styles(["plain"], "plain")["plain"]
    rows = finished_run.calibration[finished_run.calibration["variant"] == "plain"]
    for ax in panels:
        draw_reliability(ax, rows, style)
    figure.canvas.draw()
    sides = [[t.get_horizontalalignment() for t in ax.get_xticklabels()] for ax in panels]
    assert sides[0] == []
    assert sides[-1] == ["left", "center", "right"]
