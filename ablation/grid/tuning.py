"""What `tune` makes of a study: a study per search, and the study of the variants at their own best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ablation.errors import did_you_mean
from ablation.grid.key_places import why_not_varied
from ablation.grid.schema_errors import validate
from ablation.grid.search_space import Parameter
from ablation.grid.space_checks import (
    changed,
    check_objective,
    check_sampler,
    check_space,
    settings_of,
    spelled_out,
)
from ablation.grid.study import Study, StudyOptions, Variant
from ablation.grid.tune_settings import TuneSettings
from ablation.grid.variants import Known
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

SEARCHES = (1, 2)
SEEDS_BELOW = 1_000_000
"""A study that is tuned has seeds below; search k begins at k million, the comparison at three million."""
_BETWEEN = " · "


class TunedProposal(NamedTuple):
    """A combination of settings that was proposed for a variant; ``values`` has no setting left as given."""

    variant: str
    values: Mapping[str, Any]


def read_tune(
    section: dict[str, Any],
    variants: Sequence[Variant],
    factors: Collection[str],
    options: StudyOptions,
    known: Known,
) -> TuneSettings | None:
    """Return the validated section `tune` of a grid file; None if there is none.

    Args:
        section: The section as the file gives it.
        variants: The variants of the study.
        factors: The settings that are factors of the study.
        options: What the grid file says of the study as a whole.
        known: The known settings.

    Raises:
        GridError: The section is not valid; the message says where, and what was expected.
    """
    source = known.source
    if "tune" not in source.data:
        return None
    space = section.get("space")
    if not isinstance(space, dict) or not space:
        example = "{learning_rate: {range: [0.0001, 0.1], log: true}}"
        message = f"tuning needs a `space:` of settings to search, for example `space: {example}`."
        raise source.error(("tune", "space") if "space" in section else ("tune",), message)
    _refuse_rungs(section, source)
    settings = validate(
        TuneSettings, section | {"space": spelled_out("tune", space, known)}, source, {}, ("tune",)
    )
    for name in settings.space:
        _refuse_declared_difference(name, variants, factors, source)
    for variant in variants:
        check_space("tune", settings.space, variant, source)
    check_objective("tune", settings, variants, source)
    check_sampler("tune", settings.tuner, settings.space, source)
    if (most := settings.most_trials) and any(budget >= most for budget in settings.budgets or ()):
        message = f"each of these must be smaller than the whole budget, which is {most} proposals."
        raise source.error(("tune", "budgets"), message)
    if "test" in options.vary:
        message = (
            "tuning needs the same test images for every seed, or it would choose settings on images that "
            "the comparison tests; remove test from vary."
        )
        raise source.error(("vary",), message)
    if max(options.seeds) >= SEEDS_BELOW:
        message = f"tuning needs seeds below {SEEDS_BELOW:,}; searches and tuned variants use those above."
        raise source.error(("seeds",), message)
    return settings


def _refuse_rungs(section: dict[str, Any], source: LocatedYaml) -> None:
    """Refuse what trains some proposals for a part of the epochs only."""
    if section.get("tuner") == "hyperband":
        message = (
            "hyperband decides its own number of proposals, so that no budget can be declared. Use random, "
            "grid, bayesian, tpe or cma_es."
        )
        raise source.error(("tune", "tuner"), message)
    if "pruner" in section:
        message = (
            "pruners belong to a `search:`. Here, every proposal is trained for all of its epochs, so that "
            "all variants get the same budget. Remove this key."
        )
        raise source.error(("tune", "pruner"), message)


def _refuse_declared_difference(
    name: str, variants: Sequence[Variant], factors: Collection[str], source: LocatedYaml
) -> None:
    """Refuse to search a setting in which variants differ, or which some of them do not have."""
    path: KeyPath = ("tune", "space", name)
    known = {setting for variant in variants for setting in settings_of(variant)}
    if name not in known:
        hint = f"unknown setting '{name}'.{did_you_mean(name, known)}"
        raise source.error(path, why_not_varied(name) or hint)
    remedy = "variants would no longer differ as declared. Remove it from the space."
    if name in factors:
        raise source.error(path, f"'{name}' is a factor of this study; if it were tuned, {remedy}")
    plain = variants[0]
    for variant in variants:
        if name not in settings_of(variant) or name not in settings_of(plain):
            without = next(v.name for v in variants if name not in settings_of(v))
            message = (
                f"'{without}' has no setting '{name}', and the space is the same for all variants. Remove it "
                "from the space."
            )
            raise source.error(path, message)
        if variant.settings[name] != plain.settings[name]:
            message = f"the variant '{variant.name}' changes '{name}'; if it were tuned, {remedy}"
            raise source.error(path, message)


def space_of(study: Study, variant: Variant) -> dict[str, Parameter]:
    """Return the parameters of the space that can change a variant's model or training.

    A setting of a part that the variant does not have, such as the momentum of BatchNorm layers, cannot. It
    is tried as given, and with the other parameters at their first and at their last value.
    """
    assert study.tune
    space = study.tune.space
    ends = [{name: parameter.extremes[end] for name, parameter in space.items()} for end in (0, -1)]
    kept = {n for n in space if any(_matters(variant, n, space[n], given) for given in ({}, *ends))}
    while conditions := {other for name in kept for other in space[name].when} - kept:
        kept |= conditions
    return {name: parameter for name, parameter in space.items() if name in kept}


def _matters(variant: Variant, name: str, parameter: Parameter, others: Mapping[str, Any]) -> bool:
    """Return whether a parameter has an effect on a variant in which other settings are changed, too."""
    effects = []
    for value in parameter.extremes:
        try:
            tried = changed(variant, "", {**others, **parameter.when, name: value})
        except ValidationError:  # the other values do not fit this one
            continue
        effects.append((tried.model.effective, tried.training))
    return any(effect != effects[0] for effect in effects)


def search_seeds(study: Study, search: int) -> tuple[int, ...]:
    """Return the seeds of the proposals of a search, 1 or 2."""
    assert study.tune
    return tuple(search * SEEDS_BELOW + k for k in range(study.tune.seeds))


def search_study(study: Study, search: int, proposals: Sequence[TunedProposal]) -> Study:
    """Return the proposals of a search as a study of their own, which does not read the test set.

    Each proposal is a variant, named after the variant that is tuned and numbered in the order in which the
    oracle made them.

    Args:
        study: The study that is tuned.
        search: The number of the search, 1 or 2.
        proposals: The proposals so far, at least one.
    """
    assert study.tune
    made, counts = [], dict[str, int]()
    given = {variant.name: variant for variant in study.variants}
    for name, values in proposals:
        counts[name] = counts.get(name, 0) + 1
        made.append(changed(given[name], f"{name}{_BETWEEN}{counts[name]:02d}", dict(values)))
    changes = {
        "name": f"{study.name} search {search}",
        "question": "",
        "variants": tuple(made),
        "factors": {},
        "baseline": made[0].name,
        "seeds": search_seeds(study, search),
        "further_seeds": {},
        "compare": study.tune.judged,
        "reads_test": False,
        "save_models": False,
        "tune": None,
    }
    return study.model_copy(update=changes)


def proposals_of(searched: Study) -> list[TunedProposal]:
    """Return the proposals that a study from `search_study` consists of."""
    return [
        TunedProposal(v.name.rpartition(_BETWEEN)[0], {key: v.settings[key] for key in v.levels})
        for v in searched.variants
    ]


def tuned_study(study: Study, choices: Mapping[str, Mapping[str, Any]]) -> Study:
    """Return the study of the variants at settings of their own, with seeds that nothing else has used.

    It asks what the study asks, and in the same way.

    Args:
        study: The study that is tuned.
        choices: The chosen settings of each variant.
    """
    variants = [
        changed(variant, variant.name, dict(choices[variant.name])).model_copy(
            update={"levels": variant.levels, "crossed": variant.crossed}
        )
        for variant in study.variants
    ]
    changes: dict[str, Any] = {
        "name": f"{study.name} tuned",
        "variants": tuple(variants),
        "seeds": tuple(3 * SEEDS_BELOW + seed for seed in study.seeds),
        "further_seeds": {},
        "tune": None,
    }
    return study.model_copy(update=changes)


def same_plan(first: Study, second: Study) -> bool:
    """Return whether two studies train the same variants, further seeds aside."""
    records = (study.model_dump(mode="json", include={"variants", "seeds"}) for study in (first, second))
    return next(records) == next(records)
