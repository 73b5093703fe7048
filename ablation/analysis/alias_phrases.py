"""Aliased interactions in words, the same in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.analysis.aliases import (
    AliasGroup,
    declared_groups,
    first_variants,
    groups_after_fold,
)
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study
from ablation.grid.value_text import counted


def design_notes(study: Study) -> list[str]:
    """Say what a fractional design measures, and what it cannot tell apart; nothing for a full design."""
    aliases = alias_sentences(study)
    if not aliases:
        return design_summary(study)
    how_to = (
        "`ablation run --fold-over` adds variants that separate some of these interactions, if their sum has "
        "a verdict of better or worse."
    )
    first, *folded = design_summary(study)
    return [first, *aliases, *(folded or [how_to])]


def design_summary(study: Study) -> list[str]:
    """Say what a fractional design measures, and whether it was folded over; nothing for a full design."""
    if study.design != "fractional" or not study.factors:
        return []
    used, of_all = len(first_variants(study)), 2 ** len(study.factors)
    text = (
        f"The fractional design has {used} of the {of_all:,} combinations of {len(study.factors)} factors. "
        "Each main effect is estimated from all of them, and is not aliased with any interaction of two "
        "factors. Interactions of three or more factors are taken to be absent."
    )
    return [text, _folded(study)] if study.fold else [text]


def alias_sentences(study: Study) -> list[str]:
    """Name the interactions that a fractional design cannot tell apart, one sentence per group."""
    if study.design != "fractional":
        return []
    before = [f"{text}: this design cannot tell them apart." for text in _together(declared_groups(study))]
    after = _together(groups_after_fold(study)) if study.fold else []
    return before + [f"After the fold-over, {text}." for text in after]


def _together(groups: Sequence[AliasGroup]) -> list[str]:
    named = [[" × ".join(pair) for pair in group.pairs] for group in groups if len(group.pairs) > 1]
    return [f"{first} is measured together with {in_words(others)}" for first, *others in named]


def _folded(study: Study) -> str:
    return (
        f"The design was folded over on {study.fold}, after the results of the first variants: "
        f"{counted(len(study.added_by_fold), 'variant')} were added, the same ones with the other level of "
        f"{study.fold}. Its interactions are now separate from all others. The declared questions are "
        "answered from the first variants alone, as before."
    )


def aliased_conclusion(
    interactions: Sequence[str], verdict: str, reason: str, compare: CompareSettings
) -> str:
    """Say what the sum of aliased interactions supports, as a sentence without its full stop.

    Args:
        interactions: The interactions, by their factors.
        verdict: The verdict on their sum.
        reason: Why there is no verdict, if there is none.
        compare: How the sum was judged.
    """
    names, metric = in_words(interactions), compare.metric_in_words
    if verdict in ("better", "worse"):
        is_higher = (verdict == "better") == compare.higher_is_better
        return (
            f"at least one of the interactions {names} gives a {'higher' if is_higher else 'lower'} {metric} "
            "than separate effects predict, and these variants cannot tell which"
        )
    return {
        "equivalent": f"the sum of the interactions {names} changes {metric} by less than the margin",
        "unresolved": f"whether the sum of the interactions {names} changes {metric} is unresolved",
    }.get(verdict, f"the sum of the interactions {names} in {metric} has no verdict: {reason}")


def in_words(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
