"""Verdicts on interactions that a fold-over separates, after the verdict on their sum was known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from ablation.analysis.aliases import SEPARATED, interactions_of
from ablation.analysis.estimates import Estimate
from ablation.analysis.inference import JUDGEMENT_COLUMNS, judge_so_far
from ablation.analysis.questions import Question
from ablation.grid.compare_settings import CompareSettings

DECIDED = ("better", "worse")
_INTERACTION = "interaction"


def judge_separated(
    judged: pd.DataFrame,
    questions: Sequence[Question],
    estimates: Sequence[Estimate],
    pending: Collection[str],
    compare: CompareSettings,
) -> pd.DataFrame:
    """Give verdicts to separated interactions, if the sum that they were a part of has one.

    This is a closed test (Marcus, Peritz and Gabriel, 1976, "On closed testing procedures with special
    reference to ordered analysis of variance"). If both parts of a sum are 0, the sum is 0, and a false
    verdict on a part needs a false verdict on the sum first. If the sum is not 0, at most one of its two
    parts is 0. Each part is tested at alpha / m, for the m questions that were declared, so that each sum
    that is not 0 adds at most alpha / m to the risk of a false verdict. The test of a part is valid whatever
    the sum was, because a part is tested in fewer cases than without that condition.

    Args:
        judged: The rows of `judge_so_far`, one per question, in which separated interactions are exploratory.
        questions: The questions.
        estimates: The estimate of each question.
        pending: The variants of which a trial is pending.
        compare: How to judge.

    Returns:
        The same rows, with the verdicts of those interactions.
    """
    if all(question.kind != SEPARATED for question in questions):
        return judged
    sums = [k for k, question in enumerate(questions) if question.kind == _INTERACTION]
    decided = {questions[k].subject for k in sums if judged.loc[k, "verdict"] in DECIDED}
    family = len({question.identity for question in questions if question.is_declared})
    alone = compare.model_copy(update={"alpha": compare.alpha / family, "correction": "none"})
    strict = alone if compare.correction == "holm" else compare.model_copy(update={"correction": "none"})
    rows: dict[int, Mapping[str, object]] = {}
    for k, question in enumerate(questions):
        if question.kind != SEPARATED or not any(
            set(interactions_of(question.subject)) < set(interactions_of(name)) for name in decided
        ):
            continue
        unfinished = {"it"} if set(pending) & set(question.weights) else set[str]()
        row = judge_so_far({"it": estimates[k]}, unfinished, strict).loc["it"].to_dict()
        if compare.correction == "holm":
            row["p_adjusted"] = min(1.0, family * row["p_adjusted"])
        rows[k] = row
    if not rows:
        return judged
    given = pd.DataFrame.from_dict(rows, orient="index", columns=JUDGEMENT_COLUMNS)
    result = judged.copy()
    result.loc[given.index, JUDGEMENT_COLUMNS] = given
    return result
