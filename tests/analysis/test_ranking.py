"""Ranks: what the comparisons of all pairs support, and no more."""

from __future__ import annotations

import numpy as np
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.ranking import RANKING_COLUMNS, ranking_table
from ablation.grid.compare_settings import CompareSettings
from ablation.report.key_results import _rank_of_best


def ranking(
    values: dict[str, list[float]], metric: str = "test_accuracy"
) -> dict[str, tuple[int, int, bool]]:
    compare = CompareSettings(against="all", metric=metric, margin=0.001)
    table = results_of(values, metric)
    compared = study_answers(table, study_of(list(values), compare)).comparisons
    ranks = ranking_table(table, compared, compare)
    assert list(ranks.columns) == RANKING_COLUMNS
    return {row.variant: (row.rank_low, row.rank_high, row.tied_with_best) for row in ranks.itertuples()}


def test_ranks_are_bounded_by_the_verdicts() -> None:
    noise = np.array([0.0, 0.002, -0.002, 0.001, -0.001])
    values = {
        "a": list(0.5 + noise), "b": list(0.7 + noise[::-1]), "c": list(0.701 + noise[[2, 0, 4, 1, 3]]),
        "d": list(0.3 + noise[[1, 0, 3, 2, 4]]),
    }  # fmt: skip
    found = ranking(values)
    assert list(found) == ["c", "b", "a", "d"]  # the best mean first
    assert found == {"c": (1, 2, True), "b": (1, 2, True), "a": (3, 3, False), "d": (4, 4, False)}
    of_loss = ranking(values, "test_loss")
    assert of_loss == {"d": (1, 1, True), "a": (2, 2, False), "b": (3, 4, False), "c": (3, 4, False)}


def test_without_any_verdict_every_rank_is_possible() -> None:
    assert ranking({"a": [0.5, 0.7], "b": [0.6, 0.6], "c": [0.4, 0.8]}) == dict.fromkeys(
        ["a", "b", "c"], (1, 3, True)
    )


def sentence(values: dict[str, list[float | None]], seeds: int = 5) -> str:
    study = study_of(list(values), CompareSettings(against="all", holds_for=("seeds",)), seeds=seeds)
    table = results_of(values)
    ranks = ranking_table(table, study_answers(table, study).comparisons, study.compare)
    return _rank_of_best(ranks, str(ranks["variant"].iloc[0]))


def test_the_best_mean_is_said_to_be_best_only_if_all_comparisons_say_so() -> None:
    a, b = [0.5, 0.51, 0.52, 0.49, 0.5], [0.8, 0.81, 0.8, 0.79, 0.82]
    assert sentence({"a": a, "b": b}) == " It is better than every other variant."
    never = sentence({"a": a, "b": b, "c": [None] * 5})  # c has no trial to compare with
    assert never == " No variant is shown to be better than it."


def test_the_best_mean_may_have_lost_on_the_seeds_that_it_shares() -> None:
    values: dict[str, list[float | None]] = {
        "b": [0.6, 0.601, 0.599, None, None, None], "a": [0.5, 0.501, 0.5, 0.95, 0.95, 0.95],
        "c": [0.7, 0.701, 0.7, None, None, None],
    }  # fmt: skip
    assert (
        sentence(values, seeds=6)
        == " Yet another variant is better than it. None is shown to be better than c."
    )
