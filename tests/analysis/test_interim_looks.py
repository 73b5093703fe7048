"""Whole runs, simulated trial by trial: what is shown on the way, and what stands at the end."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.estimates import Estimate
from ablation.analysis.inference import judge_so_far
from ablation.grid.compare_settings import CompareSettings

VARIANTS, SEEDS = ("plain", "a", "b", "c", "d", "deeper"), 5


def unfinished(values: dict[str, list[float]], done: set[tuple[str, int]]) -> pd.DataFrame:
    """Return the results table of a run of which some trials are done and the others pending."""
    table = results_of(values)
    is_done = [(row.variant, row.seed) in done for row in table.itertuples()]
    return table.assign(status=np.where(is_done, "completed", "pending"))


def test_the_family_is_the_declared_one_from_the_first_trial_on() -> None:
    """10 of 30 trials are done: four of five comparisons have not begun, and count all the same."""
    generator = np.random.default_rng(0)
    values = {
        name: list(0.7 - 0.2 * (name == "deeper") + generator.normal(0, 0.001, SEEDS)) for name in VARIANTS
    }
    study = study_of(VARIANTS)
    done = set(itertools.product(("plain", "deeper"), range(SEEDS)))
    interim = study_answers(unfinished(values, done), study).comparisons.set_index("variant").loc["deeper"]
    final = study_answers(results_of(values), study).comparisons.set_index("variant").loc["deeper"]
    assert (interim["verdict"], interim["confidence"], interim["test"]) == ("worse", 0.99, "paired t")
    assert interim[["low", "high", "verdict"]].tolist() == final[["low", "high", "verdict"]].tolist()


def test_what_is_pending_makes_no_finished_comparison_easier_to_decide() -> None:
    """Holm's method would give a, with a p between alpha / 2 and alpha, the level alpha beside a decided b."""
    a = 0.7 + np.array([0.012, 0.006, 0.016, 0.010, 0.0])
    table = results_of({"plain": [0.7] * 5, "a": list(a), "b": [0.9, 0.901, 0.899, 0.9, 0.902]})
    study = study_of(["plain", "a", "b"])
    assert study_answers(table, study).comparisons["verdict"].tolist() == ["better", "better"]
    table.loc[(table["variant"] == "b") & (table["seed"] == 4), "status"] = "pending"
    row = study_answers(table, study).comparisons.iloc[0]
    assert 0.025 < row["p"] < 0.05
    assert row["verdict"] == "unresolved"


def test_a_comparison_with_pending_trials_is_anytime_valid_at_a_tenth_of_alpha() -> None:
    generator = np.random.default_rng(0)
    values = {name: list(0.7 + generator.normal(0, 0.01, 12)) for name in ("plain", "a", "b")}
    table = results_of(values).assign(status="completed")
    table.loc[(table["variant"] == "b") & (table["seed"] == 11), "status"] = "pending"
    rows = study_answers(table, study_of(["plain", "a", "b"], seeds=12)).comparisons.set_index("variant")
    assert rows["test"].tolist() == ["paired t", "anytime-valid paired t"]
    assert rows["confidence"].tolist() == pytest.approx([1 - 0.05 / 2, 1 - 0.005 / 2])
    assert rows["n"].tolist() == [12, 11]
    anytime = study_of(["plain", "a", "b"], CompareSettings(looks="any"), seeds=12)
    rows = study_answers(table, anytime).comparisons
    assert set(rows["test"]) == {"anytime-valid paired t"}
    assert set(rows["confidence"]) == {1 - 0.05 / 2}


@pytest.mark.parametrize("seed", range(20))
def test_what_is_called_better_or_worse_early_is_called_so_at_the_end(seed: int) -> None:
    """Variant by variant, with effects: comparisons that are done keep their verdict as others finish."""
    generator = np.random.default_rng(seed)
    values = {
        name: list(0.7 + gain + generator.normal(0, 0.01, SEEDS))
        for name, gain in zip(VARIANTS, generator.choice([0.0, 0.02, -0.04], len(VARIANTS)), strict=True)
    }
    study, called = study_of(VARIANTS), dict[str, str]()
    for k in range(2, len(VARIANTS) + 1):
        done = set(itertools.product(VARIANTS[:k], range(SEEDS)))
        verdicts = study_answers(unfinished(values, done), study).comparisons.set_index("variant")["verdict"]
        assert {name: verdicts[name] for name in called} == called
        called |= {name: v for name, v in verdicts.items() if v in ("better", "worse")}


def any_false_verdict(values: np.ndarray, done: set[tuple[int, int]], naive: bool = False) -> bool:
    family, open_ = {}, set()
    for variant in range(1, len(values)):
        seeds = [seed for seed in range(SEEDS) if {(0, seed), (variant, seed)} <= done]
        family[str(variant)] = Estimate(values[variant, seeds] - values[0, seeds])
        open_ |= set() if len(seeds) == SEEDS else {str(variant)}
    judged = judge_so_far(family, () if naive else open_, CompareSettings())
    return bool(judged["verdict"].isin(["better", "worse"]).any())


@pytest.mark.parametrize("order", ["seed by seed", "variant by variant"])
def test_in_runs_without_an_effect_looking_adds_little_to_alpha(order: str) -> None:
    """60 runs of 30 trials, looked at after every third; promised: at most 5.5% with any false verdict."""
    generator = np.random.default_rng(1)
    trials = list(itertools.product(range(len(VARIANTS)), range(SEEDS)))
    if order == "seed by seed":
        trials.sort(key=lambda trial: trial[1])
    early, late, naive = [], [], []
    for _ in range(60):
        values = generator.normal(0, 0.01, (len(VARIANTS), SEEDS))
        looks = [set(trials[:k]) for k in range(9, len(trials), 3)]
        early.append(any(any_false_verdict(values, done) for done in looks))
        late.append(any_false_verdict(values, set(trials)))
        naive.append(any(any_false_verdict(values, done, naive=True) for done in looks) or late[-1])
    assert np.mean(np.logical_or(early, late)) <= 0.055 + 3 * np.sqrt(0.055 * 0.945 / 60)
    assert np.mean(np.greater(early, late)) <= 0.005 + 3 * np.sqrt(0.005 * 0.995 / 60)
    if order == "seed by seed":
        assert np.mean(naive) > 0.08  # so the test can tell
