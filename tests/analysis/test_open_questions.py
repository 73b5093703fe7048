"""What would resolve open questions: further seeds, or more test images, or what cannot be said."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from studies import results_of, study_of

from ablation.analysis.answers import study_answers
from ablation.analysis.open_questions import Answer, declared_answers, remedy
from ablation.analysis.questions import COMPARISON, Question
from ablation.analysis.sample_size import images_suffice, seeds_needed, seeds_table
from ablation.grid.compare_settings import CompareSettings

COMPARE = CompareSettings(margin=0.02)
ANYTIME = COMPARE.model_copy(update={"looks": "any"})


def open_answer(name: str, n: int = 5, deviation: float = 0.03, se_images: float = 0.0) -> Answer:
    question = Question(COMPARISON, name, "plain", {name: 1.0, "plain": -1.0}, True)
    needed = {"n": n, "deviation": deviation, "se_images": se_images, "level": 0.025}
    return Answer(question, {"verdict": "unresolved"}, needed)


def trials(*names: str) -> pd.DataFrame:
    return results_of({name: [0.5] * 5 for name in names})


def test_further_seeds_are_counted_once_for_the_baseline_that_comparisons_share() -> None:
    answers = [open_answer("a", deviation=0.02), open_answer("b", deviation=0.03)]
    found = remedy(answers, COMPARE, trials("plain", "a", "b"), 0)
    more = [seeds_needed(deviation, 0.025, ANYTIME) - 5 for deviation in (0.02, 0.03)]
    assert found.seeds == max(more)
    assert found.low < found.seeds < found.high
    assert found.seconds == 60 * (more[0] + more[1] + max(more))  # a, b and plain, of a minute each


def test_an_error_from_images_that_no_seeds_reduce_asks_for_test_images() -> None:
    found = remedy([open_answer("a", se_images=0.02)], COMPARE, trials("plain", "a"), 500)
    assert (list(found.by_seeds), found.seeds) == ([], 0)
    assert math.isnan(found.seconds) or found.seconds == 0
    error = 0.02 * math.sqrt(500 / found.images)
    fewer = 0.02 * math.sqrt(500 / (found.images - 1))
    assert images_suffice(COMPARE.margin / error, 0.025, ANYTIME)
    assert not images_suffice(COMPARE.margin / fewer, 0.025, ANYTIME)


@pytest.mark.parametrize(
    "answer",
    [open_answer("a", n=1, deviation=math.nan), open_answer("a", deviation=0.0), open_answer("a", n=1000)],
    ids=["one pair", "no spread", "enough seeds already"],
)
def test_what_cannot_be_estimated_is_not(answer: Answer) -> None:
    found = remedy([answer], COMPARE, trials("plain", "a"), 0)
    assert list(found.unknown) == [answer]
    assert list(found.by_seeds) == list(found.by_images) == []


def test_each_declared_question_has_its_answer_and_its_seeds() -> None:
    levels = {
        "plain": {"x": "0", "y": "0"}, "x": {"x": "1", "y": "0"}, "y": {"x": "0", "y": "1"},
        "both": {"x": "1", "y": "1"},
    }  # fmt: skip
    study = study_of(levels, CompareSettings(questions="both"), {"x": ("0", "1"), "y": ("0", "1")})
    results = results_of({name: [0.5 + 0.01 * k, 0.52, 0.51, 0.5, 0.53] for k, name in enumerate(levels)})
    comparisons, effects = study_answers(results, study)
    answers = declared_answers(study, study.compare, comparisons, effects, seeds_table(results, study))
    assert [(a.question.subject, a.question.detail) for a in answers] == [
        ("x", "plain"), ("y", "plain"), ("both", "plain"), ("x", "1"), ("y", "1"), ("x × y", "1 × 1")
    ]  # fmt: skip
    for answer in answers:
        assert answer.needed is not None
        assert answer.needed["question"].startswith(answer.question.subject)
        assert answer.row["n"] == answer.needed["n"]
