"""Fold a fractional design over: the same variants again, with the other level of one factor."""

from __future__ import annotations

from typing import Any

from ablation.errors import GridError
from ablation.grid.combinations import Combination, Factor
from ablation.grid.fractional import run_name
from ablation.grid.settings import BuilderSettings, TrainingSettings
from ablation.grid.study import Study, Variant

_FAMILY = "family"


def folded(study: Study, factor: str) -> Study:
    """Return the study with the variants that fold its design over on one factor.

    Args:
        study: A study of a fractional design that is not folded over yet.
        factor: The factor whose other level the further variants have.

    Raises:
        GridError: One of them has the name of a variant that the grid defines itself.
    """
    place = list(study.factors).index(factor)
    factors = [_factor(study, name) for name in study.factors]
    added = []
    for run in study.combinations:
        cell = _cell(study, run)
        cell = (*cell[:place], 1 - cell[place], *cell[place + 1 :])
        added.append(_variant(study, run_name(factors, cell), cell))
    names = {variant.name for variant in study.variants}
    if taken := [variant.name for variant in added if variant.name in names]:
        raise GridError(
            f"--fold-over: the fold-over on {factor} adds the variant '{taken[0]}', and `variants:` has one "
            "of this name; rename it."
        )
    return study.model_copy(update={"variants": (*study.variants, *added), "fold": factor})


def _cell(study: Study, run: Variant) -> Combination:
    return tuple(levels.index(run.levels[name]) for name, levels in study.factors.items())


def _factor(study: Study, name: str) -> Factor:
    """Return a factor as the grid file declared it."""
    values = [_value(_run_with(study, {name: label}), name) for label in study.factors[name]]
    as_written = [list(value) if isinstance(value, tuple) else value for value in values]
    return Factor(name, tuple(zip(study.factors[name], as_written, ((), ()), strict=True)))


def _run_with(study: Study, levels: dict[str, str]) -> Variant:
    return next(run for run in study.combinations if levels.items() <= run.levels.items())


def _variant(study: Study, name: str, cell: Combination) -> Variant:
    """Put a combination of levels together from variants that have its levels, one by one.

    It begins with a variant of the same model family, whose class knows the settings of the model.
    """
    levels = {name: labels[level] for (name, labels), level in zip(study.factors.items(), cell, strict=True)}
    family = {_FAMILY: levels[_FAMILY]} if _FAMILY in levels else {}
    variant = _run_with(study, family)
    for setting, label in levels.items():
        if setting != _FAMILY:
            value = _value(_run_with(study, {**family, setting: label}), setting)
            variant = _with_value(variant, setting, value)
    return variant.model_copy(update={"name": name, "levels": levels})


def _value(variant: Variant, setting: str) -> Any:
    if setting in (arguments := _arguments(variant)):
        return arguments[setting]
    return getattr(variant.training if setting in TrainingSettings.model_fields else variant.model, setting)


def _with_value(variant: Variant, setting: str, value: Any) -> Variant:
    if setting in (arguments := _arguments(variant)):
        model = variant.model.model_copy(update={"arguments": arguments | {setting: value}})
        return variant.model_copy(update={"model": model})
    section = "training" if setting in TrainingSettings.model_fields else "model"
    changed = getattr(variant, section).model_copy(update={setting: value})
    return variant.model_copy(update={section: changed})


def _arguments(variant: Variant) -> dict[str, Any]:
    """Return the arguments of a builder, which are settings like any other; none of another model."""
    return variant.model.arguments if isinstance(variant.model, BuilderSettings) else {}
