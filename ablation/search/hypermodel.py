"""A user's own keras-tuner HyperModel: found, asked for its hyperparameters, and built with their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner

from ablation.errors import AblationError
from ablation.randomness import Randomness
from ablation.search.settings import Parameter, Search
from ablation.settings import HyperModelSettings
from ablation.training import configure_tensorflow
from ablation.user_code import in_a_line, load_object

if TYPE_CHECKING:
    import keras


def with_hypermodel(search: Search, name: str, folder: Path) -> Search:
    """Return the search over what a HyperModel names, from the setting that its defaults are.

    Args:
        search: What the grid file describes.
        name: ``module:object``.
        folder: Where the module is looked for first.

    Raises:
        AblationError: There is no such object, or it raises an error.
    """
    configure_tensorflow(search.study.threads)  # to name its hyperparameters, it builds a model
    hypermodel, source = load_hypermodel(name, folder)
    found = discovered(hypermodel)
    space = {p.name: _parameter(p) for p in found.space if _is_open(p)}
    if not space:
        raise AblationError(f"{name} names no hyperparameters to search.")
    model = HyperModelSettings(hypermodel=name, folder=str(folder), source=source, values=dict(found.values))
    baseline = search.baseline.model_copy(
        update={"name": "defaults", "model": model, "levels": {}, "crossed": False}
    )
    study = search.study.model_copy(update={"variants": (baseline,), "factors": {}, "baseline": "defaults"})
    settings = search.settings.model_copy(update={"space": space})
    return search.model_copy(update={"study": study, "settings": settings})


def load_hypermodel(name: str, folder: Path) -> tuple[Any, str]:
    """Return a HyperModel and a hash of the file that it is from.

    A class is made an object of; a function is what keras-tuner takes it for, a ``build``.

    Raises:
        AblationError: There is none of that name.
    """
    found, source = load_object(name, folder, "HyperModel")
    if not callable(found) and not hasattr(found, "build"):
        raise AblationError(f"'{name}' is neither a HyperModel nor a function that builds a model.")
    if isinstance(found, type):
        found = found()
    return (found if hasattr(found, "build") else _Function(found)), source


def discovered(hypermodel: Any) -> Any:
    """Return the hyperparameters that a HyperModel names when it builds, at their defaults.

    Raises:
        AblationError: It raises an error.
    """
    found = keras_tuner.HyperParameters()
    try:
        hypermodel.build(found)
    except Exception as error:
        raise AblationError(f"the HyperModel cannot be built: {in_a_line(error)}") from error
    return found


def build_hypermodel(settings: HyperModelSettings, randomness: Randomness) -> keras.Model:
    """Build a user's model with the proposed values; its initial weights follow the trial's seed."""
    import keras

    hypermodel, _ = load_hypermodel(settings.hypermodel, Path(settings.folder))
    found = discovered_space(hypermodel, settings.values)
    keras.utils.clear_session()
    keras.utils.set_random_seed(randomness.derive("init", "hypermodel"))
    return hypermodel.build(found)


def discovered_space(hypermodel: Any, values: dict[str, Any]) -> Any:
    """Return a HyperModel's hyperparameters with these values."""
    found = discovered(hypermodel).copy()
    found.values = dict(found.values) | values
    return found


class _Function:
    """A ``build`` function as a HyperModel."""

    def __init__(self, build: Any) -> None:
        self.build = build


def _is_open(found: Any) -> bool:
    kinds = keras_tuner.engine.hyperparameters
    if isinstance(found, kinds.Choice):
        return len(found.values) > 1
    return not isinstance(found, kinds.Fixed)


def _parameter(found: Any) -> Parameter:
    """Return one of keras-tuner's hyperparameters as tables and figures show it."""
    kinds = keras_tuner.engine.hyperparameters
    when = {c.name: c.values[0] for c in getattr(found, "conditions", []) if getattr(c, "values", None)}
    if isinstance(found, kinds.Boolean):
        return Parameter(choice=(False, True), when=when)
    if isinstance(found, kinds.Choice):
        return Parameter(choice=tuple(found.values), when=when)
    log = found.sampling in ("log", "reverse_log")
    return Parameter(range=(found.min_value, found.max_value), log=log, when=when)
