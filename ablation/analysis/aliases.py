"""The effects of a fractional factorial design, and which of them it cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ablation.analysis.contrast import Contrast
from ablation.grid.study import Study, Variant
from ablation.grid.value_text import counted

SEPARATED = "separated interaction"
WITH_FOLD = "with fold-over"
ALIASED = " + "  # between interactions whose sum one contrast estimates
CROSSED = " × "
Pair = tuple[str, str]
Signs = tuple[int, ...]  # of an effect's contrast in each run, 1 or -1


class AliasGroup(NamedTuple):
    """Two-factor interactions that have the same contrast, so that only their sum can be estimated.

    Attributes:
        pairs: The factors of each interaction, in the order of the grid file.
        signs: The sign of their contrast in each run.
    """

    pairs: tuple[Pair, ...]
    signs: Signs

    @property
    def name(self) -> str:
        """The interactions, as the effects table names them."""
        return ALIASED.join(CROSSED.join(pair) for pair in self.pairs)


def alias_groups(factors: Mapping[str, Sequence[str]], runs: Sequence[Variant]) -> list[AliasGroup]:
    """Return the two-factor interactions of a design, each with those that are aliased with it.

    Args:
        factors: The two levels of each factor.
        runs: The variants of the design.
    """
    signs = _signs(factors, runs)
    pairs_by_signs: dict[Signs, list[Pair]] = {}
    for first, second in combinations(factors, 2):
        product = tuple(a * b for a, b in zip(signs[first], signs[second], strict=True))
        pairs_by_signs.setdefault(product, []).append((first, second))
    return [AliasGroup(tuple(pairs), product) for product, pairs in pairs_by_signs.items()]


def declared_groups(study: Study) -> list[AliasGroup]:
    """Return the alias groups of a study's design as it was before it was folded over."""
    return alias_groups(study.factors, _declared_runs(study))


def groups_after_fold(study: Study) -> list[AliasGroup]:
    """Return the alias groups of a study's design with the runs of its fold-over."""
    return alias_groups(study.factors, study.combinations)


def fractional_contrasts(study: Study) -> list[Contrast]:
    """Return the effects of a fractional design as contrasts of its runs.

    Each is normalised as in a full factorial design: a main effect is the difference of the means at a
    factor's two levels, and an interaction is a difference of such differences. Interactions of three or more
    factors are taken to be absent: main effects are aliased with these alone.

    - ``main effect``;
    - ``interaction``: the sum of all two-factor interactions that are aliased with each other.

    After a fold-over, these are still effects of the runs that were declared, so that they are judged once.
    The runs of the fold-over give further effects, which are estimated from all runs:

    - ``separated interaction``: an interaction, or the sum of fewer of them, that was aliased before;
    - ``with fold-over``: the main effects, and what the fold-over does not separate.
    """
    declared = [v.name for v in _declared_runs(study)]
    groups = declared_groups(study)
    found = [*_main_effects("main effect", study.factors, _declared_runs(study))]
    found += [_interactions("interaction", group, study.factors, declared) for group in groups]
    if study.fold:
        names = [run.name for run in study.combinations]
        before = {group.pairs for group in groups}
        folded = groups_after_fold(study)
        kinds = [WITH_FOLD if group.pairs in before else SEPARATED for group in folded]
        together = zip(kinds, folded, strict=True)
        after = [_interactions(kind, group, study.factors, names) for kind, group in together]
        found += [contrast for contrast in after if contrast.kind == SEPARATED]
        found += _main_effects(WITH_FOLD, study.factors, study.combinations)
        found += [contrast for contrast in after if contrast.kind == WITH_FOLD]
    return found


def parts_of(effect: str) -> frozenset[str]:
    """Return the interactions that an effect of the effects table consists of."""
    return frozenset(effect.split(ALIASED))


def design_notes(study: Study) -> list[str]:
    """Say what a fractional design cannot tell apart; none for a full one."""
    if study.design != "fractional" or not study.factors:
        return []
    runs, of_all = len(_declared_runs(study)), 2 ** len(study.factors)
    notes = [
        f"The fractional design has {runs} of the {of_all:,} combinations of {len(study.factors)} factors. "
        "Each main effect is estimated from all of them, apart from every two-factor interaction. "
        "Interactions of three or more factors are taken to be absent."
    ]
    groups = declared_groups(study)
    aliased = [group for group in groups if len(group.pairs) > 1]
    if not aliased:
        return [f"{notes[0]} No two-factor interactions are aliased."]
    notes += [f"{_together(group)}: this design cannot tell them apart." for group in aliased]
    if study.fold:
        notes.append(_folded_note(study))
    else:
        notes.append(
            "`ablation run --fold-over` adds variants that separate some of these interactions, if their sum "
            "has a verdict of better or worse."
        )
    return notes


def _folded_note(study: Study) -> str:
    added = len(study.combinations) - len(_declared_runs(study))
    still = [group for group in groups_after_fold(study) if len(group.pairs) > 1]
    text = (
        f"The design was folded over on {study.fold}, after the results of the first variants: "
        f"{counted(added, 'variant')} were added, the same ones with the other level of {study.fold}. Its "
        "interactions are now separate from all others. The declared questions are answered from the first "
        "variants alone, as before."
    )
    if still:
        text += f" Still aliased: {'; '.join(_joined(group) for group in still)}."
    return text


def _together(group: AliasGroup) -> str:
    first, *others = (CROSSED.join(pair) for pair in group.pairs)
    return f"{first} is measured together with {_and(others)}"


def _joined(group: AliasGroup) -> str:
    return _and([CROSSED.join(pair) for pair in group.pairs])


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _declared_runs(study: Study) -> tuple[Variant, ...]:
    """Return the runs before a fold-over, which doubled them and appended the new ones."""
    return study.combinations[: len(study.combinations) // 2] if study.fold else study.combinations


def _signs(factors: Mapping[str, Sequence[str]], runs: Sequence[Variant]) -> dict[str, Signs]:
    """Return the sign of each factor's level in each run: -1 for its first level, 1 for its second."""
    return {
        name: tuple(-1 if run.levels[name] == levels[0] else 1 for run in runs)
        for name, levels in factors.items()
    }


def _main_effects(
    kind: str, factors: Mapping[str, tuple[str, ...]], runs: Sequence[Variant]
) -> Iterator[Contrast]:
    for name, signs in _signs(factors, runs).items():
        weights = {run.name: 2 * sign / len(runs) for run, sign in zip(runs, signs, strict=True)}
        yield Contrast(kind, name, factors[name][1], weights)


def _interactions(
    kind: str, group: AliasGroup, factors: Mapping[str, tuple[str, ...]], runs: Sequence[str]
) -> Contrast:
    levels = (CROSSED.join(factors[name][1] for name in pair) for pair in group.pairs)
    weights = {run: 4 * sign / len(runs) for run, sign in zip(runs, group.signs, strict=True)}
    return Contrast(kind, group.name, ALIASED.join(levels), weights)
