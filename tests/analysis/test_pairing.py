"""The audit sees whether trials are pairs, before they are trained and after."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import tiny_trial
from scipy import stats

from ablation import Run, Study, run_study
from ablation.analysis.pairing import (
    pairing_break_even,
    pairing_by_seed,
    pairing_gain,
    pairing_table,
    pairing_verdict,
    when_pairing_pays,
)
from ablation.data.datasets import Dataset
from ablation.grid.trial import InitialState, InitialWeights


def test_all_trials_of_a_study_are_pairs(finished_run: Run) -> None:
    table = finished_run.pairing
    assert len(table) == 8
    assert table["paired"].all()
    assert (table["shared_layers"] == 4).all()  # two convolutions, a Dense layer and the output
    assert table.set_index(["variant", "seed"]).loc[("+both", 0), "layers"] == 8
    by_seed = table.groupby("seed")
    assert (by_seed["order"].nunique() == 1).all()
    assert (by_seed["weights"].nunique() == 1).all()
    assert table["weights"].nunique() == table["order"].nunique() == 2  # the seeds differ


@pytest.mark.usefixtures("without_report")
def test_what_is_planned_starts_as_what_is_trained(
    finished_run: Run, tiny_study: Study, tmp_path: object
) -> None:
    run = run_study(tiny_study, tmp_path / "run", only=["plain"], executor="inline")  # type: ignore[operator]
    assert run.pairing["paired"].isna().sum() == 6
    pd.testing.assert_frame_equal(run.audit(), finished_run.pairing)


@pytest.mark.usefixtures("without_report")
def test_an_unseeded_layer_is_found(
    tiny_study: Study, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake that the audit is for: a layer whose weights depend on what was built before it."""
    from ablation.training import compilation

    build, built = compilation.build_model, itertools.count()

    def careless(*arguments: object) -> keras.Sequential:
        model = build(*arguments)  # type: ignore[arg-type]
        model.get_layer("dense1").kernel.assign(keras.initializers.GlorotUniform(next(built))((24, 8)))
        return model

    monkeypatch.setattr(compilation, "build_model", careless)
    run = run_study(tiny_study, tmp_path / "run", executor="inline")  # type: ignore[operator]
    others = run.pairing[run.pairing["variant"] != "plain"]
    assert not others["paired"].any()
    assert pairing_verdict(run.pairing) == (
        "Not paired with the baseline's trial of the same seed: +Dropout seed 0, +Dropout seed 1, "
        "+BatchNorm seed 0, +BatchNorm seed 1, +both seed 0, +both seed 1."
    )


def weights(**digests: str) -> dict[str, InitialWeights]:
    return {name: InitialWeights(shape=(3,), digest=digest) for name, digest in digests.items()}


def test_other_batches_and_other_weights_are_told_apart(tiny_dataset: Dataset) -> None:
    trials = [tiny_trial(tiny_dataset, width=k).model_copy(update={"variant": f"v{k}"}) for k in (1, 2, 3, 4)]
    starts = {
        trials[0].id: InitialState(weights(a="1", b="2"), ("x", "y")),
        trials[1].id: InitialState(weights(a="1", b="9"), ("x", "y")),
        trials[2].id: InitialState(weights(a="1", c="9"), ("x",)),  # ended early; c is a layer of its own
    }
    table = pairing_table(trials, starts, "v1")
    assert table["paired"].tolist() == [True, False, True, pd.NA]
    assert table["shared_layers"].tolist() == [2, 2, 1, pd.NA]
    text = pairing_by_seed(table, "v1")
    assert list(text.columns) == ["seed", "batch order", "v2", "v3", "v4"]
    row = text.iloc[0]
    assert " ≠ " in row["v2"]
    assert row["v3"].endswith(" ✓")
    assert row["v4"] == "–"
    starts[trials[1].id] = InitialState(weights(a="1", b="2"), ("x", "z"))
    assert pairing_table(trials, starts, "v1")["paired"].tolist() == [True, False, True, pd.NA]


def results(plain: list[float], other: list[float]) -> pd.DataFrame:
    rows = [
        {"variant": variant, "seed": seed, "status": "completed", "provenance": "p", "test_accuracy": value}
        for variant, values in (("plain", plain), ("other", other))
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_gain_is_one_minus_the_ratio_of_variances() -> None:
    plain, other = [0.70, 0.72, 0.68, 0.75], [0.73, 0.74, 0.72, 0.77]
    row = pairing_gain(results(plain, other), "plain").iloc[0]
    saved = 1 - np.var(np.subtract(other, plain), ddof=1) / (np.var(plain, ddof=1) + np.var(other, ddof=1))
    assert row["variance_saved"] == pytest.approx(saved)
    assert row["correlation"] == pytest.approx(np.corrcoef(plain, other)[0, 1])
    assert row["n"] == 4


@pytest.mark.parametrize(("pairs", "percent"), [(3, 58), (5, 31), (10, 14)])
def test_pairing_pays_above_the_reduction_that_makes_the_intervals_equally_wide(
    pairs: int, percent: int
) -> None:
    """Both intervals by SciPy, on numbers whose variance reduction is exactly the break-even."""
    break_even = pairing_break_even(pairs)
    assert round(100 * break_even) == percent
    assert f"{percent}% with {pairs}" in when_pairing_pays()
    shared, rest = np.linalg.qr(np.c_[np.ones(pairs), np.random.default_rng(0).normal(size=(pairs, 2))])[0][
        :, 1:
    ].T
    plain, other = shared, break_even * shared + np.sqrt(1 - break_even**2) * rest
    assert pairing_gain(results(list(plain), list(other)), "plain")["variance_saved"].iloc[
        0
    ] == pytest.approx(break_even)
    paired = stats.ttest_rel(plain, other).confidence_interval()
    unpaired = stats.ttest_ind(plain, other).confidence_interval()
    assert paired.high - paired.low == pytest.approx(unpaired.high - unpaired.low)


def test_pairs_that_cannot_say_what_was_gained_say_nothing() -> None:
    two = pairing_gain(results([0.7, 0.8], [0.7, 0.9]), "plain").iloc[0]
    assert (two["n"], np.isnan(two["correlation"]), np.isnan(two["variance_saved"])) == (2, True, True)
    constant = pairing_gain(results([0.7, 0.8, 0.9], [0.1 + 0.2] * 3), "plain").iloc[0]
    assert np.isnan(constant["correlation"])


def test_of_training_sets_of_two_sizes_only_the_weights_are_compared(tiny_dataset: Dataset) -> None:
    plain, fewer = (
        tiny_trial(tiny_dataset, train_size=size).model_copy(update={"variant": name})
        for name, size in (("plain", None), ("fewer", 20))
    )
    weights = {"conv": InitialWeights(shape=(3, 3), digest="a")}
    starts = {plain.id: InitialState(weights, ("x",)), fewer.id: InitialState(weights, ("y",))}
    assert pairing_table([plain, fewer], starts, "plain")["paired"].all()
    starts[fewer.id] = InitialState({"conv": InitialWeights(shape=(3, 3), digest="b")}, ("y",))
    assert list(pairing_table([plain, fewer], starts, "plain")["paired"]) == [True, False]
