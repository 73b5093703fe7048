"""The combinations of the levels of factors that become variants, and their names."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ablation.grid.variants import PLAIN
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

FULL = "full"
_PART_NAMES = {"dropout": "Dropout", "batch_norm": "BatchNorm"}
Combination = tuple[int, ...]  # the number of each factor's level


@dataclass(frozen=True)
class Factor:
    """A setting that is varied, with its levels in the order of the grid file.

    Attributes:
        setting: The setting.
        levels: The label of each level, its value, and its place in the file.
    """

    setting: str
    levels: tuple[tuple[str, Any, KeyPath], ...]

    @property
    def is_switch(self) -> bool:
        """Whether the first level leaves something out that the other levels have."""
        return self.levels[0][1] in (False, None, []) or self.levels[0][1] == 0

    @property
    def full(self) -> int:
        """The number of the level that the full model has."""
        return 1

    def part_of_name(self, level: int) -> str:
        """Return the part of the variant's name for a level, which is empty for a switch that is off."""
        label = self.levels[level][0]
        if not self.is_switch:
            return f"{self.setting}={label}"
        if level == 0:
            return ""
        part = _PART_NAMES.get(self.setting, self.setting)
        return f"+{part}" if len(self.levels) == 2 else f"+{part} {label}"


def all_cells(factors: list[Factor]) -> dict[Combination, str]:
    """Name each combination of the factors' levels; the combination of all first levels is ``plain``."""
    every = itertools.product(*(range(len(factor.levels)) for factor in reversed(factors)))
    cells = (cell[::-1] for cell in every)  # the first factor varies fastest: plain, +Dropout, +BatchNorm
    return {cell: _cell_name(factors, cell) for cell in cells}


def ablation_cells(
    factors: list[Factor], keys: Iterable[str], directions: Collection[str], source: LocatedYaml
) -> dict[Combination, str]:
    """Name the plain model with each component added, and the full model with each component removed.

    Args:
        factors: The components.
        keys: Their keys in the file, for errors.
        directions: ``add_one_in``, ``leave_one_out`` or both.
        source: The grid file, for errors.

    Raises:
        GridError: There are fewer than two components, or one has more than two levels.
    """
    for factor, key in zip(factors, keys, strict=True):
        if len(factor.levels) != 2:
            raise source.error(
                ("factors", key),
                "`ablate` needs factors of two levels, without and with the component; this one has "
                f"{len(factor.levels)}.",
            )
    if len(factors) < 2:
        raise source.error(("ablate",), "`ablate` needs at least two components under `factors:`.")
    return one_at_a_time(factors, directions)


def one_at_a_time(factors: Sequence[Factor], directions: Collection[str]) -> dict[Combination, str]:
    """Name the plain and the full model, and those that differ from one of the two in one factor.

    Args:
        factors: Factors of two levels.
        directions: ``add_one_in``, ``leave_one_out`` or both.
    """
    plain, full = (0,) * len(factors), tuple(factor.full for factor in factors)
    cells: dict[Combination, str] = {}
    if "add_one_in" in directions:
        cells[plain] = PLAIN
        cells |= {_flipped(plain, k): factor.part_of_name(1) for k, factor in enumerate(factors)}
    if "leave_one_out" in directions:
        cells.setdefault(full, FULL)
        for k, factor in enumerate(factors):
            name = factor.part_of_name(1)
            without = f"-{name.removeprefix('+')}" if factor.full else name
            is_taken = (
                without in cells.values() and _flipped(full, k) not in cells
            )  # by the change of `plain`
            cells.setdefault(_flipped(full, k), f"{FULL} {without}" if is_taken else without)
    return cells


def _flipped(cell: Combination, k: int) -> Combination:
    return (*cell[:k], 1 - cell[k], *cell[k + 1 :])


def _cell_name(factors: list[Factor], cell: tuple[int, ...]) -> str:
    if not any(cell):
        return PLAIN
    if len(cell) == 2 and all(cell) and all(f.is_switch and len(f.levels) == 2 for f in factors):
        return "+both"
    parts = [factor.part_of_name(level) for factor, level in zip(factors, cell, strict=True)]
    return " ".join(part for part in parts if part)
