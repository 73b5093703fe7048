"""The data of the charts are the run's own tables: every seed, its mean and interval, and its trial."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from invented_runs import run_of_variants

from ablation import Run
from ablation.charts.compact import compact, number
from ablation.charts.data import chart_data
from ablation.charts.library import packed_library, unpacked
from ablation.charts.looks import DARK_GROUND, contrast, lightened, rgb
from ablation.charts.places import Places
from ablation.charts.predictions import MOST_CELLS, confusion_data
from ablation.figures.learning_curves import learning_curves_data
from ablation.figures.palette import HUES, variant_styles

VARIANTS = ["plain", "+Dropout", "+BatchNorm"]
ALL = ["forest", "overfitting_gap", "learning_curves", "confusion", "calibration", "cost"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of_variants(tmp_path_factory.mktemp("charts"), VARIANTS, seeds=3, epochs=4)


@pytest.fixture(scope="module")
def data(run: Run) -> dict[str, Any]:
    return chart_data(run, ALL)


def of(chart: dict[str, Any], variant: str) -> dict[str, Any]:
    return next(entry for entry in chart["variants"] if entry["variant"] == variant)


def close(values: list[float | None], expected: Any) -> None:
    assert values == pytest.approx(list(expected), rel=1e-4)


def test_numbers_have_five_digits_and_json_can_hold_them(data: dict[str, Any]) -> None:
    assert compact([0.123456789, 123456.7, -1e-9, 0.5, math.nan, math.inf]) == [
        0.12346,
        123460.0,
        -1e-9,
        0.5,
        None,
        None,
    ]
    assert number(math.nan) is None
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_variants_look_as_in_the_figures(data: dict[str, Any], run: Run) -> None:
    assert [look["variant"] for look in data["variants"]] == VARIANTS
    assert data["baseline"] == 0
    styles = variant_styles(VARIANTS, "plain")
    for look in data["variants"]:
        assert rgb(look["colour"]) == pytest.approx(rgb(styles[look["variant"]].colour), abs=0.002)


def test_every_colour_can_be_seen_on_a_dark_page() -> None:
    ground = rgb(DARK_GROUND)
    for colour in [*HUES, "#555555", "#000000"]:
        assert contrast(lightened(rgb(colour), ground), ground) >= 4.5
    assert lightened((1, 1, 1), ground) == (1, 1, 1)
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


def test_curves_have_the_means_of_the_figure_and_every_seed_of_the_history(
    data: dict[str, Any], run: Run
) -> None:
    means = learning_curves_data(run.history).set_index(["variant", "metric"])
    for variant in VARIANTS:
        curve = of(data["curves"], variant)
        assert (curve["seeds"], curve["epochs"]) == ([0, 1, 2], [1, 2, 3, 4])
        for measure in ("train_accuracy", "val_accuracy", "train_loss", "val_loss"):
            expected = means.loc[(variant, measure)]
            for column in ("mean", "low", "high"):
                close(curve[measure][column], expected[column])
            assert curve[measure]["n"] == [3] * 4
            of_seed = run.history.query("variant == @variant and seed == 2")
            close(curve[measure]["every"][2], of_seed[measure])
        gaps = run.history.query("variant == @variant").groupby("epoch")["true_gap"].mean()
        close(curve["gap"]["mean"], gaps)
        close(
            curve["seconds"]["every"][0],
            run.history.query("variant == @variant and seed == 0")["seconds"].cumsum(),
        )
        assert [(run.trials[k].variant, run.trials[k].seed) for k in curve["trials"]] == [
            (variant, s) for s in range(3)
        ]


def test_a_trial_that_ended_early_has_a_shorter_curve(run: Run) -> None:
    shorter = run.with_study(run.study, run.dataset.digest)
    early = (run.history["seed"] == 1) & (run.history["epoch"] > 2)
    shorter.__dict__["history"] = run.history[~early]
    curve = of(chart_data(shorter, ["learning_curves"])["curves"], "plain")
    assert [len(values) for values in curve["val_loss"]["every"]] == [4, 2, 4]
    assert curve["val_loss"]["n"] == [3, 3, 2, 2]


def test_the_forest_has_the_comparisons_with_their_words(data: dict[str, Any], run: Run) -> None:
    forest = data["forest"]
    assert (forest["metric"], forest["in_points"], forest["margin"]) == ("test accuracy", True, 0.005)
    entry = of(forest, "+Dropout")
    values = run.results.query("variant == '+Dropout'")["test_accuracy"]
    close(entry["values"], values)
    assert entry["mean"] == pytest.approx(values.mean(), rel=1e-4)
    compared = run.comparisons.set_index("variant").loc["+Dropout"]
    difference = entry["difference"]
    for ours, theirs in (("mean", "difference"), ("low", "low"), ("high", "high"), ("n", "n")):
        assert difference[ours] == pytest.approx(compared[theirs], rel=1e-4)
    assert f"interval {100 * compared['low']:+.1f}".replace("-", "−") in difference["estimate"]
    assert difference["verdict"].endswith(compared["verdict"])
    assert [[run.trials[k].seed for k in pair] for pair in difference["trials"]] == [[0, 0], [1, 1], [2, 2]]
    assert "difference" not in of(forest, "plain")


def test_the_last_gap_is_that_of_the_last_epoch(data: dict[str, Any], run: Run) -> None:
    entry = of(data["overfitting_gap"], "+BatchNorm")
    last = run.history.query("variant == '+BatchNorm' and epoch == 4")["true_gap"]
    close(entry["values"], last)
    assert entry["mean"] == pytest.approx(last.mean(), rel=1e-4)


def test_confusions_are_counts_and_calibration_its_table(data: dict[str, Any], run: Run) -> None:
    confusion = data["confusion"]
    assert confusion["classes"] == [f"class {digit}" for digit in range(10)]
    for variant in VARIANTS:
        counts = pd.DataFrame(of(confusion, variant)["counts"])
        expected = run.confusion.query("variant == @variant")["count"].to_numpy().reshape(10, 10)
        assert (counts.to_numpy() == expected).all()
        entry, table = of(data["calibration"], variant), run.calibration.query("variant == @variant")
        for column in ("confidence", "accuracy", "low", "high", "n", "images", "above", "up_to"):
            expected = [None if value != value else value for value in table[column]]
            assert entry[column] == pytest.approx(expected, rel=1e-4)


def test_a_page_has_no_chart_of_more_cells_than_it_can_hold(run: Run) -> None:
    many = pd.DataFrame(
        {"variant": "plain", "true": "a", "predicted": "b", "count": 1}, index=range(MOST_CELLS + 1)
    )
    assert confusion_data(many, run.predictions, Places(run)) is None


def test_costs_are_those_of_the_table(data: dict[str, Any], run: Run) -> None:
    cost = data["cost"]
    assert list(cost["costs"]) == ["parameters", "multiply_adds", "seconds", "memory"]
    assert [entry["parameters"] for entry in cost["variants"]] == [1000, 2000, 3000]
    table = run.cost.set_index("variant")
    entry = of(cost, "+Dropout")
    assert entry["accuracy"] == pytest.approx(table.loc["+Dropout", "test_accuracy"], rel=1e-4)
    assert ("seconds" in entry["front"]) == bool(table.loc["+Dropout", "pareto_seconds"])


def test_only_figures_that_a_page_shows_have_charts(run: Run) -> None:
    assert chart_data(run, []) == {}
    assert chart_data(run, ["gap_parts"]) == {}
    assert set(chart_data(run, ["cost"])) == {"baseline", "variants", "cost"}


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    data = chart_data(run_of_variants(tmp_path, VARIANTS[:2], seeds=1, epochs=1), ALL)
    assert of(data["curves"], "plain")["gap"]["low"] == [None]
    assert of(data["forest"], "+Dropout")["difference"]["low"] is None
    assert json.dumps(data, allow_nan=False)


def test_the_library_is_packed_and_comes_out_whole() -> None:
    source = unpacked(packed_library())
    assert b"plotly.js v" in source[:200]
    assert len(packed_library()) < 2.5e6
    assert unpacked("no library") == b"no library"
    damaged = packed_library()[:2000] + "AAAA" + packed_library()[2004:]
    assert unpacked(damaged) == damaged.encode()
