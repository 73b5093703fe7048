"""What distinguishes the variants of a study, as the columns of a table: ✓ and ✗, levels, or changes."""

from __future__ import annotations

from dataclasses import dataclass

from ablation.grid.study import Study, Variant
from ablation.grid.value_text import setting_text

_OFF = frozenset({"0", "0.0", "false", "none", "null", "[]", "no", "off", "without"})
_NAMES = {"dropout": "Dropout", "batch_norm": "BatchNorm"}


@dataclass(frozen=True)
class Component:
    """A factor as a column.

    Attributes:
        factor: The factor.
        heading: Its name for readers.
        on: The label of the level that has the component, where the other level is without; else empty.
    """

    factor: str
    heading: str
    on: str

    def level(self, variant: Variant) -> str:
        """Return a variant's level of the factor; empty if it has none."""
        return variant.levels.get(self.factor, "")

    def is_on(self, variant: Variant) -> bool | None:
        """Return whether a variant has the component; None if its level is neither of the two."""
        level = self.level(variant)
        if not self.on or (level != self.on and not _is_off(level)):
            return None
        return level == self.on


def components(study: Study) -> list[Component]:
    """Return the factors of a study as columns; one of two levels, without and with, is a component."""
    found = []
    for factor, levels in study.factors.items():
        without = [level for level in levels if _is_off(level)]
        with_ = [level for level in levels if not _is_off(level)]
        is_switch = len(without) == len(with_) == 1
        found.append(Component(factor, setting_name(factor), with_[0] if is_switch else ""))
    return found


def setting_name(setting: str) -> str:
    """Return the name of a setting as a reader writes it: ``learning rate``, ``BatchNorm``."""
    return _NAMES.get(setting, setting.replace("_", " "))


def changes(variant: Variant, study: Study) -> str:
    """Name the settings other than the factors in which a variant differs from the baseline."""
    baseline = next(v for v in study.variants if v.name == study.baseline).settings
    settings = variant.settings
    changed = [
        key
        for key in settings
        if key not in study.factors and (key not in baseline or settings[key] != baseline[key])
    ]
    return ", ".join(f"{key.replace('_', ' ')} = {value_text(settings[key])}" for key in changed)


def value_text(value: object) -> str:
    """Return the value of a setting for readers, a number with no more digits than it was given with."""
    if isinstance(value, dict) and "name" not in value:
        return ", ".join(f"{key} {value_text(part)}" for key, part in value.items())
    is_fraction = isinstance(value, float) and not value.is_integer()
    return f"{value:g}" if is_fraction else setting_text(value)


def levels_text(variant: Variant, study: Study) -> str:
    """Name the levels of the factors at which a variant differs from the baseline."""
    baseline = next(v for v in study.variants if v.name == study.baseline)
    parts = [
        f"{component.heading} = {component.level(variant)}"
        for component in components(study)
        if component.level(variant) != component.level(baseline)
    ]
    return ", ".join(parts)


def have_distinct_levels(study: Study) -> bool:
    """Return whether the levels of the factors alone tell every two variants apart."""
    levels = [tuple(sorted(variant.levels.items())) for variant in study.variants]
    return all(variant.crossed for variant in study.variants) and len(set(levels)) == len(levels)


def _is_off(level: str) -> bool:
    return level.strip().lower() in _OFF
