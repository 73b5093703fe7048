"""What a search does to a variant: which of its settings can be changed, and the check of a space for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ablation.errors import did_you_mean
from ablation.grid.key_places import why_not_varied
from ablation.grid.schema_errors import explain
from ablation.grid.search_space import Parameter, SpaceSettings
from ablation.grid.settings import BuilderSettings, FileSettings, TrainingSettings, metric_name
from ablation.grid.study import Variant
from ablation.grid.value_text import yaml_text
from ablation.grid.variants import Known
from ablation.grid.yaml_positions import KeyPath, LocatedYaml


def settings_of(variant: Variant) -> set[str]:
    """Return the names of the settings of a variant that a search can change."""
    model = variant.model
    if isinstance(model, FileSettings):
        return {"augmentation", "weights", *TrainingSettings.model_fields}
    own = (
        {"augmentation", *model.arguments}
        if isinstance(model, BuilderSettings)
        else {*type(model).model_fields}
    )
    return (own | {*TrainingSettings.model_fields}) - {"family"}


def changed(variant: Variant, name: str, values: dict[str, Any]) -> Variant:
    """Return a variant with some settings changed, whose ``levels`` are these settings.

    Args:
        variant: The variant.
        name: The name of the new one.
        values: The changed settings, by name.

    Raises:
        ValidationError: The changed settings are not valid.
    """
    model = variant.model.model_dump(mode="json")
    arguments = model["arguments"] if isinstance(variant.model, BuilderSettings) else {}
    model |= {k: v for k, v in values.items() if k in type(variant.model).model_fields and k not in arguments}
    if arguments:
        model["arguments"] = arguments | {k: v for k, v in values.items() if k in arguments}
    training = variant.training.model_dump(mode="json")
    training |= {k: v for k, v in values.items() if k in TrainingSettings.model_fields}
    return Variant(
        name=name,
        model=type(variant.model).model_validate_json(json.dumps(model), strict=True),
        training=TrainingSettings.model_validate_json(json.dumps(training), strict=True),
        levels={key: yaml_text(value) for key, value in values.items()},
        crossed=False,
    )


def spelled_out(section: str, space: dict[str, Any], known: Known) -> dict[str, Any]:
    """Return a space in full: a list becomes a choice, and the components in it are looked up.

    Args:
        section: The section of the grid file that has the space.
        space: The space as the file gives it.
        known: The known settings.
    """
    return {name: _in_full((section, "space", name), name, value, known) for name, value in space.items()}


def _in_full(path: KeyPath, name: str, value: Any, known: Known) -> Any:
    parameter = {"choice": value} if isinstance(value, list) else value
    if not isinstance(parameter, dict) or not isinstance(parameter.get("choice"), list):
        return parameter
    choice = [known.change(name, choice, (*path, i))[0] for i, choice in enumerate(parameter["choice"])]
    return parameter | {"choice": choice}


def check_space(section: str, space: dict[str, Parameter], variant: Variant, source: LocatedYaml) -> None:
    """Refuse parameters that are not settings, values that are not valid, and conditions that never hold.

    Args:
        section: The section of the grid file that has the space.
        space: The space.
        variant: The variant whose settings it changes.
        source: The grid file, for errors.

    Raises:
        GridError: The space cannot be searched.
    """
    valid = settings_of(variant)
    for name, parameter in space.items():
        path: KeyPath = (section, "space", name)
        if name not in valid:
            hint = f"unknown setting '{name}'.{did_you_mean(name, valid)}"
            raise source.error(path, why_not_varied(name) or hint)
        for value in parameter.extremes:
            try:
                changed(variant, "", {name: value})
            except ValidationError as error:
                raise source.error(path, explain(error.errors()[0], [])) from None
        for other, wanted in parameter.when.items():
            if other == name or other not in space:
                hint = did_you_mean(other, set(space) - {name})
                message = f"'{other}' is not another parameter of this space.{hint}"
                raise source.error((*path, "when"), message)
            if wanted not in (space[other].choice or ()):
                raise source.error(
                    (*path, "when"), f"{yaml_text(wanted)} is not one of the choices of '{other}'."
                )
    placed: set[str] = set()
    while ready := {n for n, p in space.items() if n not in placed and {*p.when} <= placed}:
        placed |= ready
    if circle := sorted(set(space) - placed):
        raise source.error((section, "space", circle[0], "when"), "these conditions are circular.")


def check_objective(
    section: str, settings: SpaceSettings, variants: Sequence[Variant], source: LocatedYaml
) -> None:
    """Refuse an objective that is not measured in every proposal, or whose direction is not known.

    Args:
        section: The section of the grid file that has the space.
        settings: What is searched.
        variants: The variants whose settings are searched.
        source: The grid file, for errors.

    Raises:
        GridError: The objective cannot be used.
    """
    metrics = [variant.training.metrics for variant in variants]
    if "metrics" in settings.space:
        extremes = settings.space["metrics"].extremes
        metrics = [
            changed(v, "", {"metrics": given}).training.metrics for v in variants for given in extremes
        ]
    measured = set.intersection(*({f"val_{metric_name(m)}" for m in chosen} for chosen in metrics))
    objective, valid = settings.objective, {"val_accuracy", "val_loss", *measured}
    if objective not in valid:
        hint = did_you_mean(objective, valid)
        message = f"'{objective}' is not measured on the validation images of every proposal.{hint}"
        raise source.error((section, "objective"), message)
    if settings.judged.direction_trouble:
        key = "direction" if settings.direction else "objective"
        raise source.error((section, key), settings.judged.direction_trouble)


def check_sampler(section: str, tuner: str, space: dict[str, Parameter], source: LocatedYaml) -> None:
    """Refuse CMA-ES for a space that has nothing that it can adapt.

    Args:
        section: The section of the grid file that has the space.
        tuner: The tuner.
        space: The space.
        source: The grid file, for errors.

    Raises:
        GridError: The space has no range.
    """
    if tuner == "cma_es" and all(parameter.range is None for parameter in space.values()):
        message = "cma_es adapts ranges of numbers, and this space has only choices. Use tpe, random or grid."
        raise source.error((section, "tuner"), message)
