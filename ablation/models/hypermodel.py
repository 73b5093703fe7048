"""A user's keras-tuner HyperModel: loading it, asking for its hyperparameters, and building its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.seeding import Randomness
from ablation.grid.settings import HyperModelSettings
from ablation.grid.user_code import load_object

if TYPE_CHECKING:
    import keras


def load_hypermodel(name: str, folder: Path) -> tuple[Any, str]:
    """Return a HyperModel and a hash of the file that defines it.

    A class is instantiated; a function is taken as the ``build`` method of a HyperModel, as in keras-tuner.

    Args:
        name: ``module:object``.
        folder: The folder where the module is looked for first.

    Raises:
        AblationError: There is no such object, or it is neither a HyperModel nor a function.
    """
    hypermodel, source = load_object(name, folder, "HyperModel")
    if not callable(hypermodel) and not hasattr(hypermodel, "build"):
        raise AblationError(f"'{name}' is neither a HyperModel nor a function that builds a model.")
    if isinstance(hypermodel, type):
        hypermodel = hypermodel()
    return (hypermodel if hasattr(hypermodel, "build") else _FunctionHyperModel(hypermodel)), source


def build_hypermodel(settings: HyperModelSettings, randomness: Randomness) -> keras.Model:
    """Build a user's model with the proposed values; its initial weights follow the trial's seed."""
    import keras

    hypermodel, _ = load_hypermodel(settings.hypermodel, Path(settings.folder))
    hyperparameters = hyperparameters_with(hypermodel, settings.values)
    keras.utils.clear_session()
    keras.utils.set_random_seed(randomness.derive("init", "hypermodel"))
    return hypermodel.build(hyperparameters)


def hyperparameters_with(hypermodel: Any, values: dict[str, Any]) -> Any:
    """Return hyperparameters of these values, to build a HyperModel with; all others get their defaults.

    They are empty before the build, so that after it they contain those that it used, and no others.
    """
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = dict(values)
    if declare := getattr(hypermodel, "declare_hyperparameters", None):
        declare(hyperparameters)
    return hyperparameters


class _FunctionHyperModel:
    """A ``build`` function as a HyperModel."""

    def __init__(self, build: Any) -> None:
        self.build = build
