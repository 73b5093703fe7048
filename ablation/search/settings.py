"""The description of a search in the grid file: a space of settings, a tuner, a budget, a confirmation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ablation.errors import AblationError
from ablation.grid.dataset_settings import Count
from ablation.grid.grid_file import read_study
from ablation.grid.overrides import Override, overrides_of
from ablation.grid.schema_errors import validate
from ablation.grid.search_space import Parameter, SpaceSettings
from ablation.grid.settings import HyperModelSettings
from ablation.grid.settings_group import Settings
from ablation.grid.space_checks import (
    changed,
    check_objective,
    check_sampler,
    check_space,
    spelled_out,
)
from ablation.grid.study import Seeds, Study, Variant
from ablation.grid.tuners import SAMPLERS, Pruner, Tuner, proposer_name
from ablation.grid.value_text import counted, yaml_text
from ablation.grid.variants import Known
from ablation.grid.yaml_positions import LocatedYaml, read_yaml
from ablation.models.user_model import refuse_overruled
from ablation.search.hypermodel import hypermodel_space

_TRIALS = 20


class Confirmation(Settings):
    """How the best proposals are trained again and compared with the baseline."""

    best: Count = 3
    """The number of proposals to confirm: the best ones of the search."""
    seeds: Annotated[int, Field(ge=2, le=1000)] = 5
    """The number of seeds for the confirmation; the search has used none of them."""


class SearchSettings(SpaceSettings):
    """What is searched, how it is searched, and how the best settings are confirmed."""

    hypermodel: str | None = None
    """Used instead of a space: ``module:object``, your own keras-tuner ``HyperModel`` or ``build`` function,
    which declares its hyperparameters itself."""
    tuner: Tuner = "random"
    """What makes the proposals: an oracle of keras-tuner, or Optuna's sampler ``tpe`` or ``cma_es``, which
    need the extra ``optuna``. A proposal is one combination of settings."""
    pruner: Pruner | None = None
    """For ``tpe`` and ``cma_es``: Optuna's pruner, which stops proposals early that are behind others after
    the same number of epochs."""
    trials: Count | None = None
    """The number of proposals to try. The default is 20 or, for ``grid``, all combinations. It cannot be
    given for ``hyperband``, which sets the number itself. With a pruner, a proposal that goes on from an
    earlier one is not counted again."""
    seeds: Seeds = (0, 1)
    """The seeds that every proposal is trained with."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """The seed of the oracle or the sampler."""
    parallel: Count = 2
    """The number of proposals that ``bayesian``, ``tpe`` and ``cma_es`` make before they receive their
    scores. It is part of the search and does not depend on the number of workers, so that a machine with more
    cores finds the same settings."""
    factor: Annotated[int, Field(ge=2)] = 3
    """For ``hyperband`` and pruners: the factor between the epochs of a rung and of the next one, by which
    successive halving and Hyperband also narrow each rung."""
    iterations: Count = 1
    """For the tuner ``hyperband``: how many times the whole procedure is repeated."""
    confirm: Confirmation = Confirmation()
    """How the best proposals are confirmed."""

    @property
    def most_trials(self) -> int | None:
        """The largest number of proposals to try; None if the tuner decides when to end."""
        return None if self.tuner in ("hyperband", "grid") and not self.trials else self.trials or _TRIALS

    @property
    def has_rungs(self) -> bool:
        """Whether proposals are first trained for a part of the epochs, and some then go on."""
        return self.tuner == "hyperband" or self.pruner is not None

    @property
    def proposer_name(self) -> str:
        """What makes the proposals, in words."""
        return proposer_name(self.tuner, self.pruner)


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
    def from_yaml(cls, path: str | Path, settings: Mapping[str, Any] | None = None) -> Search:
        """Read and validate a grid file with a `search:` section.

        Args:
            path: The grid file.
            settings: Settings to put in the place of those of the file, like ``{"training.epochs": 5}``.

        Raises:
            GridError: The file is not valid; the message says where, and what was expected.
        """
        return read_search(Path(path), overrides=overrides_of(settings))

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
        changes = {"values": values} if isinstance(self.baseline.model, HyperModelSettings) else values
        variant = changed(self.baseline, name, changes | ({"epochs": epochs} if epochs else {}))
        levels = {key: yaml_text(value) for key, value in values.items()}
        return variant.model_copy(update={"levels": levels})


def read_search(file: Path, needs_images: bool = True, overrides: Sequence[Override] = ()) -> Search:
    """Read and validate the grid file of a search.

    Args:
        file: The grid file.
        needs_images: Whether the images that it names have to exist.
        overrides: Settings to put in the place of those of the file.

    Raises:
        GridError: The file is not valid; the message says where, and what was expected.
    """
    study, source = read_study(file, needs_images, overrides), read_yaml(file, overrides)
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
    given = section | {"space": spelled_out("search", space, known)}
    settings = validate(SearchSettings, given, source, {}, ("search",))
    search = Search(study=study, settings=settings)
    if settings.hypermodel:
        try:
            search = _of_hypermodel(search, settings.hypermodel, file.absolute().parent)
        except AblationError as error:
            raise source.error(("search", "hypermodel"), str(error)) from None
    else:
        check_space("search", settings.space, search.baseline, source)
    check_objective("search", search.settings, [search.baseline], source)
    if settings.tuner == "hyperband" and settings.trials:
        raise source.error(
            ("search", "trials"),
            "hyperband sets the number of trials itself; set `factor` or `iterations` instead.",
        )
    if settings.has_rungs and "epochs" in space:
        raise source.error(
            ("search", "space", "epochs"),
            f"{settings.pruner or settings.tuner} sets the number of epochs itself, up to the `epochs` of "
            "`training`.",
        )
    _check_optuna(search, source)
    return search


def _check_optuna(search: Search, source: LocatedYaml) -> None:
    """Refuse what Optuna cannot search or prune.

    Raises:
        GridError: The tuner or the pruner does not fit the rest of the search.
    """
    settings, epochs = search.settings, search.baseline.training.epochs
    if settings.pruner and settings.tuner not in SAMPLERS:
        raise source.error(
            ("search", "pruner"),
            f"a pruner needs a sampler of Optuna, `tuner: tpe` or `tuner: cma_es`, not {settings.tuner}.",
        )
    if settings.hypermodel and settings.tuner in SAMPLERS:
        raise source.error(
            ("search", "tuner"),
            f"{settings.tuner} cannot search a HyperModel, whose hyperparameters are those of keras-tuner; "
            "use random, grid, bayesian or hyperband.",
        )
    if settings.pruner and epochs < settings.factor:
        raise source.error(
            ("search", "pruner"),
            f"with {counted(epochs, 'epoch')} and factor {settings.factor}, there is no shorter training "
            "after which proposals could be compared. Raise `training.epochs`, or remove the pruner.",
        )
    check_sampler("search", settings.tuner, settings.space, source)


def _of_hypermodel(search: Search, name: str, folder: Path) -> Search:
    """Return the search over the hyperparameters of a HyperModel, which starts from their defaults."""
    model, space = hypermodel_space(name, folder)
    changes = {"name": "defaults", "model": model, "levels": {}, "crossed": False}
    baseline = search.baseline.model_copy(update=changes)
    refuse_overruled(model, (1, 1, 1), 1, baseline.training)  # it takes neither
    study = search.study.model_copy(update={"variants": (baseline,), "factors": {}, "baseline": "defaults"})
    return search.model_copy(update={"study": study}).with_space(space)
