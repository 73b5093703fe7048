"""What comparisons are called in words: whole sentences, pinned."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.phrases import (
    conclusion,
    confidence_phrase,
    effect_conclusion,
    interval_phrase,
    method_phrase,
    not_estimated,
    p_phrase,
    points,
)
from ablation.grid.compare_settings import CompareSettings

ROW: dict[Any, Any] = {
    "variant": "wide", "baseline": "plain", "n": 5, "difference": 0.023, "low": 0.002, "high": 0.044,
    "confidence": 0.975, "verdict": "better", "reason": "", "failed_seeds": "", "unfinished": "",
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
        (
            {"unfinished": "wide and plain"},
            "wide is better than plain in test accuracy (+2.3 points, 97.5% interval +0.2 to +4.4, n = 5 pairs). "
            "wide and plain were still improving, so this holds for this budget of epochs.",
        ),
        (
            {"verdict": "", "reason": "exploratory"},
            "wide has no verdict against plain in test accuracy: exploratory "
            "(+2.3 points, 97.5% interval +0.2 to +4.4, n = 5 pairs).",
        ),
        (
            {"verdict": "unresolved", "low": -0.876, "high": 0.508, "difference": -0.184, "failed_seeds": "wide (seed 3)",
             "n_rest": 4.0, "difference_rest": -0.08, "low_rest": -0.1, "high_rest": -0.06},
            "Whether wide differs from plain in test accuracy is unresolved (\N{MINUS SIGN}18.4 points, 97.5% interval "
            "\N{MINUS SIGN}87.6 to +50.8, n = 5 pairs). Training collapsed in wide (seed 3); without this, the "
            "difference is \N{MINUS SIGN}8.0 points (97.5% interval \N{MINUS SIGN}10.0 to \N{MINUS SIGN}6.0), n = 4 "
            "pairs.",
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
    assert method_phrase(PP) == ("paired t-test over seeds and test images, alpha 0.05, Holm, margin 1.0 pp")
    compare = CompareSettings(looks="any", correction="none", alpha=0.01, holds_for=("seeds",))
    assert method_phrase(compare) == "anytime-valid paired t-test over seeds, alpha 0.01, margin 0.5 pp"
    val = CompareSettings(metric="val_accuracy")
    assert method_phrase(val) == "paired t-test over seeds, alpha 0.05, Holm, margin 0.5 pp"


EFFECT: dict[Any, Any] = ROW | {
    "kind": "main effect",
    "effect": "dropout",
    "levels": "0.2",
    "verdict": "worse",
}
TWO = {"kind": "interaction", "effect": "a × b", "levels": "1 × on"}
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
            TWO | {"verdict": "better"},
            "Together, a = 1 and b = on give a higher test accuracy than the sum of their separate effects predicts "
            f"{FOUND}",
        ),
        (
            TWO | {"verdict": "worse"},
            "Together, a = 1 and b = on give a lower test accuracy than the sum of their separate effects predicts "
            f"{FOUND}",
        ),
        (
            TWO | {"verdict": "equivalent"},
            "Together, a = 1 and b = on give the test accuracy that the sum of their separate effects predicts, within "
            f"the margin {FOUND}",
        ),
        (
            TWO | {"verdict": "unresolved"},
            "Whether a = 1 and b = on together give another test accuracy than the sum of their separate effects "
            f"predicts is unresolved {FOUND}",
        ),
        (
            TWO | {"verdict": "", "reason": "exploratory"},
            f"The interaction of a = 1 and b = on in test accuracy has no verdict: exploratory {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b × c", "levels": "1 × on × x", "verdict": "better"},
            "Together, a = 1, b = on and c = x give a higher test accuracy than their separate effects and the "
            f"interactions of pairs predict {FOUND}",
        ),
        (
            {"kind": "interaction", "effect": "a × b × c × d", "levels": "1 × on × x × y", "verdict": "better"},
            "Together, a = 1, b = on, c = x and d = y give a higher test accuracy than their separate effects and the "
            f"interactions of pairs and groups of 3 predict {FOUND}",
        ),
    ],
)  # fmt: skip
def test_so_does_an_effects(change: dict[Any, Any], sentence: str) -> None:
    factors = max(2, change.get("effect", "").count("×") + 1)
    assert effect_conclusion(EFFECT | change, PP, factors) == sentence


@pytest.mark.parametrize(
    ("change", "factors", "sentence"),
    [
        ({}, 1, f"Dropout = 0.2 makes test accuracy worse {FOUND}"),
        (
            TWO | {"verdict": "worse"},
            3,
            "Averaged over the other factors, together, a = 1 and b = on give a lower test accuracy than the sum of "
            f"their separate effects predicts {FOUND}",
        ),
        (
            {"verdict": "", "reason": "2 pairs; a verdict needs 3", "n": 2, "low": math.nan, "high": math.nan},
            2,
            "Averaged over the other factors, the effect of dropout = 0.2 on test accuracy has no verdict: 2 pairs; a "
            "verdict needs 3 (+2.3 points, n = 2 seeds).",
        ),
        (
            {"kind": "interaction", "effect": "activation × kernel", "levels": "tanh × 3 × 3", "verdict": "better"},
            2,
            f"The interaction of activation × kernel at tanh × 3 × 3 in test accuracy: better {FOUND}",
        ),
    ],
)  # fmt: skip
def test_an_effect_is_said_to_be_averaged_only_over_what_there_is(
    change: dict[Any, Any], factors: int, sentence: str
) -> None:
    assert effect_conclusion(EFFECT | change, PP, factors) == sentence


@pytest.mark.parametrize(
    ("confidence", "text"),
    [
        (0.95, "95%"),
        (0.9, "90%"),
        (0.99, "99.0%"),
        (0.9875, "98.8%"),
        (0.995, "99.5%"),
        (1 - 0.05 / 435, "99.99%"),
        (1 - 1e-7, "99.99999%"),
    ],
)
def test_no_confidence_is_said_to_be_certainty(confidence: float, text: str) -> None:
    assert confidence_phrase(confidence) == text


def test_where_both_collapsed_and_nothing_is_left_that_is_said() -> None:
    row = ROW | {"verdict": "unresolved", "failed_seeds": "wide (seeds 1, 2) and plain (seed 0)", "n_rest": 0.0,
                 "difference_rest": math.nan, "low_rest": math.nan, "high_rest": math.nan}  # fmt: skip
    assert conclusion(row, PP).endswith(
        " Training collapsed in wide (seeds 1, 2) and plain (seed 0); without this, no pair is left."
    )


def test_levels_that_are_better_together_give_a_lower_loss() -> None:
    loss = CompareSettings(metric="test_loss", margin=0.02)
    row = EFFECT | TWO | {"verdict": "better", "difference": -0.023, "low": -0.044, "high": -0.002}
    assert effect_conclusion(row, loss, 2) == (
        "Together, a = 1 and b = on give a lower test loss than the sum of their separate effects predicts "
        "(\N{MINUS SIGN}0.0230, 97.5% interval \N{MINUS SIGN}0.0440 to \N{MINUS SIGN}0.0020, n = 5 seeds)."
    )


@pytest.mark.parametrize("gains", [(0.05, 0.05, 0.05), (0.0, 0.0, 0.05)])
def test_three_redundant_remedies_are_not_said_to_be_worth_more_together(gains: tuple[float, ...]) -> None:
    """Any one gives 5 points, and more add nothing: each pair is worth less than the sum of its two."""
    names = ("dropout", "batch_norm", "width")
    cells = {
        "".join(map(str, cell)): dict(zip(names, map(str, cell), strict=True))
        for cell in itertools.product((0, 1), repeat=3)
    }
    study = study_of(cells, CompareSettings(questions="effects"), dict.fromkeys(names, ("0", "1")))
    generator = np.random.default_rng(0)
    values = {
        name: [0.6 + max(gain * int(on) for gain, on in zip(gains, name, strict=True))
               + generator.normal(0, 0.0005) for _ in range(5)]
        for name in cells
    }  # fmt: skip
    effects = study_answers(results_of(values), study).effects
    pairs = effects[(effects["kind"] == "interaction") & (effects["effect"].str.count("×") == 1)]
    sentences = [effect_conclusion(row, study.compare, 3) for row in pairs.to_dict("records")]
    if gains[0]:
        assert all(
            "give a lower test accuracy than the sum of their separate effects" in s for s in sentences
        )
    else:
        assert all(" than " not in s or "unresolved" in s for s in sentences)
    assert not any("worth more" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("exploratory", "no seed has completed all trials of its contrast"),
        ("0 seeds; a verdict needs 3", "0 seeds; a verdict needs 3"),
    ],
)
def test_that_an_effect_is_exploratory_is_no_reason_for_its_having_no_estimate(
    reason: str, said: str
) -> None:
    effects = pd.DataFrame({"kind": ["main effect"], "n": [0], "reason": [reason]})
    assert not_estimated(effects) == f"Not estimated: main effects (1). The reason for the first one: {said}."
