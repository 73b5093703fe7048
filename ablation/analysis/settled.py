"""Verdicts that nothing can change any more while a study still trains, whatever its other trials bring."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np
import pandas as pd

from ablation.analysis.estimates import Correct, Estimate, Measurements
from ablation.analysis.inference import JUDGEMENT_COLUMNS, judge
from ablation.analysis.questions import Question, study_questions
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

SETTLED_COLUMNS = ["kind", "subject", "detail", "is_settled", *JUDGEMENT_COLUMNS]

_NOTHING = Estimate(np.empty(0))  # a p of 1
_CERTAIN = Estimate(1 + np.arange(100) / 1e5)  # a p of about 0 by both methods


def settled_verdicts(
    results: pd.DataFrame, study: Study, compare: CompareSettings, correct: Correct | None = None
) -> pd.DataFrame:
    """Judge the declared questions of a study that still trains, and say which verdicts are settled.

    A question whose trials are not all done is open. One whose trials are done has its final interval, but
    Holm's method decides it at a level that depends on the p-values of the whole family. So the family is
    judged twice: with a p of 1 for every open question, which is Bonferroni's level if all others are open,
    and with a p of 0. A p-value that Holm's method adjusts can only rise with another one of the family, and
    equivalence is judged at a level that depends on no p-value. A verdict that both readings agree on is
    therefore that of every reading in between.

    If results may be looked at any time, seeds may be added to open questions. Then no question is settled as
    unresolved, and none whose variants would all get further seeds.

    Args:
        results: The results table, in which the status of a trial that may still change is ``pending``.
        study: The study.
        compare: How to judge.
        correct: As in `ablation.analysis.answers.study_answers`.

    Returns:
        One row per declared question with `SETTLED_COLUMNS`: the judgement with a p of 1 for each open one.
        Where ``is_settled`` is false, its verdict says nothing.
    """
    measured = Measurements(results, compare.metric, correct if compare.includes_images else None)
    asked: dict[Hashable, Question] = {}
    for question in study_questions(study, compare):
        if question.is_declared and question.weights:
            asked.setdefault(question.identity, question)
    questions = {str(k): question for k, question in enumerate(asked.values())}
    pending = set(results.loc[results["status"] == "pending", "variant"])
    unfinished = {name for name, question in questions.items() if pending & set(question.weights)}
    estimates = {
        name: _NOTHING if name in unfinished else measured.estimate(question.weights)
        for name, question in questions.items()
    }
    judged, settled = _settled(estimates, unfinished, compare)
    while compare.looks == "any":
        remain = _keep_their_seeds(settled - set(judged.index[judged["verdict"] == "unresolved"]), questions)
        if remain == settled:
            break
        judged, settled = _settled(estimates, set(questions) - remain, compare)
    rows = [[q.kind, q.subject, q.detail, name in settled] for name, q in questions.items()]
    about = pd.DataFrame(rows, columns=SETTLED_COLUMNS[:4], index=judged.index)
    return pd.concat([about, judged], axis=1).reset_index(drop=True)


def _settled(
    estimates: Mapping[str, Estimate], open_: Collection[str], compare: CompareSettings
) -> tuple[pd.DataFrame, set[str]]:
    """Return the judgement with a p of 1 for each open question, and the names of those that are settled."""
    worst, best = (
        judge({name: p if name in open_ else own for name, own in estimates.items()}, compare)
        for p in (_NOTHING, _CERTAIN)
    )
    agree = (worst["verdict"] == best["verdict"]) & (worst["verdict"] != "")
    return worst, set(worst.index[agree]) - set(open_)


def _keep_their_seeds(settled: set[str], questions: Mapping[str, Question]) -> set[str]:
    """Return the settled questions that get no further pairs when the variants of all others get seeds."""
    growing = {v for name, question in questions.items() if name not in settled for v in question.weights}
    return {name for name in settled if not set(questions[name].weights) <= growing}
