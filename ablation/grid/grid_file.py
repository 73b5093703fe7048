"""Read a study from a grid file; every error names the file, the line and the key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ablation.errors import AblationError, did_you_mean
from ablation.grid.ablate_settings import AblateSettings, Part, matched_variants, part_cells, read_parts
from ablation.grid.combinations import Combination, Factor, ablation_cells
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import DATASETS, DatasetSettings
from ablation.grid.fractional import fractional_cells
from ablation.grid.overrides import Override
from ablation.grid.schema_errors import validate
from ablation.grid.settings import CONTENT, metric_name
from ablation.grid.study import Study, StudyOptions, Variant, refuse_repeated
from ablation.grid.tuning import read_tune
from ablation.grid.user_code import load_object
from ablation.grid.value_text import yaml_text
from ablation.grid.variants import Change, Known
from ablation.grid.yaml_positions import KeyPath, LocatedYaml, read_yaml
from ablation.grid.yaml_syntax import BACKSLASH
from ablation.operating_system import written_here

_MOST_TRIALS = 100_000


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _require_visible(name: str) -> str:
    if not name.strip():
        raise ValueError("expected text, and this text is blank")
    return name


Direction = Literal["leave_one_out", "add_one_in"]
Directions = Annotated[
    tuple[Direction, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=Direction | tuple[Direction, ...] | AblateSettings),
]  # a mapping is validated by itself, see `_validated`


class GridFile(StudyOptions):
    """The keys of a grid file; those of its sections are defined in `settings` and `search.settings`."""

    study: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_require_visible)]
    """The name of the study and of its run folder, ``experiments/runs/<study>``."""
    model: dict[str, Any] = {}
    """The settings of the model that all variants start from."""
    training: dict[str, Any] = {}
    """How the model is compiled and trained."""
    factors: dict[str, Any] = {}
    """The settings of model or training that are varied, each with two or more levels: a list of values, or a
    mapping of labels to values. Factors are crossed: each combination of levels is a variant, and the
    combination of all first levels is ``plain``."""
    variants: dict[str, dict[str, Any]] = {}
    """Additional variants by name, each of them ``plain`` with some settings changed."""
    ablate: Directions = ()
    """The variants to build instead of all combinations of the factors. Every factor is then one component
    and must have two levels, without and with it. ``leave_one_out`` builds the ``full`` model and, for each
    component, a variant without it. ``add_one_in`` builds the ``plain`` model and, for each component, a
    variant with it. A list of the two builds both. A mapping names parts of a model of your own, which are
    removed, replaced or changed without a line of code."""
    baseline: str | None = None
    """The variant that all others are compared with. By default, it is the first, ``plain`` or ``full``."""
    search: dict[str, Any] = {}
    """What ``ablation search`` searches; ``ablation run`` ignores it."""
    tune: dict[str, Any] = {}
    """How ``ablation run`` tunes every variant, to compare the variants at their own best settings, too."""


def read_study(file: Path, needs_images: bool = True, overrides: Sequence[Override] = ()) -> Study:
    """Read a study from a YAML file.

    Args:
        file: The grid file.
        needs_images: Whether the images that it names have to exist.
        overrides: Settings to put in the place of those of the file.

    Raises:
        GridError: The file is not a valid grid; the message says where the error is and what was expected.
    """
    source = read_yaml(file, overrides)
    grid, ablate = _validated(source)
    refuse_repeated(grid.seeds, "", lambda message: source.error(("seeds",), message))
    _reject_two_noises(grid, source)
    known = Known.of(grid.model, source)
    parts = read_parts(ablate, known, grid.factors, source) if ablate else []
    known = replace(known, parts=tuple(part.setting for part in parts))
    base = known.base(grid.model, grid.training)
    factors = [_factor(key, levels, grid, known, source) for key, levels in grid.factors.items()]
    _reject_repeated(
        ("factors",), [(key, f.setting) for key, f in zip(grid.factors, factors, strict=True)], source
    )
    cells = _cells(grid, ablate, parts, factors, source)
    factors = [*parts, *factors]
    variants = _crossed_variants(cells, factors, base, known)
    variants += matched_variants(variants, parts)
    variants += _named_variants(grid, factors, base, known, source)
    _reject_duplicates(variants, grid, source)
    baseline = grid.baseline or next(iter(cells.values()))
    if baseline not in {variant.name for variant in variants}:
        hint = did_you_mean(baseline, [variant.name for variant in variants])
        raise source.error(("baseline",), f"no variant is named '{baseline}'.{hint}")
    if grid.compare.metric not in (valid := _metrics(variants)):
        hint = did_you_mean(grid.compare.metric, valid)
        raise source.error(("compare", "metric"), f"there is no metric '{grid.compare.metric}'.{hint}")
    if grid.compare.questions != "variants" and not factors:
        raise source.error(
            ("compare", "questions"),
            f"`{grid.compare.questions}` asks for effects of factors, and the grid has no `factors:`.",
        )
    if grid.compare.trouble:
        key, message = grid.compare.trouble
        raise source.error(("compare", key), message)
    if len(variants) * len(grid.seeds) > _MOST_TRIALS:
        raise source.error(("factors",), f"the grid has more than {_MOST_TRIALS:,} trials.")
    options = {name: getattr(grid, name) for name in StudyOptions.model_fields}
    options["compare"] = _questions_of_design(grid, source)
    options["dataset"] = _resolved_path(grid.dataset, Path(source.file).parent)
    if needs_images:
        _require_images(grid.dataset, options["dataset"], source)
    return Study(
        name=grid.study,
        variants=tuple(variants),
        factors={f.setting: tuple(label for label, _, _ in f.levels) for f in factors},
        baseline=baseline,
        tune=read_tune(grid.tune, variants, [f.setting for f in factors], grid, known),
        **options,
    )


def _validated(source: LocatedYaml) -> tuple[GridFile, AblateSettings | None]:
    """Validate a grid file; the parts of the user's model under ``ablate`` have a schema of their own."""
    given = source.data.get("ablate")
    if not isinstance(given, dict):
        return validate(GridFile, source.data, source, {}, ()), None
    ablate = validate(AblateSettings, given, source, {}, ("ablate",))
    others = {key: value for key, value in source.data.items() if key != "ablate"}
    return validate(GridFile, others, source, {}, ()), ablate


def _cells(
    grid: GridFile,
    ablate: AblateSettings | None,
    parts: list[Part],
    factors: list[Factor],
    source: LocatedYaml,
) -> dict[Combination, str]:
    """Name the combinations of the factors' levels that become variants."""
    if grid.design == "fractional":
        if grid.ablate or ablate:
            raise source.error(
                ("design",),
                "`design: fractional` and `ablate` both choose the variants; remove one of the two.",
            )
        return fractional_cells(factors, grid.factors, source)
    if grid.ablate:
        return ablation_cells(factors, grid.factors, grid.ablate, source)
    _refuse_too_many(grid, ablate, parts, factors, source)
    return part_cells(ablate, parts, factors)


def _refuse_too_many(
    grid: GridFile,
    ablate: AblateSettings | None,
    parts: list[Part],
    factors: list[Factor],
    source: LocatedYaml,
) -> None:
    """Refuse more combinations than a grid may have, before they are made one by one."""
    crossed = [*parts, *factors] if ablate and "all" in ablate.how else factors
    combinations = prod(len(factor.levels) for factor in crossed)
    if combinations * len(grid.seeds) > _MOST_TRIALS:
        parts_alone = crossed is not factors and 2 ** len(parts) * len(grid.seeds) > _MOST_TRIALS
        raise source.error(
            ("ablate", "how") if parts_alone else ("factors",),
            f"the grid has {combinations:,} combinations, and so more than {_MOST_TRIALS:,} trials."
            + (" Write `how: leave_one_out`." if parts_alone else ""),
        )


def _questions_of_design(grid: GridFile, source: LocatedYaml) -> CompareSettings:
    """Return how to compare; a fractional design asks for effects, whose variants are but a means to them."""
    compare = grid.compare
    if grid.design == "full" or compare.questions == "effects":
        return compare
    if "questions" in compare.model_fields_set:
        raise source.error(
            ("compare", "questions"),
            f"`design: fractional` estimates effects of factors, and `{compare.questions}` asks for "
            "comparisons of single variants. Write `questions: effects`, or remove `questions`.",
        )
    return compare.model_copy(update={"questions": "effects"})


def _metrics(variants: list[Variant]) -> list[str]:
    """Return the columns of the results that can be compared."""
    further = {metric_name(m): None for variant in variants for m in variant.training.metrics}
    measured = [
        f"{part}_{name}" for part in ("test", "val", "train") for name in ("accuracy", "loss", *further)
    ]
    return [*measured, "gap_accuracy", "gap_loss"]


def _factor(name: str, levels: Any, grid: GridFile, known: Known, source: LocatedYaml) -> Factor:
    path: KeyPath = ("factors", name)
    setting = known.setting(name, path)
    for section, settings in (("model", grid.model), ("training", grid.training)):
        if setting in settings:
            raise source.error(path, f"'{setting}' is also set under `{section}:`; remove one of the two.")
    if isinstance(levels, dict):
        labelled_levels = [(str(k), *known.change(setting, value, (*path, k))) for k, value in levels.items()]
    elif isinstance(levels, list):
        changes = [known.change(setting, value, (*path, i)) for i, value in enumerate(levels)]
        labelled_levels = [(yaml_text(value), value, place) for value, place in changes]
    else:
        raise source.error(
            path, "expected a list of levels, like [0, 0.2], or a mapping of labels to levels."
        )
    if len(labelled_levels) < 2:
        raise source.error(path, f"a factor needs at least two levels; this one has {len(labelled_levels)}.")
    earlier_values: list[Any] = []
    for _, value, place in labelled_levels:
        if value in earlier_values:
            raise source.error(place, f"duplicate level {yaml_text(value)}.")
        earlier_values.append(value)
    return Factor(setting, tuple(labelled_levels))


def _crossed_variants(
    cells: dict[Combination, str], factors: list[Factor], base: dict[str, Change], known: Known
) -> list[Variant]:
    """Return the variants for these combinations of the factors' levels."""
    variants = []
    for cell, name in cells.items():
        chosen = [factor.levels[level] for factor, level in zip(factors, cell, strict=True)]
        changes = {f.setting: (value, path) for f, (_, value, path) in zip(factors, chosen, strict=True)}
        levels = {f.setting: label for f, (label, _, _) in zip(factors, chosen, strict=True)}
        variants.append(known.variant(name, base | changes, levels, True))
    return variants


def _named_variants(
    grid: GridFile, factors: list[Factor], base: dict[str, Change], known: Known, source: LocatedYaml
) -> list[Variant]:
    """Return the variants under `variants:`, each the plain variant with some settings changed."""
    # Of a user's model, it is the one as it is.
    first = [factor.levels[factor.full if isinstance(factor, Part) else 0] for factor in factors]
    plain = base | {f.setting: level[1:] for f, level in zip(factors, first, strict=True)}
    variants = []
    for name, settings in grid.variants.items():
        path: KeyPath = ("variants", name)
        if not name.strip() or len(name) > 100:
            raise source.error(path, "the name of a variant must have between 1 and 100 characters.")
        named = [(known.setting(key, (*path, key)), key, value) for key, value in settings.items()]
        _reject_repeated(path, [(key, setting) for setting, key, _ in named], source)
        changes = {setting: known.change(setting, value, (*path, key)) for setting, key, value in named}
        levels = {f.setting: _level_label(f, (plain | changes)[f.setting][0]) for f in factors}
        variants.append(known.variant(name, plain | changes, levels, False))
    return variants


def _reject_repeated(path: KeyPath, keys: Sequence[tuple[str, str]], source: LocatedYaml) -> None:
    """Refuse two keys of one setting, like ``dropout`` and ``model.dropout``."""
    first: dict[str, str] = {}
    for key, setting in keys:
        if first.setdefault(setting, key) != key:
            raise source.error(
                (*path, key), f"'{first[setting]}' and '{key}' are one setting; remove one of them."
            )


def _reject_duplicates(variants: list[Variant], grid: GridFile, source: LocatedYaml) -> None:
    names: set[str] = set()
    settings: dict[str, str] = {}
    for variant in variants:
        path: KeyPath = ("variants", variant.name) if variant.name in grid.variants else ("factors",)
        if variant.name in names:
            raise source.error(path, f"two variants are named '{variant.name}'.")
        names.add(variant.name)
        training = variant.training.model_dump(mode="json", context=CONTENT)
        identity = [variant.model.family, variant.model.effective, training]
        first_name = settings.setdefault(json.dumps(identity, sort_keys=True), variant.name)
        if first_name != variant.name:
            raise source.error(
                path, f"'{variant.name}' duplicates '{first_name}': all of their settings are the same."
            )


def _reject_two_noises(grid: GridFile, source: LocatedYaml) -> None:
    """Refuse label noise that is fixed for the dataset and set elsewhere, too."""
    sections: list[tuple[KeyPath, dict[str, Any]]] = [
        (("training",), grid.training),
        (("factors",), grid.factors),
    ]
    sections += [(("variants", name), settings) for name, settings in grid.variants.items()]
    for path, settings in sections if grid.dataset.label_noise else ():
        for key in settings:
            if key.rpartition(".")[2] == "label_noise":
                raise source.error(
                    (*path, key), "'label_noise' is also set under `dataset:`; remove one of the two."
                )


def _resolved_path(dataset: DatasetSettings, folder: Path) -> DatasetSettings:
    """Return the dataset with an absolute path; in a grid file, paths are relative to the file."""
    if dataset.path is None:
        return dataset.model_copy(update={"path": str(folder.absolute())}) if dataset.loader else dataset
    return dataset.model_copy(update={"path": str(written_here(dataset.path, folder).absolute())})


def _require_images(given: DatasetSettings, resolved: DatasetSettings, source: LocatedYaml) -> None:
    """Refuse images or a loader that do not exist; a hub may create its folder itself."""
    if given.loader:
        try:
            load_object(given.loader, Path(resolved.path or "."), "loader")
        except AblationError as error:
            raise source.error(("dataset", "loader"), str(error)) from None
    if given.path is None or resolved.path is None or given.name in ("own", "tfds", "huggingface"):
        return
    if given.name not in DATASETS:  # what a plug-in takes for a path is its own matter
        return
    path = Path(resolved.path)
    if not path.exists():
        is_relative = not Path(given.path).expanduser().is_absolute()
        relative = f", relative to the grid file: {path}" if is_relative else ""
        parent = next(folder for folder in path.parents if folder.exists())
        beside = did_you_mean(path.name, [p.name for p in parent.iterdir()]) if parent == path.parent else ""
        hint = beside if "Did you mean" in beside else ""
        if not given.path.isprintable():  # as the tab that "data\train" becomes
            hint = f" {BACKSLASH}"
        raise source.error(("dataset", "path"), f"there is no '{given.path}'{relative}.{hint}")


def _level_label(factor: Factor, value: Any) -> str:
    return next((label for label, level, _ in factor.levels if level == value), yaml_text(value))
