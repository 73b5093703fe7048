"""What was proposed, what was chosen, and how far two choices are apart."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation.analysis.tuning import Searched, choices_at, distance, proposals_table, standing
from ablation.grid.search_space import Parameter
from ablation.grid.settings import DenseSettings, TrainingSettings
from ablation.grid.study import Study, Variant
from ablation.grid.tune_settings import TuneSettings
from ablation.grid.tuning import (
    TunedProposal,
    proposals_of,
    same_plan,
    search_seeds,
    search_study,
    space_of,
    tuned_study,
)

RATE = Parameter(range=(0.001, 0.1), log=True)
WIDTH = Parameter(range=(0.0, 0.5))
KIND = Parameter(choice=("adam", "sgd"))


def a_study(**tune: Any) -> Study:
    """Two variants that differ in BatchNorm, tuned."""
    variants = tuple(
        Variant(
            name=name,
            model=DenseSettings(dense=(4,), batch_norm=has),
            training=TrainingSettings(epochs=1),
            levels={},
            crossed=False,
        )
        for name, has in (("plain", False), ("normed", True))
    )
    settings = TuneSettings(**{"space": {"learning_rate": RATE}, "seeds": 2, **tune})
    return Study(name="tiny", variants=variants, factors={}, baseline="plain", seeds=(0, 1), tune=settings)


def searched(study: Study, scores: dict[str, list[float]], search: int = 1) -> Searched:
    """A search with these scores of its proposals, by variant; NaN for a failed one."""
    rates = [0.001 * (k + 1) for k in range(max(map(len, scores.values())))]
    proposals = [
        TunedProposal(name, {"learning_rate": rates[k]})
        for k in range(len(rates))
        for name, of_variant in scores.items()
        if k < len(of_variant)
    ]
    plan = search_study(study, search, proposals)
    by_proposal = {name: iter(of_variant) for name, of_variant in scores.items()}
    rows = []
    for variant, proposal in zip(plan.variants, proposals, strict=True):
        score = next(by_proposal[proposal.variant])
        for seed in plan.seeds:
            status = "failed" if math.isnan(score) else "completed"
            rows.append({"variant": variant.name, "seed": seed, "status": status, "val_accuracy": score})
    return Searched(plan, pd.DataFrame(rows))


# The table of the proposals


def test_a_row_per_proposal_has_the_best_so_far_and_the_lead_over_the_baseline() -> None:
    study = a_study()
    table = proposals_table(
        study, {1: searched(study, {"plain": [0.5, 0.4, 0.7], "normed": [0.4, 0.6, 0.5]})}
    )
    normed = table[table["variant"] == "normed"]
    assert normed["best"].tolist() == [0.4, 0.6, 0.6]
    assert normed["chosen"].tolist() == [1, 2, 2]
    assert normed["lead"].tolist() == pytest.approx([-0.1, 0.1, -0.1])
    assert normed["settings"].tolist()[0] == "learning_rate: 0.001"


def test_of_equal_scores_the_first_is_chosen() -> None:
    study = a_study()
    table = proposals_table(study, {1: searched(study, {"plain": [0.5, 0.5], "normed": [0.4, 0.4]})})
    assert table["chosen"].tolist() == [1, 1, 1, 1]


def test_a_failed_proposal_is_never_chosen_and_changes_nothing() -> None:
    study = a_study()
    one = searched(study, {"plain": [math.nan, 0.3, math.nan], "normed": [0.1, 0.1, 0.1]})
    table = proposals_table(study, {1: one})
    plain = table[table["variant"] == "plain"]
    assert plain["chosen"].fillna(0).tolist() == [0, 2, 2]
    assert plain["status"].tolist() == ["failed", "completed", "failed"]
    assert set(choices_at(study, one.study, table, 1, 1)) == {"normed"}
    assert choices_at(study, one.study, table, 1, 3)["plain"].values == {"learning_rate": 0.002}


def test_a_lower_loss_is_better() -> None:
    study = a_study(objective="val_loss")
    one = searched(study, {"plain": [0.5, 0.4], "normed": [0.6, 0.7]})
    results = one.results.rename(columns={"val_accuracy": "val_loss"})
    table = proposals_table(study, {1: Searched(one.study, results)})
    assert table[table["variant"] == "plain"]["best"].tolist() == [0.5, 0.4]
    assert table[table["variant"] == "normed"]["chosen"].tolist() == [1, 1]


scores = st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), min_size=1, max_size=6)


@settings(deadline=None, max_examples=25)
@given(scores)
def test_the_choice_at_a_budget_is_that_of_a_search_of_this_budget(of_plain: list[float]) -> None:
    study = a_study()
    scores = {"plain": of_plain, "normed": [0.2] * len(of_plain)}
    one = searched(study, scores)
    table = proposals_table(study, {1: one})
    for budget in range(1, len(of_plain) + 1):
        short = searched(study, {name: of[:budget] for name, of in scores.items()})
        alone = proposals_table(study, {1: short})
        expected = choices_at(study, short.study, alone, 1, budget)
        assert choices_at(study, one.study, table, 1, budget) == expected


# How far two choices are apart


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ({"rate": 0.001}, {"rate": 0.1}, 1.0),
        ({"rate": 0.01}, {"rate": 0.1}, 0.5),  # on its own, logarithmic scale
        ({"width": 0.1}, {"width": 0.2}, 0.2),
        ({"kind": "adam"}, {"kind": "adam"}, 0.0),
        ({"kind": "adam"}, {"kind": "sgd"}, 1.0),
        ({"width": 0.1, "kind": "adam"}, {"width": 0.1, "kind": "sgd"}, 1.0),
        ({"width": 0.1}, {}, 1.0),  # a condition left it out
        ({}, {}, 0.0),
    ],
)
def test_the_distance_is_that_of_the_setting_farthest_apart(
    first: dict[str, Any], second: dict[str, Any], apart: float
) -> None:
    assert distance({"rate": RATE, "width": WIDTH, "kind": KIND}, first, second) == pytest.approx(apart)


def test_where_a_variant_stands_is_said_in_runs_of_budgets() -> None:
    assert standing([-0.1, -0.2, 0.0, 0.3, 0.3], maximise=True) == [(1, 2, -1), (3, 3, 0), (4, 5, 1)]
    assert standing([math.nan, 0.1], maximise=False) == [(2, 2, -1)]
    assert standing([], maximise=True) == []


# The studies that a study is made into


def test_a_search_and_its_proposals_are_each_others_inverse() -> None:
    study = a_study()
    proposals = [
        TunedProposal("plain", {"learning_rate": 0.01}),
        TunedProposal("normed", {"learning_rate": 0.02}),
        TunedProposal("plain", {"learning_rate": 0.03}),
    ]
    plan = search_study(study, 2, proposals)
    assert [variant.name for variant in plan.variants] == ["plain · 01", "normed · 01", "plain · 02"]
    assert proposals_of(plan) == proposals
    assert same_plan(search_study(study, 2, proposals_of(plan)), plan)
    assert not plan.reads_test


def test_tuned_variants_keep_their_differences_and_get_new_seeds() -> None:
    study = a_study()
    tuned = tuned_study(study, {"plain": {"learning_rate": 0.01}, "normed": {"learning_rate": 0.05}})
    assert [v.training.learning_rate for v in tuned.variants] == [0.01, 0.05]
    assert [v.model for v in tuned.variants] == [v.model for v in study.variants]
    used = {*study.seeds, *search_seeds(study, 1), *search_seeds(study, 2)}
    assert not used & {*tuned.seeds}
    assert len(used) == 2 + 2 + 2


def test_a_setting_without_an_effect_on_a_variant_is_not_searched_for_it() -> None:
    momentum = Parameter(range=(0.5, 0.9))
    study = a_study(space={"learning_rate": RATE, "batch_norm_momentum": momentum})
    of_each = {variant.name: list(space_of(study, variant)) for variant in study.variants}
    assert of_each == {"plain": ["learning_rate"], "normed": ["learning_rate", "batch_norm_momentum"]}


@pytest.mark.parametrize(
    ("budgets", "proposals", "smaller"),
    [(None, 20, [5, 10]), (None, 2, [1]), (None, 1, []), ((3, 50), 20, [3]), ((), 20, [])],
)
def test_smaller_budgets(budgets: tuple[int, ...] | None, proposals: int, smaller: list[int]) -> None:
    assert TuneSettings(budgets=budgets).smaller_budgets(proposals) == smaller
