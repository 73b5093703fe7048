"""Factor effects (main effects, interactions, simple effects, Shapley shares) as contrasts within a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.inference import JUDGEMENT_COLUMNS, judge
from ablation.analysis.intervals import comparable
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study import Study

EFFECT_COLUMNS = ["kind", "effect", "levels", "metric", *JUDGEMENT_COLUMNS, "margin"]

Combination = tuple[str, ...]  # the label of each factor's level, in the order of the factors


class Contrast(NamedTuple):
    """An effect as a weighted sum of cells, which is taken within each seed."""

    kind: str
    effect: str
    levels: str
    weights: dict[Combination, float]


def effects_table(
    results: pd.DataFrame, study: Study, compare: CompareSettings | None = None
) -> pd.DataFrame:
    """Estimate the effects of the factors from the variants that cross them.

    Each effect is a contrast of cells. It is taken within each seed that completed all of its cells, and
    judged over the seeds as paired differences are; the effects of one kind are corrected together.

    - ``main effect``: a level against the factor's first, averaged over the other factors' levels;
    - ``interaction``: how much larger a level's effect is in the presence of the others, a difference of
      differences;
    - ``effect where``: a level against the factor's first, at one setting of the other factors;
    - ``Shapley share``: a two-level factor's share of the full model's difference from the plain one, that
      is, its effect averaged over every order of adding the factors (Shapley, 1953, "A value for n-person
      games"); the shares add up to that difference.

    Args:
        results: The results table; only completed trials of one environment count.
        study: The study, for its factors and variants.
        compare: How to judge; by default as the study declares.

    Returns:
        One row per effect; no rows without factors. If a variant that an effect needs is not in the study, or
        no seed completed all of them, ``n`` is 0 and ``reason`` says what is missing.
    """
    compare = compare or study.compare
    planned = _crossed(study)
    by_seed = comparable(results).pivot(index="seed", columns="variant", values=compare.metric)
    tables = []
    contrasts = list(_contrasts(study.factors))
    for kind in dict.fromkeys(contrast.kind for contrast in contrasts):
        family = [contrast for contrast in contrasts if contrast.kind == kind]
        values = {str(k): _by_seed(contrast, planned, by_seed) for k, contrast in enumerate(family)}
        judged = judge(values, compare).reset_index(drop=True)
        judged.insert(0, "kind", kind)
        judged.insert(1, "effect", [contrast.effect for contrast in family])
        judged.insert(2, "levels", [contrast.levels for contrast in family])
        for k, contrast in enumerate(family):
            if missing := _missing(contrast, planned, study.factors):
                judged.loc[k, "reason"] = missing
        tables.append(judged)
    if not tables:
        return pd.DataFrame(columns=EFFECT_COLUMNS)
    table = pd.concat(tables, ignore_index=True)
    return table.assign(metric=compare.metric, margin=compare.margin)[EFFECT_COLUMNS]


def needed_variants(study: Study) -> dict[tuple[str, str, str], list[str]]:
    """Return the variants that each effect is estimated from, by its kind, name and levels."""
    planned = _crossed(study)
    return {
        (c.kind, c.effect, c.levels): [planned[cell] for cell, weight in c.weights.items() if weight]
        for c in _contrasts(study.factors)
        if all(cell in planned for cell, weight in c.weights.items() if weight)
    }


def _crossed(study: Study) -> dict[Combination, str]:
    return {tuple(v.levels[f] for f in study.factors): v.name for v in study.variants if v.crossed}


def _contrasts(factors: Mapping[str, tuple[str, ...]]) -> Iterator[Contrast]:
    names = list(factors)
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            kind = "main effect" if size == 1 else "interaction"
            for levels in product(*(factors[name][1:] for name in chosen)):
                weights = _product_weights(factors, dict(zip(chosen, levels, strict=True)))
                yield Contrast(kind, " × ".join(chosen), " × ".join(levels), weights)
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


def _simple_effects(factors: Mapping[str, tuple[str, ...]]) -> Iterator[Contrast]:
    for place, (name, labels) in enumerate(factors.items()):
        others = {other: levels for other, levels in factors.items() if other != name}
        for setting in product(*others.values()):
            where = ", ".join(f"{other}={level}" for other, level in zip(others, setting, strict=True))
            for label in labels[1:]:
                with_, without = ((*setting[:place], level, *setting[place:]) for level in (label, labels[0]))
                yield Contrast("effect where", name, f"{label} where {where}", {with_: 1.0, without: -1.0})


def _shapley_shares(factors: Mapping[str, tuple[str, ...]]) -> Iterator[Contrast]:
    count = len(factors)
    for place, (name, labels) in enumerate(factors.items()):
        weights: dict[Combination, float] = {}
        for cell in product(*factors.values()):
            added = sum(label != levels[0] for label, levels in zip(cell, factors.values(), strict=True))
            present = cell[place] != labels[0]
            before = added - present  # how many other factors are added before this one
            weight = 1 / (count * math.comb(count - 1, before))
            weights[cell] = weight if present else -weight
        yield Contrast("Shapley share", name, labels[1], weights)


def _by_seed(
    contrast: Contrast, cells: Mapping[Combination, str], by_seed: pd.DataFrame
) -> NDArray[np.float64]:
    """Return the contrast's value for each seed that completed all of its cells, (seeds,)."""
    needed = {cells.get(cell): weight for cell, weight in contrast.weights.items() if weight}
    if not needed.keys() <= set(by_seed.columns):
        return np.empty(0)
    complete = by_seed[list(needed)].astype(float).dropna().to_numpy()
    return np.asarray(complete @ np.array(list(needed.values())))


def _missing(
    contrast: Contrast, cells: Mapping[Combination, str], factors: Mapping[str, tuple[str, ...]]
) -> str:
    """Name the first cell that the contrast needs and the study lacks; empty if the study has all."""
    for cell, weight in contrast.weights.items():
        if weight and cell not in cells:
            settings = ", ".join(f"{name}={label}" for name, label in zip(factors, cell, strict=True))
            return f"cannot be estimated: no variant has {settings}"
    return ""
