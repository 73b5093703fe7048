"""Simulated fractional studies: planted effects are found, and false verdicts are as rare as promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulation_studies import designs

from ablation.analysis.aliases import SEPARATED

SIMULATION: dict[str, Any] = designs()
SPREAD = 0.01
MAINS = {("a",): 3 * SPREAD, ("b",): -3 * SPREAD}


def test_planted_main_effects_and_an_interaction_are_found() -> None:
    """Eight factors in 16 variants with 5 seeds; the interaction is named by the fold-over."""
    truth = {**MAINS, ("a", "b"): 6 * SPREAD}
    laboratory = SIMULATION["Laboratory"](np.random.default_rng(0), truth)
    for _ in range(10):
        table, fold = laboratory.effects()
        assert fold in ("a", "b")
        verdicts = table.set_index(["kind", "effect"])["verdict"]
        assert verdicts["main effect", "a"] == "better"
        assert verdicts["main effect", "b"] == "worse"
        (summed,) = (
            effect for effect in table["effect"][table["kind"] == "interaction"] if "a × b" in effect
        )
        assert summed.count(" + ") == 3
        assert verdicts["interaction", summed] == "better"
        assert verdicts[SEPARATED, "a × b"] == "better"


def test_a_part_of_a_sum_is_judged_at_the_level_of_one_question_and_only_if_the_sum_is() -> None:
    laboratory = SIMULATION["Laboratory"](np.random.default_rng(1), {**MAINS, ("a", "b"): 8 * SPREAD})
    table, fold = laboratory.effects()
    separated = table[table["kind"] == SEPARATED].set_index("effect")
    assert len(separated) == 14
    judged = separated[separated["declared"].astype(bool)]
    (alone,) = (effect for effect in judged.index if effect == "a × b")
    (rest,) = (effect for effect in judged.index if effect != "a × b")
    assert fold in alone
    assert rest.count(" + ") == 2
    assert judged["confidence"].tolist() == pytest.approx([1 - 0.05 / 15] * 2)
    assert judged.loc[alone, "p_adjusted"] == pytest.approx(15 * judged.loc[alone, "p"])
    others = separated[~separated["declared"].astype(bool)]
    assert set(others["verdict"]) == {""}
    assert set(others["reason"]) == {"exploratory"}
    # the declared questions have the answers that they had before the fold-over
    alike = SIMULATION["Laboratory"](np.random.default_rng(1), {**MAINS, ("a", "b"): 8 * SPREAD})
    before, _ = alike.effects(is_folded=False)
    declared = table[table["kind"].isin(["main effect", "interaction"])]
    assert declared.reset_index(drop=True).equals(before)


def test_without_effects_few_studies_have_a_verdict() -> None:
    """With 60 studies and a risk of 5%, more than 9 false ones have a chance of 0.2%."""
    laboratory = SIMULATION["Laboratory"](np.random.default_rng(2), {})
    wrong = [SIMULATION["any_false"](laboratory.effects()[0], {}) for _ in range(60)]
    assert sum(wrong) <= 9


def test_a_falsely_called_interaction_is_seen_as_false() -> None:
    """The simulation can tell: without the truth, what is found counts as false."""
    laboratory = SIMULATION["Laboratory"](np.random.default_rng(3), {("a", "b"): 8 * SPREAD})
    table, _ = laboratory.effects()
    assert SIMULATION["any_false"](table, {})
    assert not SIMULATION["any_false"](table, {("a", "b"): 8 * SPREAD})


@pytest.mark.slow
def test_error_rates_and_power_of_fractional_studies_are_as_promised() -> None:
    rows = list(SIMULATION["fractional"](np.random.default_rng(4), 3200))
    assert len(rows) == 10
    assert [name for name, *_, holds in rows if not holds] == []
