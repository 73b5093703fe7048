"""Seeds that failed: which ones, how many, and how seldom a normal seed is called failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from studies import study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.failed_seeds import (
    FAILED_COLUMNS,
    failed_note,
    failed_seeds,
    failed_seeds_table,
)

CHANCE, IMAGES = 0.1, 1000
REFERENCE = Path(__file__).parents[2] / "experiments" / "reference"


def results(**accuracies: Sequence[float | str]) -> pd.DataFrame:
    """Return a results table; a text stands for a trial with that status."""
    rows = [
        (variant, seed, "completed", value)
        if not isinstance(value, str)
        else (variant, seed, value, math.nan)
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "status", "test_accuracy"])


def failed(table: pd.DataFrame, chance: float = CHANCE, images: int = IMAGES) -> list[tuple[str, int]]:
    marked = table[failed_seeds(table, chance, images)]
    return list(zip(marked["variant"], marked["seed"], strict=True))


PLAIN = [0.60, 0.61, 0.59, 0.605, 0.595]


def test_a_seed_at_chance_has_failed() -> None:
    table = results(plain=PLAIN, other=[0.42, 0.41, 0.43, 0.42, 0.10])
    assert failed(table) == [("other", 4)]


def test_a_seed_far_below_the_others_has_failed_although_it_is_above_chance() -> None:
    assert failed(results(plain=PLAIN, other=[0.58, 0.59, 0.20, 0.60, 0.57])) == [("other", 2)]


def test_a_seed_far_above_the_others_has_not_failed() -> None:
    assert failed(results(plain=PLAIN, other=[0.20, 0.21, 0.19, 0.20, 0.60])) == []


def test_a_seed_that_kept_most_of_the_gain_has_not_failed_however_alike_the_others_are() -> None:
    assert failed(results(plain=[0.9] * 5, other=[0.9, 0.9, 0.9, 0.9, 0.6]), images=10_000) == []


def test_seeds_that_vary_widely_have_not_failed() -> None:
    assert failed(results(plain=PLAIN, other=[0.60, 0.50, 0.40, 0.30, 0.24])) == []


def test_two_collapsed_seeds_do_not_hide_each_other() -> None:
    assert failed(results(plain=PLAIN, other=[0.1, 0.60, 0.61, 0.2, 0.59])) == [("other", 0), ("other", 3)]


def test_on_few_test_images_chance_is_not_told_from_a_little_above_it() -> None:
    table = results(plain=PLAIN, other=[0.20, 0.19, 0.21, 0.20, 0.10])
    assert failed(table, images=100) == []
    assert failed(table, images=10_000) == [("other", 4)]


def test_all_seeds_of_a_variant_can_be_at_chance() -> None:
    assert len(failed(results(plain=PLAIN, other=[0.1, 0.09, 0.1, 0.1, 0.08]))) == 5


def test_diverged_seeds_have_failed_and_of_crashed_ones_nothing_is_known() -> None:
    table = results(plain=["failed", "timeout", "pending", 0.6, 0.61], other=[0.6, "diverged", 0.6, 0.6, 0.6])
    assert failed(table) == [("other", 1)]


def test_on_a_skewed_test_set_chance_is_the_share_of_the_commonest_class() -> None:
    table = results(plain=[0.93, 0.94, 0.92], other=[0.8, 0.93, 0.92])
    assert failed(table, chance=0.8) == [("other", 0)]


def test_of_two_seeds_the_lower_one_can_have_failed() -> None:
    assert failed(results(plain=PLAIN, other=[0.6, 0.15])) == [("other", 1)]


def test_three_seeds_alone_do_not_show_that_one_is_far_outside() -> None:
    assert failed(results(plain=[0.6, 0.58, 0.3])) == []


@pytest.mark.parametrize("table", [results(), results(plain=["pending"]), results(plain=[0.5])])
def test_nothing_to_compare_is_nothing_failed(table: pd.DataFrame) -> None:
    marked = failed_seeds(table, CHANCE, IMAGES)
    assert marked.dtype == bool
    assert len(marked) == len(table)
    assert not marked.any()


values = st.one_of(st.floats(0, 1), st.sampled_from(["diverged", "failed", "pending"]))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(values, min_size=1, max_size=6), min_size=1, max_size=4), st.randoms())
def test_the_rule_knows_no_order_of_rows_and_keeps_the_index(
    columns: list[list[float | str]], random: object
) -> None:
    table = results(**{f"v{k}": column for k, column in enumerate(columns)})
    shuffled = table.sample(frac=1, random_state=random.randrange(1000))  # type: ignore[attr-defined]
    marked = failed_seeds(table, CHANCE, IMAGES)
    pd.testing.assert_series_equal(failed_seeds(shuffled, CHANCE, IMAGES).sort_index(), marked)
    completed = table["status"] == "completed"
    assert marked[table["status"] == "diverged"].all()
    one = table[completed].groupby("variant")["seed"].transform("count") == 1
    assert (marked[one.index[one]] == (table["test_accuracy"] < CHANCE + 0.5 / IMAGES)[one.index[one]]).all()
    assert not marked[~completed & (table["status"] != "diverged")].any()
    assert failed_seeds_table(table, "v0", CHANCE, IMAGES)["share"].dropna().between(0, 1).all()


def test_a_normal_seed_is_hardly_ever_called_failed() -> None:
    """False alarms by study at the worst of a wide grid of settings; the docstring of the module has more."""
    generator = np.random.default_rng(0)
    alarms = studies = 0
    for n, accuracy, deviation, images in [
        (3, 0.3, 0.03, 1000),
        (5, 0.2, 0.03, 10_000),
        (10, 0.2, 0.02, 1000),
    ]:
        for _ in range(60):
            truth = generator.normal(accuracy, deviation, (4, n))
            seen = generator.binomial(images, truth.clip(0, 1)) / images
            table = results(**{f"v{k}": list(row) for k, row in enumerate(seen)})
            alarms += len(failed(table, images=images)) > 0
            studies += 1
    assert alarms <= 0.03 * studies


def test_the_table_has_shares_with_exact_intervals_and_an_exact_paired_test() -> None:
    table = results(plain=[*PLAIN, 0.6], other=[0.1, "diverged", 0.6, 0.61, 0.09, "failed"])
    summary = failed_seeds_table(table, "plain", CHANCE, IMAGES)
    assert list(summary.columns) == FAILED_COLUMNS
    plain, other = summary.to_dict("records")
    assert (plain["n"], plain["collapsed"], plain["diverged"], plain["share"], plain["seeds"]) == (
        6,
        0,
        0,
        0,
        "",
    )
    assert (plain["low"], plain["high"]) == pytest.approx((0, 1 - 0.025 ** (1 / 6)))
    assert math.isnan(plain["p"])
    assert (other["n"], other["collapsed"], other["diverged"], other["share"]) == (5, 2, 1, 0.6)
    exact = stats.binomtest(3, 5).proportion_ci(0.95, "exact")
    assert (other["low"], other["high"]) == pytest.approx((exact.low, exact.high))
    assert other["p"] == pytest.approx(2 * 0.5**3)
    assert other["seeds"] == "0 (10.0%), 1 (diverged), 4 (9.0%)"


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_p_is_that_of_the_exact_sign_test(pairs: list[tuple[bool, bool]]) -> None:
    plain, other = ([0.1 if broken else 0.6 for broken in side] for side in zip(*pairs, strict=True))
    p = failed_seeds_table(results(plain=plain, other=other), "plain", CHANCE, IMAGES)["p"].iloc[1]
    discordant = [a for a, b in pairs if a != b]
    expected = stats.binomtest(sum(discordant), len(discordant)).pvalue if discordant else 1.0
    assert p == pytest.approx(expected)


def test_without_trials_there_is_no_share() -> None:
    row = failed_seeds_table(results(plain=["pending"]), "plain", CHANCE, IMAGES).iloc[0]
    assert row["n"] == 0
    assert np.isnan([row["share"], row["low"], row["high"], row["p"]]).all()


def test_the_note_names_the_seeds_and_their_share() -> None:
    table = results(plain=PLAIN, other=[0.42, 0.317, 0.43, 0.42, 0.091])
    plain, other = failed_seeds_table(table, "plain", CHANCE, IMAGES).to_dict("records")
    assert failed_note(plain) == ""
    assert (
        failed_note(other)
        == "1 of 5 seeds of other failed (20.0%, 95% interval 0.5% to 71.6%): seed 4 (9.1%)."
    )


def test_the_note_of_several_seeds() -> None:
    table = results(plain=PLAIN, other=["diverged", 0.317, 0.43, 0.42, 0.091])
    note = failed_note(failed_seeds_table(table, "plain", CHANCE, IMAGES).to_dict("records")[1])
    assert note == (
        "2 of 5 seeds of other failed (40.0%, 95% interval 5.3% to 85.3%): seeds 0 (diverged), 4 (9.1%)."
    )


def test_without_the_failed_seed_a_worse_variant_is_called_worse() -> None:
    study = study_of(["plain", "other"])
    table = results(plain=PLAIN, other=[0.55, 0.56, 0.545, 0.55, 0.10]).assign(provenance="here")
    rest = table[~failed_seeds(table, CHANCE, IMAGES)]
    verdicts = [study_answers(some, study).comparisons["verdict"].item() for some in (table, rest)]
    assert verdicts == ["unresolved", "worse"]


def test_in_the_reference_studies_training_collapsed_in_two() -> None:
    found = {
        study.name: failed(pd.read_csv(study / "results.csv"), chance=0.112)
        for study in REFERENCE.iterdir()
        if (study / "results.csv").exists()
    }
    assert set(found) == {page.stem for page in REFERENCE.parent.glob("*.md")}
    assert found.pop("depth-and-width") == [("blocks=12 convolutions", 1), ("blocks=12 convolutions", 2)]
    assert [variant for variant, _ in found.pop("dropout-rate")] == 5 * ["+Dropout 0.6 +BatchNorm"]
    assert not any(found.values())
