"""The declared family of a study: which questions it has, how they share alpha, and what is exploratory."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from studies import results_of, study_of

from ablation import Study
from ablation.analysis.answers import COMPARISON_COLUMNS, study_answers
from ablation.grid.compare_settings import CompareSettings

CELLS = {
    "plain": {"dropout": "0", "batch_norm": "false"},
    "+Dropout": {"dropout": "0.2", "batch_norm": "false"},
    "+BatchNorm": {"dropout": "0", "batch_norm": "true"},
    "+both": {"dropout": "0.2", "batch_norm": "true"},
}
FACTORS = {"dropout": ("0", "0.2"), "batch_norm": ("false", "true")}


def two_by_two(compare: CompareSettings) -> Study:
    return study_of(CELLS, compare, FACTORS)


def drawn(study: Study, seed: int = 0, spread: float = 0.01) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return results_of({v.name: list(generator.normal(0.7, spread, 5)) for v in study.variants})


def comparisons(table: pd.DataFrame, compare: CompareSettings | None = None) -> pd.DataFrame:
    return study_answers(table, study_of(list(table["variant"].unique()), compare)).comparisons


def test_a_comparison_is_the_paired_t_test_adjusted_by_holm() -> None:
    table = results_of(
        {"plain": [0.70, 0.72, 0.69, 0.74], "a": [0.75, 0.76, 0.70, 0.79], "b": [0.71, 0.70, 0.70, 0.74]}
    )
    compared = comparisons(table)
    assert list(compared.columns) == COMPARISON_COLUMNS
    by_variant = table.pivot(index="seed", columns="variant", values="test_accuracy")
    p = [stats.ttest_rel(by_variant[variant], by_variant["plain"]).pvalue for variant in ("a", "b")]
    assert compared["p"].tolist() == pytest.approx(p, abs=1e-12)
    assert compared["p_adjusted"].tolist() == pytest.approx([min(1, 2 * min(p)), max(2 * min(p), max(p))])
    first = stats.ttest_rel(by_variant["a"], by_variant["plain"]).confidence_interval(0.975)
    assert (compared["low"][0], compared["high"][0]) == pytest.approx((first.low, first.high), abs=1e-12)
    assert compared["confidence"].tolist() == pytest.approx([0.975, 0.975])
    assert compared["difference"][0] == pytest.approx(0.0375)
    assert compared["verdict"].tolist() == ["unresolved", "unresolved"]


def test_failed_seeds_are_left_out_in_pairs() -> None:
    row = comparisons(results_of({"plain": [0.5, None, 0.6, 0.7], "a": [0.6, 0.9, None, 0.9]})).iloc[0]
    assert row["n"] == 2
    assert row["difference"] == pytest.approx(0.15)  # seeds 0 and 3, and no mean over others


def test_too_few_pairs_have_no_interval_and_no_p() -> None:
    table = results_of({"plain": [0.5, None], "one": [0.6, 0.7], "none": [None, None]})
    one, none = comparisons(table).to_dict("records")
    assert (one["n"], none["n"]) == (1, 0)
    assert one["difference"] == pytest.approx(0.1)
    assert all(np.isnan(row[key]) for row in (one, none) for key in ("low", "high", "p", "p_adjusted"))
    assert np.isnan(none["difference"])


def test_another_metric_is_compared_where_the_study_says_so() -> None:
    table = results_of({"plain": [0.5, 0.51, 0.53], "a": [0.6, 0.62, 0.61]}, "test_loss")
    row = comparisons(table, CompareSettings(metric="test_loss", margin=0.01)).iloc[0]
    assert (row["metric"], row["margin"], row["verdict"]) == ("test_loss", 0.01, "worse")


def test_pairs_of_every_environment_are_pooled_and_mixed_ones_are_not() -> None:
    """Each machine adds what it adds to both trials of a pair; a pair from two machines is none."""
    table = results_of({"plain": [0.5, 0.61, 0.7, 0.9], "a": [0.52, 0.64, 0.71, 0.1]})
    table["provenance"] = ["m0", "m1", "m2", "m3", "m0", "m1", "m2", "elsewhere"]
    row = comparisons(table).iloc[0]
    assert (row["n"], row["environments"]) == (3, 3)
    assert row["difference"] == pytest.approx(0.02)


def test_thirty_people_with_a_seed_each_on_eleven_machines_are_thirty_pairs() -> None:
    generator = np.random.default_rng(0)
    machine = generator.integers(0, 11, 30)
    plain = 0.6 + 0.01 * machine + generator.normal(0, 0.002, 30)
    table = results_of({"plain": list(plain), "a": list(plain + generator.normal(0.01, 0.005, 30))})
    table["provenance"] = [f"machine {k}" for k in (*machine, *machine)]
    row = comparisons(table).iloc[0]
    assert (row["n"], row["environments"]) == (30, len(set(machine)))
    assert row["verdict"] == "better"


@pytest.mark.parametrize(
    ("questions", "declared"),
    [
        ("variants", {"+Dropout", "+BatchNorm", "+both", "0.2 where batch_norm=false", "true where dropout=0"}),
        ("effects", {"0.2", "true", "0.2 × true"}),
        ("both", {"+Dropout", "+BatchNorm", "+both", "0.2 where batch_norm=false", "true where dropout=0",
                  "0.2", "true", "0.2 × true"}),
    ],
)  # fmt: skip
def test_the_grid_declares_the_questions_and_all_else_is_exploratory(
    questions: str, declared: set[str]
) -> None:
    study = two_by_two(CompareSettings(questions=questions))  # type: ignore[arg-type]
    answers = study_answers(drawn(study), study)
    effects = answers.effects[answers.effects["kind"] != "Shapley share"]
    found = set(answers.comparisons.loc[answers.comparisons["declared"], "variant"])
    assert found | set(effects.loc[effects["declared"], "levels"]) == declared
    for table in (answers.comparisons, answers.effects):
        exploratory = table[~table["declared"].astype(bool)]
        assert (exploratory["verdict"] == "").all()
        assert (exploratory["reason"] == "exploratory").all()
        assert (exploratory["confidence"] == 0.95).all()
        assert exploratory["p_adjusted"].isna().all()
        assert table["low"].notna().all()


def test_all_declared_questions_share_alpha_and_the_same_contrast_has_one_answer() -> None:
    """Of 3 comparisons, 2 main effects and an interaction, none coincide: a family of six."""
    study = two_by_two(CompareSettings(questions="both"))
    answers = study_answers(drawn(study, spread=0.05), study)
    declared = answers.effects[answers.effects["declared"]]
    assert set(answers.comparisons["confidence"]) == {1 - 0.05 / 6}
    assert set(declared["confidence"]) == {1 - 0.05 / 6}
    simple = declared.set_index("levels").loc["0.2 where batch_norm=false"]
    compared = answers.comparisons.set_index("variant").loc["+Dropout"]
    shared = ["difference", "low", "high", "p", "p_adjusted", "verdict", "confidence"]
    assert simple[shared].tolist() == compared[shared].tolist()


def test_a_comparison_against_another_baseline_is_the_effect_with_its_sign_turned() -> None:
    full_first = {name: CELLS[name] for name in ("+both", "plain", "+Dropout", "+BatchNorm")}
    study = study_of(full_first, CompareSettings(), FACTORS)
    table = results_of({
        "+both": [0.7, 0.72, 0.71, 0.73, 0.7], "plain": [0.5, 0.51, 0.52, 0.5, 0.5],
        "+Dropout": [0.6, 0.6, 0.61, 0.6, 0.6], "+BatchNorm": [0.6, 0.62, 0.61, 0.62, 0.6],
    })  # fmt: skip
    answers = study_answers(table, study)
    compared = answers.comparisons.set_index("variant").loc["+BatchNorm"]
    effect = answers.effects.set_index("levels").loc["0.2 where batch_norm=true"]
    assert (compared["verdict"], effect["verdict"]) == ("worse", "better")
    assert effect["low"] == pytest.approx(-compared["high"])
    assert effect["p_adjusted"] == pytest.approx(compared["p_adjusted"])


def test_a_question_that_cannot_be_tested_yet_is_in_the_family_from_the_first_trial_on() -> None:
    """Four of five comparisons have not begun: the fifth is judged as one of five."""
    values = {"plain": [0.7, 0.71, 0.7, 0.72, 0.7], "deeper": [0.6, 0.62, 0.61, 0.6, 0.62]}
    pending = {f"v{k}": [None] * 5 for k in range(4)}
    row = comparisons(results_of(values | pending)).set_index("variant").loc["deeper"]
    assert row["confidence"] == 0.99
    assert row["p_adjusted"] == pytest.approx(5 * row["p"])


def test_all_pairs_are_one_family() -> None:
    values = {name: list(0.5 + 0.1 * k + 0.001 * np.arange(5) * k) for k, name in enumerate("abcd")}
    compared = comparisons(results_of(values), CompareSettings(against="all"))
    pairs = set(zip(compared["variant"], compared["baseline"], strict=True))
    assert {frozenset(pair) for pair in pairs} == {frozenset(p) for p in itertools.combinations("abcd", 2)}
    assert len(compared) == 6
    assert [baseline for _, baseline in zip(compared["variant"], compared["baseline"], strict=True)][:3] == [
        "a"
    ] * 3
    assert compared["p_adjusted"].min() == pytest.approx(6 * compared["p"].min())


def test_without_the_failed_seeds_a_comparison_is_given_beside_that_of_all() -> None:
    table = results_of({"plain": [0.7, 0.71, 0.7, 0.69, 0.7], "a": [0.62, 0.61, 0.63, 0.10, 0.62]})
    study = study_of(["plain", "a"])
    row = study_answers(table, study, failed={("a", 3)}).comparisons.iloc[0]
    assert row["verdict"] == "unresolved"
    assert (row["failed_seeds"], row["n_rest"]) == ("a (seed 3)", 4)
    rest = np.array([-0.08, -0.10, -0.07, -0.08])
    interval = stats.ttest_1samp(rest, 0).confidence_interval(0.95)
    assert (row["low_rest"], row["high_rest"]) == pytest.approx((interval.low, interval.high))
    assert row["difference_rest"] == pytest.approx(rest.mean())
    assert study_answers(table, study).comparisons.iloc[0]["failed_seeds"] == ""


def test_pairs_without_the_baseline_keep_their_images_in_any_environment() -> None:
    """Two variants ran elsewhere than the baseline: their comparison holds for other images all the same."""
    generator = np.random.default_rng(0)
    right = {name: {seed: generator.random(400) < 0.7 for seed in range(4)} for name in "abc"}
    table = results_of({name: [float(right[name][s].mean()) for s in range(4)] for name in "abc"})
    table["provenance"] = ["here"] * 4 + ["elsewhere"] * 8
    study = study_of("abc", CompareSettings(against="all"))
    rows = study_answers(table, study, correct=right).comparisons
    by_pair = rows.set_index(["variant", "baseline"])
    assert by_pair.loc[("c", "b"), ["n", "holds_for"]].tolist() == [4, "seeds and images"]
    assert by_pair.loc[("b", "a"), "n"] == 0


def test_an_infinite_value_is_no_pair() -> None:
    row = comparisons(results_of({"plain": [0.5, 0.6, 0.7, 0.6], "a": [0.6, float("inf"), 0.9, 0.7]}, "test_loss"),
                      CompareSettings(metric="test_loss", margin=0.1)).iloc[0]  # fmt: skip
    assert row["n"] == 3
    assert np.isfinite(row["difference"])
