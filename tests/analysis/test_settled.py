"""A verdict that is called settled while a study trains is that of the finished study, whatever follows."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.questions import study_questions
from ablation.analysis.settled import settled_verdicts
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

LEVELS = {
    "plain": {"a": "0", "b": "0"}, "+a": {"a": "1", "b": "0"}, "+b": {"a": "0", "b": "1"},
    "both": {"a": "1", "b": "1"}, "c": {}, "d": {},
}  # fmt: skip
FACTORS = {"a": ("0", "1"), "b": ("0", "1")}
DECIDED = ("better", "worse", "equivalent")

compares = st.builds(
    CompareSettings,
    questions=st.sampled_from(["variants", "effects", "both"]),
    against=st.sampled_from(["baseline", "all"]),
    correction=st.sampled_from(["holm", "none"]),
    looks=st.sampled_from(["once", "any"]),
    margin=st.sampled_from([0.0001, 0.005, 0.02, 0.2]),
    alpha=st.sampled_from([0.01, 0.05, 0.3]),
)


def study_with(compare: CompareSettings, seeds: int) -> Study:
    study = study_of(LEVELS, compare, FACTORS, seeds)
    crossed = [v.model_copy(update={"crossed": bool(v.levels)}) for v in study.variants]
    return study.model_copy(update={"variants": tuple(crossed)})


def drawn(generator: np.random.Generator, seeds: int) -> dict[str, list[float | None]]:
    """Draw what every trial brings: effects of all sizes, seeds that agree or not, now and then a failure."""
    values: dict[str, list[float | None]] = {}
    of_seed = generator.normal(0, 0.01, seeds)
    for name in LEVELS:
        gain, noise = generator.choice([0.0, 0.003, 0.02, -0.05]), generator.choice([0.0005, 0.003, 0.02])
        values[name] = list(0.7 + gain + of_seed + generator.normal(0, noise, seeds))
        values[name] = [None if generator.random() < 0.02 else value for value in values[name]]
    return values


def table(values: dict[str, list[float | None]], pending: set[tuple[str, int]]) -> pd.DataFrame:
    results = results_of(values)
    is_pending = [(row.variant, row.seed) in pending for row in results.itertuples()]
    results.loc[is_pending, ["status", "test_accuracy"]] = ["pending", np.nan]
    return results


def some_pending(generator: np.random.Generator, seeds: int) -> set[tuple[str, int]]:
    """Leave out whole variants, or the last seeds of some."""
    names = generator.permutation(list(LEVELS))[: generator.integers(0, len(LEVELS))]
    return {(name, seed) for name in names for seed in range(generator.integers(0, seeds), seeds)}


def verdicts(results: pd.DataFrame, study: Study) -> dict[tuple[str, str], str]:
    """Return the verdicts of a finished study by subject and detail of the question."""
    answers = study_answers(results, study)
    compared = answers.comparisons.set_index(["variant", "baseline"])["verdict"]
    effects = answers.effects.set_index(["effect", "levels"])["verdict"]
    return compared.to_dict() | effects.to_dict()


@settings(max_examples=20, deadline=None)
@given(compare=compares, seed=st.integers(0, 2**32 - 1), seeds=st.integers(2, 6))
def test_a_settled_verdict_is_that_of_the_finished_study(
    compare: CompareSettings, seed: int, seeds: int
) -> None:
    generator = np.random.default_rng(seed)
    values, pending = drawn(generator, seeds), some_pending(generator, seeds)
    study = study_with(compare, seeds)
    rows = settled_verdicts(table(values, pending), study, compare)
    settled = rows[rows["is_settled"]]
    for _ in range(2):
        others = drawn(generator, seeds)
        for name, of_seed in itertools.product(LEVELS, range(seeds)):
            if (name, of_seed) in pending:
                values[name][of_seed] = others[name][of_seed]
        final = verdicts(results_of(values), study)
        for row in settled.itertuples():
            assert final[row.subject, row.detail] == row.verdict, (row, final)


@settings(max_examples=15, deadline=None)
@given(compare=compares, seed=st.integers(0, 2**32 - 1), seeds=st.integers(3, 6))
def test_so_it_is_if_seeds_are_added_to_the_open_questions(
    compare: CompareSettings, seed: int, seeds: int
) -> None:
    compare = compare.model_copy(update={"looks": "any"})
    generator = np.random.default_rng(seed)
    values, pending = drawn(generator, seeds), some_pending(generator, seeds)
    study, more = study_with(compare, seeds), drawn(generator, 4)
    rows = settled_verdicts(table(values, pending), study, compare)
    settled = rows[rows["is_settled"]]
    assert set(settled["verdict"]) <= set(DECIDED)
    answers = study_answers(results_of(values), study)
    judged = pd.concat([answers.comparisons, answers.effects])
    open_ = judged["declared"].astype(bool) & ~judged["verdict"].isin(DECIDED)
    growing = {"plain"}  # the partner of most comparisons
    for question, needs_seeds in zip(study_questions(study, compare), open_, strict=True):
        growing |= set(question.weights) if needs_seeds else set()
    grown = {name: [*of, *(more[name] if name in growing else [])] for name, of in values.items()}
    final = verdicts(results_of(grown), study)
    for row in settled.itertuples():
        assert final[row.subject, row.detail] == row.verdict, (row, final)


def test_what_holm_would_decide_differently_is_open() -> None:
    """`a` has a p between alpha / 2 and alpha: it is better if b is decided, and unresolved if it is not."""
    a = 0.7 + np.array([0.012, 0.006, 0.016, 0.010, 0.0])
    values = {"plain": [0.7] * 5, "a": list(a), "b": [0.9, 0.901, 0.899, 0.9, 0.902]}
    study = study_of(["plain", "a", "b"], CompareSettings(margin=0.0001))
    rows = settled_verdicts(table(values, {("b", 4)}), study, study.compare)
    assert rows["is_settled"].tolist() == [False, False]
    done = settled_verdicts(results_of(values), study, study.compare)
    assert done["is_settled"].tolist() == [True, True]
    assert done["verdict"].tolist() == ["better", "better"]


@pytest.mark.parametrize("pending", [set(), {("b", 0)}])
def test_unresolved_is_settled_if_no_level_would_decide_it(pending: set[tuple[str, int]]) -> None:
    values = {"plain": [0.7] * 4, "a": [0.6, 0.8, 0.65, 0.75], "b": [0.9, 0.91, 0.92, 0.9]}
    study = study_of(["plain", "a", "b"], seeds=4)
    row = settled_verdicts(table(values, pending), study, study.compare).iloc[0]
    assert (row["subject"], row["verdict"], row["is_settled"]) == ("a", "unresolved", True)


def test_nothing_is_settled_before_the_first_trial() -> None:
    study = study_of(["plain", "a"])
    pending = {(name, seed) for name in ("plain", "a") for seed in range(5)}
    rows = settled_verdicts(table({"plain": [0.7] * 5, "a": [0.8] * 5}, pending), study, study.compare)
    assert rows[["subject", "detail", "is_settled"]].values.tolist() == [["a", "plain", False]]
