"""The questions of a study as contrasts of variants, and which of them it declared."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from ablation.analysis.effects import contrasts
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

COMPARISON = "comparison"
_DECLARED_KINDS = {
    "variants": {COMPARISON},
    "effects": {"main effect", "interaction"},
    "both": {COMPARISON, "main effect", "interaction"},
}


@dataclass(frozen=True)
class Question:
    """One thing that can be asked of a study.

    Attributes:
        kind: ``comparison``, or the kind of an effect.
        subject: The variant, or the factors of the effect.
        detail: What the variant is compared with, or the levels of the effect.
        weights: The weight of each variant in the contrast; empty if it cannot be estimated.
        is_declared: Whether it belongs to the family that shares alpha.
        missing: Why it cannot be estimated; else empty.
    """

    kind: str
    subject: str
    detail: str
    weights: dict[str, float]
    is_declared: bool
    missing: str = ""

    @property
    def identity(self) -> Hashable:
        """What two questions have in common if they are one: the contrast, whichever its sign."""
        rounded = {name: round(weight, 12) for name, weight in self.weights.items()}
        opposite = {name: -weight for name, weight in rounded.items()}
        return frozenset({frozenset(rounded.items()), frozenset(opposite.items())})


def study_questions(study: Study, compare: CompareSettings) -> list[Question]:
    """Return all questions of a study: the comparisons of its variants, then the effects of its factors.

    A question is declared if its kind is, or if it is the same contrast as one whose kind is: the simple
    effect of a factor at the baseline is the comparison of a variant with the baseline, and has its answer.
    """
    asked = [*_comparisons(study, compare), *_effects(study)]
    kinds = _DECLARED_KINDS[compare.questions]
    declared = {question.identity for question in asked if question.kind in kinds and question.weights}
    return [replace(question, is_declared=question.identity in declared) for question in asked]


def family_size(study: Study) -> int:
    """Return the number of different questions that a study declares; at least 1."""
    declared = {q.identity for q in study_questions(study, study.compare) if q.is_declared}
    return max(1, len(declared))


def _comparisons(study: Study, compare: CompareSettings) -> Iterator[Question]:
    names = [variant.name for variant in study.variants]
    pairs = [(name, study.baseline) for name in names if name != study.baseline]
    if compare.against == "all":
        others = [name for name, _ in pairs]
        pairs += [(second, first) for first, second in combinations(others, 2)]
    for variant, other in pairs:
        yield Question(COMPARISON, variant, other, {variant: 1.0, other: -1.0}, False)


def _effects(study: Study) -> Iterator[Question]:
    for contrast in contrasts(study):
        yield Question(*contrast[:4], False, contrast.missing)
