"""The declared questions that have no verdict yet, and what would resolve them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from scipy.special import chdtri, ndtri

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.inference import FEWEST_PAIRS, METHODS, ROUNDING
from ablation.analysis.phrases import Row
from ablation.analysis.questions import Question, study_questions
from ablation.analysis.sample_size import MOST_SEEDS, POWER, images_suffice, seeds_needed
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

RESOLVED = ("better", "worse", "equivalent")


class Answer(NamedTuple):
    """A declared question, its row among comparisons or effects, and its row among the seeds needed."""

    question: Question
    row: Row
    needed: Row | None  # the parts that a fold-over separates have none

    @property
    def is_open(self) -> bool:
        """Whether the question has neither a difference nor an equivalence for a verdict."""
        return self.row["verdict"] not in RESOLVED


@dataclass(frozen=True)
class Remedy:
    """What would give open questions the power to detect a difference of the margin.

    Further seeds are looked at after earlier ones, so their number is that of the anytime-valid test.

    Attributes:
        by_seeds: The questions that further seeds would resolve.
        by_images: Those for which the test images are too few, whatever the number of seeds.
        unknown: Those for which it cannot be estimated: they have fewer than two pairs, differences without
            spread, or the seeds of that power already.
        seeds: The further seeds that each variant of ``by_seeds`` needs, the most of all its questions.
        low, high: The ends of the 80% interval of that number, which is estimated from few pairs.
        seconds: How long those seeds take, one after another; NaN if no trial tells.
        images: The fewest test images with that power in the limit of many seeds, the most of ``by_images``.
    """

    by_seeds: Sequence[Answer]
    by_images: Sequence[Answer]
    unknown: Sequence[Answer]
    seeds: float
    low: float
    high: float
    seconds: float
    images: int


def declared_answers(
    study: Study,
    compare: CompareSettings,
    comparisons: pd.DataFrame,
    effects: pd.DataFrame,
    needed: pd.DataFrame,
) -> list[Answer]:
    """Return each different declared question with its answer, in the order of `study_questions`.

    Args:
        study: The study.
        compare: How its questions are judged.
        comparisons: The comparisons of `ablation.analysis.answers.study_answers`.
        effects: Its effects.
        needed: The table of `ablation.analysis.sample_size.seeds_table`.
    """
    rows = [*comparisons.to_dict("records"), *effects.to_dict("records")]
    seeds, answers = iter(needed.to_dict("records")), dict[object, Answer]()
    for question, row in zip(study_questions(study, compare), rows, strict=True):
        if question.identity not in answers and (question.is_declared or row["declared"]):
            answers[question.identity] = Answer(question, row, next(seeds) if question.is_declared else None)
    return list(answers.values())


def remedy(answers: Sequence[Answer], compare: CompareSettings, results: pd.DataFrame, images: int) -> Remedy:
    """Estimate what would resolve open questions.

    Args:
        answers: The open questions.
        compare: How they are judged.
        results: The results table.
        images: The number of test images.
    """
    anytime = compare.model_copy(update={"looks": "any"})
    by_seeds, by_images, unknown = list[Answer](), list[Answer](), list[Answer]()
    ends, most_images, further = [0.0, 0.0, 0.0], 0, dict[str, float]()
    for answer in answers:
        if answer.needed is None:
            unknown.append(answer)
            continue
        n, deviation = int(answer.needed["n"]), float(answer.needed["deviation"])
        error, level = float(answer.needed["se_images"]), float(answer.needed["level"])
        if n > 1 and error and not images_suffice(compare.margin / error, level, anytime):
            by_images.append(answer)
            most_images = max(most_images, _images_needed(error, level, anytime, images))
            continue
        known = _with_ends(deviation, n) if n > 1 and deviation > ROUNDING else []
        more = [max(seeds_needed(d, level, anytime, error), FEWEST_PAIRS) - n for d in known]
        if not more or more[0] <= 0:
            unknown.append(answer)
            continue
        by_seeds.append(answer)
        ends = [max(most, one) for most, one in zip(ends, more, strict=True)]
        further |= {name: max(further.get(name, 0.0), more[0]) for name in answer.question.weights}
    seconds = completed_results(results).groupby("variant")["seconds"].mean()
    cost = sum(more * float(seconds.get(variant, math.nan)) for variant, more in further.items())
    seeds, low, high = ends
    return Remedy(by_seeds, by_images, unknown, seeds, low, high, cost, most_images)


def _with_ends(deviation: float, n: int) -> list[float]:
    """Return a standard deviation and the ends of its 80% interval (chi-square)."""
    return [deviation, *(deviation * math.sqrt((n - 1) / chdtri(n - 1, tail)) for tail in (0.1, 0.9))]


def _images_needed(error: float, level: float, compare: CompareSettings, images: int) -> int:
    """Return how many test images detect the margin with `POWER` if seeds add nothing to the error.

    Args:
        error: The standard error that as many test images as now add.
        level: The two-sided level of the test.
        compare: The margin, and whether the test is anytime-valid.
        images: The number of test images now.
    """
    half_width = METHODS[compare.looks].half_width(MOST_SEEDS, 0.0, 1.0, level)
    smallest = compare.margin / (half_width + float(ndtri(POWER)))
    return math.ceil(images * (error / smallest) ** 2)
