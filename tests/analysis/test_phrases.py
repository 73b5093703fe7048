"""What comparisons are called in words: whole sentences, pinned."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ablation.analysis.phrases import (
    conclusion,
    effect_conclusion,
    interval_phrase,
    method_phrase,
    p_phrase,
    points,
)
from ablation.grid.compare_settings import CompareSettings

ROW: dict[Any, Any] = {
    "variant": "wide", "baseline": "plain", "n": 5, "difference": 0.023, "low": 0.002, "high": 0.044,
    "confidence": 0.975, "verdict": "better", "reason": "",
}  # fmt: skip
PP = CompareSettings(margin=0.01)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "wide is better than plain in test accuracy (+2.3 points, 97.5% interval +0.2 to +4.4, n = 5 pairs)."),
        (
            {"verdict": "equivalent", "difference": 0.001, "low": -0.004, "high": 0.006, "confidence": 0.95},
            "wide is equivalent to plain in test accuracy, within ±1.0 pp "
            "(+0.1 points, 95% interval \N{MINUS SIGN}0.4 to +0.6, n = 5 pairs).",
        ),
        (
            {"verdict": "unresolved", "low": -0.01},
            "Whether wide differs from plain in test accuracy is unresolved "
            "(+2.3 points, 97.5% interval \N{MINUS SIGN}1.0 to +4.4, n = 5 pairs).",
        ),
        (
            {"verdict": "", "reason": "1 pair; a verdict needs 3", "n": 1, "low": math.nan, "high": math.nan},
            "wide has no verdict against plain in test accuracy: 1 pair; a verdict needs 3 (+2.3 points, n = 1 pair).",
        ),
    ],
)  # fmt: skip
def test_a_conclusion_says_no_more_than_the_data(change: dict[Any, Any], sentence: str) -> None:
    assert conclusion(ROW | change, PP) == sentence


def test_numbers_are_in_the_metrics_unit() -> None:
    loss = CompareSettings(metric="test_loss", margin=0.02)
    assert points(-0.0234, PP) == "\N{MINUS SIGN}2.3"
    assert points(0.0004, PP) == "+0.04"
    assert points(0.01, PP, sign=False) == "1.0 pp"
    assert points(-0.0234, loss) == "\N{MINUS SIGN}0.0234"
    assert points(math.nan, PP) == "–"
    assert interval_phrase(ROW | {"low": math.nan, "n": 1}, PP) == "needs 2 pairs"
    assert interval_phrase(ROW | {"low": math.nan}, PP) == "none yet"
    assert [p_phrase(p) for p in (math.nan, 0.0004, 0.0213)] == ["–", "< 0.001", "0.021"]


def test_the_method_is_named() -> None:
    assert method_phrase(PP) == "paired t-test, alpha 0.05, Holm, margin 1.0 pp"
    compare = CompareSettings(looks="any", correction="none", alpha=0.01)
    assert method_phrase(compare) == "anytime-valid paired t-test, alpha 0.01, margin 0.5 pp"


EFFECT: dict[Any, Any] = ROW | {
    "kind": "main effect",
    "effect": "dropout",
    "levels": "0.2",
    "verdict": "worse",
}
FOUND = "(+2.3 points, 97.5% interval +0.2 to +4.4, n = 5 seeds)."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, f"Averaged over the other factors, dropout = 0.2 makes test accuracy worse {FOUND}"),
        (
            {"verdict": "unresolved"},
            f"Averaged over the other factors, whether dropout = 0.2 changes test accuracy is unresolved {FOUND}",
        ),
        (
            {"verdict": "equivalent"},
            f"Averaged over the other factors, dropout = 0.2 changes test accuracy by less than the margin {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b", "verdict": "better"},
            f"a × b: their joint effect on test accuracy is larger than the sum of their separate effects {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b", "verdict": "worse"},
            f"a × b: their joint effect on test accuracy is smaller than the sum of their separate effects {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b × c", "verdict": "better"},
            "a × b × c: their joint effect on test accuracy is larger than the sum of their separate effects and of "
            f"the interactions of fewer of them {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b", "verdict": "unresolved"},
            "a × b: whether their joint effect on test accuracy differs from the sum of their separate effects is "
            f"unresolved {FOUND}",
        ),
    ],
)  # fmt: skip
def test_so_does_an_effects(change: dict[Any, Any], sentence: str) -> None:
    assert effect_conclusion(EFFECT | change, PP) == sentence


def test_a_joint_effect_on_a_loss_is_better_where_it_is_smaller() -> None:
    loss = CompareSettings(metric="test_loss", margin=0.02)
    row = EFFECT | {"kind": "interaction", "effect": "a × b", "verdict": "better"}
    row |= {"difference": -0.023, "low": -0.044, "high": -0.002}
    assert effect_conclusion(row, loss) == (
        "a × b: their joint effect on test loss is smaller than the sum of their separate effects "
        "(\N{MINUS SIGN}0.0230, 97.5% interval \N{MINUS SIGN}0.0440 to \N{MINUS SIGN}0.0020, n = 5 seeds)."
    )
    sentence = effect_conclusion(row | {"verdict": "unresolved"}, loss)
    assert sentence.startswith("a × b: whether their joint effect on test loss differs from the sum of their")
