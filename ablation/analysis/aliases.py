"""The effects of a fractional factorial design, and which of them it cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from ablation.analysis.contrast import Contrast
from ablation.grid.study import Study, Variant

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
    return alias_groups(study.factors, first_variants(study))


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
    declared = [v.name for v in first_variants(study)]
    groups = declared_groups(study)
    found = [*_main_effects("main effect", study.factors, first_variants(study))]
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


def interactions_of(effect: str) -> list[str]:
    """Return the interactions that an effect of the effects table is the sum of."""
    return effect.split(ALIASED)


def first_variants(study: Study) -> tuple[Variant, ...]:
    """Return the variants of a design without those of its fold-over."""
    return study.combinations[: len(study.combinations) - len(study.added_by_fold)]


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
