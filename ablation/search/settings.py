"""The description of a search in the grid file: a space of settings, a tuner, a budget, a confirmation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ablation.errors import AblationError, did_you_mean
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import Count
from ablation.grid.grid_file import read_study
from ablation.grid.key_places import why_not_varied
from ablation.grid.schema_errors import explain, validate
from ablation.grid.settings import HyperModelSettings, TrainingSettings, metric_name
from ablation.grid.settings_group import Settings
from ablation.grid.study import Seeds, Study, Variant
from ablation.grid.value_text import yaml_text
from ablation.grid.variants import Known
from ablation.grid.yaml_positions import KeyPath, LocatedYaml, read_yaml
from ablation.models.user_model import refuse_overruled
from ablation.search.hypermodel import hypermodel_space
from ablation.search.space import Parameter

Tuner = Literal["random", "grid", "bayesian", "hyperband"]
_TRIALS = 20


class Confirmation(Settings):
    """How the best proposals are trained again and compared with the baseline."""

    best: Count = 3
    """The number of proposals to confirm: the best ones of the search."""
    seeds: Annotated[int, Field(ge=2, le=1000)] = 5
    """The number of seeds for the confirmation; the search has used none of them."""


class SearchSettings(Settings):
    """What is searched, how it is searched, and how the best settings are confirmed."""

    space: dict[str, Parameter] = {}
    """The parameters of the search, each under the name of its setting."""
    hypermodel: str | None = None
    """Used instead of a space: ``module:object``, your own keras-tuner ``HyperModel`` or ``build`` function,
    which declares its hyperparameters itself."""
    tuner: Tuner = "random"
    """The keras-tuner oracle that makes the proposals. A proposal is one combination of settings."""
    trials: Count | None = None
    """The number of proposals to try. The default is 20 or, for ``grid``, all combinations. It cannot be
    given for ``hyperband``, which sets the number itself."""
    seeds: Seeds = (0, 1)
    """The seeds that every proposal is trained with."""
    objective: str = "val_accuracy"
    """The measure to optimise, ``val_accuracy``, ``val_loss`` or one of the metrics of ``training``, such as
    ``val_f1_score``: its value on the validation images at the end of training, averaged over the seeds."""
    direction: Literal["higher", "lower"] | None = None
    """Whether higher or lower values of the objective are better. It is needed for a metric whose name does
    not say so, such as your own."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """The seed of the oracle."""
    parallel: Count = 2
    """The number of proposals that ``bayesian`` makes before it receives their scores. It is part of the
    search and does not depend on the number of workers, so that a machine with more cores finds the same
    settings."""
    factor: Annotated[int, Field(ge=2)] = 3
    """For ``hyperband``: the factor by which each rung is narrowed."""
    iterations: Count = 1
    """For ``hyperband``: how many times the whole procedure is repeated."""
    confirm: Confirmation = Confirmation()
    """How the best proposals are confirmed."""

    @property
    def objective_name(self) -> str:
        """The objective in words."""
        return self.objective.replace("val_", "validation ", 1).replace("_", " ")

    @property
    def maximise(self) -> bool:
        """Whether a higher objective is the better one."""
        return self.judged.higher_is_better

    @property
    def in_points(self) -> bool:
        """Whether the objective is a share, whose differences are given in percentage points."""
        return self.judged.in_points

    @property
    def judged(self) -> CompareSettings:
        """How proposals are compared on the objective: without verdicts, for its values chose among them."""
        return CompareSettings(metric=self.objective, direction=self.direction, questions="effects")

    @property
    def most_trials(self) -> int | None:
        """The largest number of proposals to try; None if the tuner decides when to end."""
        return None if self.tuner in ("hyperband", "grid") and not self.trials else self.trials or _TRIALS


class Search(Settings):
    """A validated search: the study that it starts from, and the section that describes it.

    Attributes:
        study: The study of the grid file. The search starts from its baseline, and the confirmation compares
            with the baseline as the study declares.
        settings: The section ``search`` of the grid file.
    """

    study: Study
    settings: SearchSettings

    @classmethod
    def from_yaml(cls, path: str | Path) -> Search:
        """Read and validate a grid file with a `search:` section.

        Raises:
            GridError: The file is not valid; the message says where, and what was expected.
        """
        return read_search(Path(path))

    @property
    def baseline(self) -> Variant:
        """The variant that the search starts from."""
        return next(v for v in self.study.variants if v.name == self.study.baseline)

    def with_space(self, space: dict[str, Parameter]) -> Search:
        """Return the search over these parameters."""
        return self.model_copy(update={"settings": self.settings.model_copy(update={"space": space})})

    def variant(self, name: str, values: dict[str, Any], epochs: int | None = None) -> Variant:
        """Return the baseline with some settings changed.

        Args:
            name: The name of the new variant.
            values: The changed settings, or all hyperparameters that a HyperModel uses.
            epochs: The number of epochs; by default that of the baseline, or of ``values``.

        Raises:
            ValidationError: The changed settings are not valid.
        """
        changes = values | ({"epochs": epochs} if epochs else {})
        model, training = self.baseline.model, self.baseline.training
        if isinstance(model, HyperModelSettings):
            changes = {"values": values} | ({"epochs": epochs} if epochs else {})
        parts = []
        for part, keys in ((model, type(model).model_fields), (training, TrainingSettings.model_fields)):
            settings = part.model_dump(mode="json") | {k: v for k, v in changes.items() if k in keys}
            parts.append(type(part).model_validate_json(json.dumps(settings), strict=True))
        levels = {key: yaml_text(value) for key, value in values.items()}
        return Variant(name=name, model=parts[0], training=parts[1], levels=levels, crossed=False)


def read_search(file: Path, needs_images: bool = True) -> Search:
    """Read and validate the grid file of a search.

    Args:
        file: The grid file.
        needs_images: Whether the images that it names have to exist.

    Raises:
        GridError: The file is not valid; the message says where, and what was expected.
    """
    study, source = read_study(file, needs_images), read_yaml(file)
    if study.draws_test_images:
        raise source.error(
            ("vary",),
            "a search needs the same test images for every seed, or it would choose settings on images that "
            "its confirmation tests; remove test from vary.",
        )
    section = source.data.get("search")
    if not isinstance(section, dict) or bool(section.get("space")) == bool(section.get("hypermodel")):
        raise source.error(
            ("search",),
            "a search needs a `search:` section with either a `space:` of settings or a `hypermodel:`.",
        )
    space = section.get("space", {})
    if not isinstance(space, dict):
        raise source.error(("search", "space"), "expected a mapping of settings to ranges or choices.")
    known = Known.of(source.data.get("model", {}), source)
    given = section | {"space": {key: _spelled_out(key, value, known) for key, value in space.items()}}
    settings = validate(SearchSettings, given, source, {}, ("search",))
    search = Search(study=study, settings=settings)
    if settings.hypermodel:
        try:
            search = _of_hypermodel(search, settings.hypermodel, file.absolute().parent)
        except AblationError as error:
            raise source.error(("search", "hypermodel"), str(error)) from None
    else:
        _check_space(search, source)
    _check_objective(search, source)
    if settings.tuner == "hyperband" and settings.trials:
        raise source.error(
            ("search", "trials"),
            "hyperband sets the number of trials itself; set `factor` or `iterations` instead.",
        )
    if settings.tuner == "hyperband" and "epochs" in space:
        raise source.error(
            ("search", "space", "epochs"),
            "hyperband sets the number of epochs itself, up to the `epochs` of `training`.",
        )
    return search


def _of_hypermodel(search: Search, name: str, folder: Path) -> Search:
    """Return the search over the hyperparameters of a HyperModel, which starts from their defaults."""
    model, space = hypermodel_space(name, folder)
    changes = {"name": "defaults", "model": model, "levels": {}, "crossed": False}
    baseline = search.baseline.model_copy(update=changes)
    refuse_overruled(model, (1, 1, 1), 1, baseline.training)  # it takes neither
    study = search.study.model_copy(update={"variants": (baseline,), "factors": {}, "baseline": "defaults"})
    return search.model_copy(update={"study": study}).with_space(space)


def _spelled_out(name: str, value: Any, known: Known) -> Any:
    """Return a parameter in full: a list becomes a choice, and the components in it are looked up."""
    parameter = {"choice": value} if isinstance(value, list) else value
    if not isinstance(parameter, dict) or not isinstance(parameter.get("choice"), list):
        return parameter
    path = ("search", "space", name)
    choice = [known.change(name, choice, (*path, i))[0] for i, choice in enumerate(parameter["choice"])]
    return parameter | {"choice": choice}


def _check_space(search: Search, source: LocatedYaml) -> None:
    """Refuse parameters that are not settings, values that are not valid, and conditions that never hold."""
    space = search.settings.space
    valid = {*type(search.baseline.model).model_fields, *TrainingSettings.model_fields} - {"family"}
    for name, parameter in space.items():
        path: KeyPath = ("search", "space", name)
        if name not in valid:
            hint = f"unknown setting '{name}'.{did_you_mean(name, valid)}"
            raise source.error(path, why_not_varied(name) or hint)
        for value in parameter.extremes:
            try:
                search.variant("", {name: value})
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
        raise source.error(("search", "space", circle[0], "when"), "these conditions are circular.")


def _check_objective(search: Search, source: LocatedYaml) -> None:
    """Refuse an objective that is not measured in every proposal, or whose direction is not known."""
    metrics = [search.baseline.training.metrics]
    if "metrics" in search.settings.space:
        metrics = [
            search.variant("", {"metrics": v}).training.metrics
            for v in search.settings.space["metrics"].extremes
        ]
    measured = set.intersection(*({f"val_{metric_name(m)}" for m in chosen} for chosen in metrics))
    objective, valid = search.settings.objective, {"val_accuracy", "val_loss", *measured}
    if objective not in valid:
        hint = did_you_mean(objective, valid)
        message = f"'{objective}' is not measured on the validation images of every proposal.{hint}"
        raise source.error(("search", "objective"), message)
    if search.settings.judged.direction_trouble:
        key = "direction" if search.settings.direction else "objective"
        raise source.error(("search", key), search.settings.judged.direction_trouble)
