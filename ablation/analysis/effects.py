"""Factor effects (main effects, interactions, simple effects, Shapley shares) as contrasts of variants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import NamedTuple

from ablation.analysis.aliases import fractional_contrasts
from ablation.analysis.contrast import Contrast
from ablation.grid.study import Study

Combination = tuple[str, ...]  # the label of each factor's level, in the order of the factors


class _Cells(NamedTuple):
    """A contrast in combinations of levels."""

    kind: str
    effect: str
    levels: str
    weights: dict[Combination, float]


def contrasts(study: Study) -> list[Contrast]:
    """Return the effects of the factors as contrasts of the variants that cross them.

    - ``main effect``: a level against the factor's first, averaged over the other factors' levels;
    - ``interaction``: how much larger a level's effect is in the presence of the others, a difference of
      differences;
    - ``effect where``: a level against the factor's first, at one setting of the other factors;
    - ``Shapley share``: a two-level factor's share of the full model's difference from the plain one, that
      is, its effect averaged over every order of adding the factors (Shapley, 1953, "A value for n-person
      games"); the shares add up to that difference.

    A fractional design has the effects that `fractional_contrasts` describes.

    Returns:
        None without factors.
    """
    if study.design == "fractional":
        return fractional_contrasts(study)
    planned = _crossed(study)
    found = []
    for kind, effect, levels, by_cell in _contrasts(study.factors):
        weights = {cell: weight for cell, weight in by_cell.items() if weight}
        missing = _missing(weights, planned, study.factors)
        named = {} if missing else {planned[cell]: weight for cell, weight in weights.items()}
        found.append(Contrast(kind, effect, levels, named, missing))
    return found


def _crossed(study: Study) -> dict[Combination, str]:
    return {tuple(v.levels[f] for f in study.factors): v.name for v in study.combinations}


def _contrasts(factors: Mapping[str, tuple[str, ...]]) -> Iterator[_Cells]:
    names = list(factors)
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            kind = "main effect" if size == 1 else "interaction"
            for levels in product(*(factors[name][1:] for name in chosen)):
                weights = _product_weights(factors, dict(zip(chosen, levels, strict=True)))
                yield _Cells(kind, " × ".join(chosen), " × ".join(levels), weights)
    if len(names) > 1:
        yield from _simple_effects(factors)
        if all(len(labels) == 2 for labels in factors.values()):
            yield from _shapley_shares(factors)


def _product_weights(
    factors: Mapping[str, tuple[str, ...]], chosen: Mapping[str, str]
) -> dict[Combination, float]:
    """Weight the cells: each chosen level minus its factor's first, averaged over the other factors."""
    parts = [
        {chosen[name]: 1.0, labels[0]: -1.0} if name in chosen else dict.fromkeys(labels, 1 / len(labels))
        for name, labels in factors.items()
    ]
    return {
        cell: math.prod(p[label] for p, label in zip(parts, cell, strict=True)) for cell in product(*parts)
    }


def _simple_effects(factors: Mapping[str, tuple[str, ...]]) -> Iterator[_Cells]:
    for place, (name, labels) in enumerate(factors.items()):
        others = {other: levels for other, levels in factors.items() if other != name}
        for setting in product(*others.values()):
            where = ", ".join(f"{other}={level}" for other, level in zip(others, setting, strict=True))
            for label in labels[1:]:
                with_, without = ((*setting[:place], level, *setting[place:]) for level in (label, labels[0]))
                yield _Cells("effect where", name, f"{label} where {where}", {with_: 1.0, without: -1.0})


def _shapley_shares(factors: Mapping[str, tuple[str, ...]]) -> Iterator[_Cells]:
    count = len(factors)
    for place, (name, labels) in enumerate(factors.items()):
        weights: dict[Combination, float] = {}
        for cell in product(*factors.values()):
            added = sum(label != levels[0] for label, levels in zip(cell, factors.values(), strict=True))
            present = cell[place] != labels[0]
            before = added - present  # how many other factors are added before this one
            weight = 1 / (count * math.comb(count - 1, before))
            weights[cell] = weight if present else -weight
        yield _Cells("Shapley share", name, labels[1], weights)


def _missing(
    cells: Mapping[Combination, float],
    planned: Mapping[Combination, str],
    factors: Mapping[str, tuple[str, ...]],
) -> str:
    """Name the first cell that a contrast needs and the study lacks; empty if the study has all."""
    for cell in cells:
        if cell not in planned:
            settings = ", ".join(f"{name}={label}" for name, label in zip(factors, cell, strict=True))
            return f"cannot be estimated: no variant has {settings}"
    return ""
