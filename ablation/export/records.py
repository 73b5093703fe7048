"""The records of a trial for other tools: its settings, its measures by epoch, and its final measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablation.grid.study import Study, Variant
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.grid.value_text import setting_text, yaml_text

Scalar = bool | int | float | str

EPOCH, FINAL = "epoch/", "final/"  # prefixes of a measure's name, as `train_accuracy` is a measure of both


def parameters(study: Study) -> dict[str, dict[str, Scalar]]:
    """Return the settings that vary in a study, by variant and name.

    The factors come first, and all values of a setting have one type.
    """
    by_variant = {variant.name: variant.settings for variant in study.variants}
    names = dict.fromkeys([*study.factors, *(name for settings in by_variant.values() for name in settings)])
    varying: dict[str, dict[str, Scalar]] = {variant: {} for variant in by_variant}
    for name in names:
        if name in study.factors or len({repr(settings.get(name)) for settings in by_variant.values()}) > 1:
            for variant, value in _of_one_type(name, study.variants, by_variant).items():
                varying[variant][name] = value
    return varying


def all_settings(study: Study, trial: Trial) -> dict[str, Scalar]:
    """Return all settings of a trial by name, with its variant and its seed.

    Booleans, numbers and text are as they are, factors have the labels of their levels, and other values
    are text in the notation of grid files.
    """
    variant = next(variant for variant in study.variants if variant.name == trial.variant)
    values = variant.settings | variant.levels | {"variant": trial.variant, "seed": trial.seed}
    return {
        name: v if isinstance(v, bool | int | float | str) else yaml_text(v) for name, v in values.items()
    }


def _of_one_type(
    name: str, variants: Sequence[Variant], by_variant: Mapping[str, Mapping[str, Any]]
) -> dict[str, Scalar]:
    """Return a setting by variant: booleans and numbers as they are, other values as labels or text."""
    values = {variant: settings[name] for variant, settings in by_variant.items() if name in settings}
    kinds = {type(value) for value in values.values()}
    if kinds in ({bool}, {int}, {float}):
        return values
    if kinds == {int, float}:
        return {variant: float(value) for variant, value in values.items()}
    labels = {variant.name: variant.levels.get(name) for variant in variants}
    return {variant: labels[variant] or setting_text(value) for variant, value in values.items()}


def epoch_measures(record: EpochRecord) -> dict[str, float]:
    """Return what was measured in and after an epoch, the overfitting gap included, by prefixed column."""
    measured = record.model_dump(exclude={"epoch", "extra", "order"}) | record.extra
    return {EPOCH + name: value for name, value in (measured | _gap(measured)).items()}


def epoch_times(result: TrialResult, ended: float) -> list[float]:
    """Return when each epoch ended, in seconds since 1970.

    Args:
        result: The result of the trial, whose duration and epochs the times are computed from.
        ended: When the trial ended, in seconds since 1970.
    """
    times = np.full(len(result.history), ended - result.seconds)
    times += np.cumsum([record.seconds for record in result.history])
    return [float(at) for at in np.minimum(times, ended)]


def final_measures(result: TrialResult) -> dict[str, float]:
    """Return the measures of the tested weights, the overfitting gap and the costs, by prefixed column."""
    measured = dict(result.metrics)
    if result.metrics:
        measured |= _gap(result.metrics)
    costs = {"parameters": result.parameters, "seconds": result.seconds, "best_epoch": result.best_epoch}
    measured |= {name: float(value) for name, value in costs.items() if value is not None}
    return {FINAL + name: value for name, value in measured.items()}


def _gap(measured: dict[str, float]) -> dict[str, float]:
    return {
        "gap_accuracy": measured["train_accuracy"] - measured["val_accuracy"],
        "gap_loss": measured["val_loss"] - measured["train_loss"],
    }
