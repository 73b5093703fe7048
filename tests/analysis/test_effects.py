"""Effects of factors: against statsmodels, against hand-computed cases, and what cannot be estimated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from ablation import Study
from ablation.analysis.answers import EFFECT_COLUMNS, study_answers

WriteGrid = Callable[[str], Path]
TWO = "{study: s, factors: {dropout: [0, 0.2], batch_norm: [false, true]}, compare: {correction: none, questions: both}}"
THREE = (
    "{study: s, factors: {dropout: [0, 0.2], batch_norm: [false, true], width: [1, 2]}, "
    "compare: {correction: none, questions: both}}"
)


def results(study: Study, value: Callable[[dict[str, int], int], float], seeds: int = 6) -> pd.DataFrame:
    """Draw a results table: ``value`` of the numbers of a variant's levels and of the seed."""
    rows = []
    for variant, seed in itertools.product(study.variants, range(seeds)):
        levels = {f: study.factors[f].index(variant.levels[f]) for f in study.factors}
        rows.append({"variant": variant.name, "seed": seed, "status": "completed", "provenance": "p",
                     "test_accuracy": value(levels, seed)})  # fmt: skip
    return pd.DataFrame(rows)


def effects_table(data: pd.DataFrame, study: Study) -> pd.DataFrame:
    return study_answers(data, study).effects


def noisy(effect: Callable[[dict[str, int]], float]) -> Callable[[dict[str, int], int], float]:
    generator = np.random.default_rng(1)
    return lambda levels, seed: 0.7 + effect(levels) + 0.02 * seed + generator.normal(0, 0.01)


def effect_of(table: pd.DataFrame, kind: str, effect: str, levels: str = "") -> pd.Series:
    found = table[(table["kind"] == kind) & (table["effect"] == effect)]
    return (found[found["levels"] == levels] if levels else found).iloc[0]


def test_a_two_by_two_by_hand(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(TWO))
    cells = {(0, 0): 0.70, (1, 0): 0.74, (0, 1): 0.73, (1, 1): 0.71}
    table = effects_table(
        results(study, lambda lv, s: cells[lv["dropout"], lv["batch_norm"]] + 0.01 * s * lv["dropout"]), study
    )
    assert list(table.columns) == EFFECT_COLUMNS
    slope = 0.01 * np.mean(range(6))
    found = {(r["kind"], r["effect"], r["levels"]): r["difference"] for _, r in table.iterrows()}
    assert found == pytest.approx({
        ("main effect", "dropout", "0.2"): (0.04 - 0.02) / 2 + slope,
        ("main effect", "batch_norm", "true"): (0.03 - 0.03) / 2,
        ("interaction", "dropout × batch_norm", "0.2 × true"): 0.71 - 0.74 - 0.73 + 0.70,
        ("effect where", "dropout", "0.2 where batch_norm=false"): 0.04 + slope,
        ("effect where", "dropout", "0.2 where batch_norm=true"): -0.02 + slope,
        ("effect where", "batch_norm", "true where dropout=0"): 0.03,
        ("effect where", "batch_norm", "true where dropout=0.2"): -0.03,
        ("Shapley share", "dropout", "0.2"): (0.04 - 0.02) / 2 + slope,
        ("Shapley share", "batch_norm", "true"): 0.0,
    }, abs=1e-12)  # fmt: skip


def test_main_effects_and_interactions_are_those_of_a_repeated_measures_anova(write_grid: WriteGrid) -> None:
    """With two levels a factor, the square of a contrast's t is the F of the analysis of variance."""
    study = Study.from_yaml(write_grid(THREE))
    data = results(study, noisy(lambda lv: 0.02 * lv["dropout"] + 0.03 * lv["dropout"] * lv["width"]))
    table = effects_table(data, study)
    long = data.assign(**{f: data["variant"].map({v.name: v.levels[f] for v in study.variants})
                          for f in study.factors})  # fmt: skip
    anova = AnovaRM(long, "test_accuracy", "seed", within=list(study.factors)).fit().anova_table
    for name, row in anova.iterrows():
        effect = str(name).replace(":", " × ")
        kind = "interaction" if "×" in effect else "main effect"
        assert effect_of(table, kind, effect)["p"] == pytest.approx(row["Pr > F"], abs=1e-9)


def test_planted_effects_are_found_and_others_are_not(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(THREE.replace("none", "holm")))
    table = effects_table(
        results(study, noisy(lambda lv: 0.05 * lv["batch_norm"] * lv["width"] - 0.06 * lv["dropout"]), 12),
        study,
    )
    verdicts = {r["effect"]: r["verdict"] for _, r in table.iterrows() if r["kind"] == "interaction"}
    assert verdicts["batch_norm × width"] == "better"
    assert verdicts["dropout × batch_norm"] in ("unresolved", "equivalent")
    assert effect_of(table, "main effect", "dropout")["verdict"] == "worse"
    assert (
        effect_of(table, "effect where", "width", "2 where dropout=0, batch_norm=true")["difference"] > 0.04
    )


def test_shapley_shares_add_up_and_are_averages_over_orders(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(THREE))
    generator = np.random.default_rng(3)
    cells = {cell: generator.normal() for cell in itertools.product((0, 1), repeat=3)}
    table = effects_table(results(study, lambda lv, s: cells[tuple(lv.values())] + s, 3), study)
    shares = table[table["kind"] == "Shapley share"].set_index("effect")["difference"]
    assert shares.sum() == pytest.approx(cells[1, 1, 1] - cells[0, 0, 0], abs=1e-9)
    for place, factor in enumerate(study.factors):
        marginal = []
        for order in itertools.permutations(range(3)):
            before = [int(order.index(k) < order.index(place)) for k in range(3)]
            after = [*before[:place], 1, *before[place + 1 :]]
            marginal.append(cells[tuple(after)] - cells[tuple(before)])
        assert shares[factor] == pytest.approx(np.mean(marginal), abs=1e-9)


def test_three_levels_give_a_contrast_each(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("{study: s, factors: {dropout: [0, 0.2, 0.5], width: [1, 2]}}"))
    table = effects_table(results(study, lambda lv, s: 0.1 * lv["dropout"] + 0.01 * lv["width"]), study)
    mains = table[table["kind"] == "main effect"]
    assert list(zip(mains["effect"], mains["levels"], strict=True)) == [
        ("dropout", "0.2"), ("dropout", "0.5"), ("width", "2"),
    ]  # fmt: skip
    assert mains["difference"].tolist() == pytest.approx([0.1, 0.2, 0.01])
    assert "Shapley share" not in set(table["kind"])


def test_what_a_partial_study_cannot_estimate_is_said(write_grid: WriteGrid) -> None:
    grid = THREE.replace("}, compare", "}, ablate: [add_one_in, leave_one_out], compare")
    study = Study.from_yaml(write_grid(grid))
    table = effects_table(results(study, noisy(lambda lv: 0.0)), study)
    main = effect_of(table, "main effect", "dropout")
    # all eight cells of three components are there: plain, one in, one out, full
    assert main["n"] == 6
    four = grid.replace("width: [1, 2]", "width: [1, 2], depth: [1, 2]")
    study = Study.from_yaml(write_grid(four))
    table = effects_table(results(study, noisy(lambda lv: 0.0)), study)
    main = effect_of(table, "main effect", "dropout")
    assert (main["n"], main["verdict"]) == (0, "")
    assert main["reason"] == (
        "cannot be estimated: no variant has dropout=0.2, batch_norm=false, width=1, depth=2"
    )
    full = effect_of(table, "effect where", "dropout", "0.2 where batch_norm=true, width=2, depth=2")
    assert full["n"] == 6


def test_a_seed_counts_only_where_all_its_cells_completed(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid(TWO))
    data = results(study, noisy(lambda lv: 0.0))
    data.loc[(data["variant"] == "+both") & (data["seed"] == 2), "status"] = "failed"
    table = effects_table(data, study)
    assert effect_of(table, "main effect", "dropout")["n"] == 5
    assert effect_of(table, "effect where", "dropout", "0.2 where batch_norm=false")["n"] == 6


def test_without_factors_there_are_no_effects(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("{study: s, variants: {wide: {width: 2}}}"))
    data = pd.DataFrame({"variant": ["plain", "wide"], "seed": 0, "status": "completed", "provenance": "p",
                         "test_accuracy": 0.5})  # fmt: skip
    assert effects_table(data, study).empty
