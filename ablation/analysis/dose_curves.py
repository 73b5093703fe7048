"""Which factors of a study have a dose, and the curves of variants along it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ablation.analysis.estimates import Measurements
from ablation.grid.study import Study

FEWEST_DOSES = 3
_AVERAGED = "averaged over "
_WIDE = 20  # the ratio of the largest dose to the smallest from which on doses are on a logarithmic axis


@dataclass(frozen=True)
class DoseCurve:
    """The variants along the numeric levels of a factor, the smallest dose first.

    Attributes:
        factor: The factor.
        where: The levels of the other factors, ``batch_norm=false``, or over which of them it is averaged;
            empty if there are none.
        levels: The label of each dose.
        doses: The doses.
        variants: The variants at each dose, one unless the curve is averaged.
    """

    factor: str
    where: str
    levels: tuple[str, ...]
    doses: tuple[float, ...]
    variants: tuple[tuple[str, ...], ...]

    @property
    def every_variant(self) -> list[str]:
        """All variants of the curve."""
        return [name for names in self.variants for name in names]

    def at(self, places: Sequence[int]) -> DoseCurve:
        """Return the part of the curve at some of its doses, given by their places."""
        return replace(
            self,
            levels=tuple(self.levels[k] for k in places),
            doses=tuple(self.doses[k] for k in places),
            variants=tuple(self.variants[k] for k in places),
        )

    def values(self, measured: Measurements) -> NDArray[np.float64]:
        """Return the metric for each seed that completed all doses in one environment: (seeds, doses)."""
        table = measured.values(self.every_variant)
        ends = np.cumsum([len(names) for names in self.variants])
        return np.stack([part.mean(axis=1) for part in np.split(table, ends[:-1], axis=1)], axis=1)


def dose_curves(study: Study) -> list[DoseCurve]:
    """Return the curves of a study: of each factor with three or more levels, all of them numbers.

    There is one curve per combination of the other factors' levels and, if there are several, one that is
    averaged over them. Curves with fewer than three doses are left out.
    """
    crossed = {tuple(v.levels[f] for f in study.factors): v.name for v in study.variants if v.crossed}
    curves = []
    for factor in study.factors:
        by_level = _doses(study, factor)
        if len(by_level) < FEWEST_DOSES:
            continue
        others = {name: levels for name, levels in study.factors.items() if name != factor}
        settings = [dict(zip(others, labels, strict=True)) for labels in product(*others.values())]
        cells = {
            level: [crossed.get(tuple(({**s, factor: level})[f] for f in study.factors)) for s in settings]
            for level in sorted(by_level, key=by_level.__getitem__)
        }
        for k, setting in enumerate(settings):
            where = ", ".join(f"{name}={label}" for name, label in setting.items())
            along = {level: (name,) for level, names in cells.items() if (name := names[k]) is not None}
            curves.append(_curve(factor, where, along, by_level))
        if len(settings) > 1:
            whole = {level: tuple(n for n in names if n) for level, names in cells.items() if all(names)}
            curves.append(_curve(factor, f"{_AVERAGED}{' and '.join(others)}", whole, by_level))
    return [curve for curve in curves if len(curve.doses) >= FEWEST_DOSES]


def is_averaged(where: str) -> bool:
    """Return whether the curve with this `DoseCurve.where` is averaged over the other factors."""
    return where.startswith(_AVERAGED)


def _curve(
    factor: str, where: str, along: Mapping[str, tuple[str, ...]], by_level: Mapping[str, float]
) -> DoseCurve:
    return DoseCurve(factor, where, tuple(along), tuple(by_level[k] for k in along), tuple(along.values()))


def _doses(study: Study, factor: str) -> dict[str, float]:
    """Return the number of each level of a factor; empty if one of them is not a number."""
    doses: dict[str, float] = {}
    for variant in study.variants:
        if variant.crossed and variant.levels[factor] not in doses:
            value = variant.settings.get(factor)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return {}
            doses[variant.levels[factor]] = float(value)
    return doses if len(set(doses.values())) == len(doses) else {}


def are_wide(doses: Sequence[float]) -> bool:
    """Return whether doses span so many orders of magnitude that their axis is logarithmic."""
    return min(doses) > 0 and max(doses) > _WIDE * min(doses)


def positions(doses: Sequence[float]) -> NDArray[np.float64]:
    """Return the doses on their axis: themselves, or their decimal logarithms if they `are_wide`."""
    given = np.asarray(doses, np.float64)
    return np.asarray(np.log10(given) if are_wide(doses) else given)
