"""The answers to a study's questions: one declared family, judged together, and the exploratory rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ablation.analysis.estimates import Correct, Measurements
from ablation.analysis.inference import JUDGEMENT_COLUMNS, judge, judge_so_far
from ablation.analysis.questions import COMPARISON, Question, study_questions
from ablation.analysis.second_reading import SECOND_READING_COLUMNS, second_reading
from ablation.analysis.separated import judge_separated
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

REST_COLUMNS = ["failed_seeds", "n_rest", "difference_rest", "low_rest", "high_rest"]
COMPARISON_COLUMNS = [
    "variant", "baseline", "metric", *JUDGEMENT_COLUMNS, "margin", *SECOND_READING_COLUMNS, *REST_COLUMNS,
    "unfinished",
]  # fmt: skip
EFFECT_COLUMNS = [
    "kind", "effect", "levels", "metric", *JUDGEMENT_COLUMNS, "margin", *SECOND_READING_COLUMNS,
]  # fmt: skip

Failed = Collection[tuple[str, int]]
"""Trials whose training failed, as pairs of variant and seed."""


class Answers(NamedTuple):
    """The tables `COMPARISON_COLUMNS` and `EFFECT_COLUMNS`."""

    comparisons: pd.DataFrame
    effects: pd.DataFrame


def study_answers(
    results: pd.DataFrame,
    study: Study,
    compare: CompareSettings | None = None,
    correct: Correct | None = None,
    failed: Failed = (),
    unfinished: Collection[str] = (),
) -> Answers:
    """Judge the questions that a study declares as one family, and estimate all others.

    Each question is a contrast of variants. It is taken within each seed that completed all of them in one
    environment, and judged over the seeds; while trials are pending, as `judge_so_far` says. Questions that
    are the same contrast are one question, with one answer.

    Args:
        results: The results table.
        study: The study, for its variants, its factors, and the questions that it declares.
        compare: How to judge; by default as the study declares.
        correct: Which test images each trial classified correctly, without which intervals hold for other
            seeds only.
        failed: The trials that collapsed, without which each comparison is given, too.
        unfinished: The variants that were still improving when training ended.

    Returns:
        One row per comparison (``difference`` is variant minus baseline), with what remains of it without
        the failed seeds: ``n_rest`` and so on, at the same confidence level; ``unfinished`` names which of
        the two were still improving. One row per effect; none without factors. If a variant that an effect
        needs is not in the study, ``n`` is 0 and ``reason`` says what is missing.
    """
    compare = compare or study.compare
    return answers_to(study_questions(study, compare), results, compare, correct, failed, unfinished)


def answers_to(
    questions: Sequence[Question],
    results: pd.DataFrame,
    compare: CompareSettings,
    correct: Correct | None = None,
    failed: Failed = (),
    unfinished: Collection[str] = (),
) -> Answers:
    """Judge the declared ones of any questions as one family, and estimate all others.

    Arguments and result are those of `study_answers`.
    """
    measured = Measurements(results, compare.metric, correct if compare.includes_images else None)
    asked = {str(k): question for k, question in enumerate(questions)}
    estimates = {name: measured.estimate(question.weights) for name, question in asked.items()}
    pending = set(results.loc[results["status"] == "pending", "variant"])
    judged = judge_so_far(
        estimates,
        {name for name, question in asked.items() if pending & set(question.weights)},
        compare,
        exploratory={name for name, question in asked.items() if not question.is_declared},
        questions={name: question.identity for name, question in asked.items()},
    ).reset_index(drop=True)
    judged = judge_separated(judged, questions, list(estimates.values()), pending, compare)
    judged.insert(0, "metric", compare.metric)
    judged["margin"] = compare.margin
    readings = [second_reading(estimate.differences) for estimate in estimates.values()]
    judged[SECOND_READING_COLUMNS] = pd.DataFrame(readings, columns=SECOND_READING_COLUMNS)
    for k, question in enumerate(questions):
        if question.missing:
            judged.loc[k, "reason"] = question.missing
    is_comparison = np.array([question.kind == COMPARISON for question in questions], bool)
    comparisons = _named(judged[is_comparison], questions, ["", "variant", "baseline"])
    effects = _named(judged[~is_comparison], questions, ["kind", "effect", "levels"])
    rest = [_rest(row, measured, failed, compare) for row in comparisons.to_dict("records")]
    comparisons[REST_COLUMNS] = pd.DataFrame(rest, columns=REST_COLUMNS, index=comparisons.index)
    sides = comparisons[["variant", "baseline"]].to_numpy()
    comparisons["unfinished"] = [" and ".join(v for v in pair if v in unfinished) for pair in sides]
    return Answers(comparisons[COMPARISON_COLUMNS], effects[EFFECT_COLUMNS])


def _named(judged: pd.DataFrame, questions: Sequence[Question], headings: list[str]) -> pd.DataFrame:
    """Put the kind, the subject and the detail of each row's question before its columns."""
    rows = [[q.kind, q.subject, q.detail] for q in (questions[k] for k in judged.index)]
    names = pd.DataFrame(rows, columns=headings, index=judged.index, dtype=object)
    return pd.concat([names, judged], axis=1).reset_index(drop=True)


def _rest(row: dict[Any, Any], measured: Measurements, failed: Failed, compare: CompareSettings) -> list[Any]:
    """Return `REST_COLUMNS` of a comparison; empty if no seed failed in it."""
    sides = (row["variant"], row["baseline"])
    seeds = {seed for variant, seed in failed if variant in sides} & set(measured.seeds(sides))
    if not seeds:
        return ["", None, None, None, None]
    rest = measured.estimate({sides[0]: 1.0, sides[1]: -1.0}, failed)
    named = []
    for side in sides:
        of_side = sorted(seed for variant, seed in failed if variant == side and seed in seeds)
        if of_side:
            named.append(f"{side} (seed{'s' * (len(of_side) > 1)} {', '.join(map(str, of_side))})")
    same_level = {"alpha": 1 - row["confidence"], "correction": "none"}
    judged = judge({"rest": rest}, compare.model_copy(update=same_level))
    return [" and ".join(named), rest.n, *judged.loc["rest", ["difference", "low", "high"]]]
