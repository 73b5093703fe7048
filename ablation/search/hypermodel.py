"""The search space of a user's HyperModel: the hyperparameters that it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.settings import HyperModelSettings
from ablation.models.hypermodel import default_hyperparameters, load_hypermodel
from ablation.search.space import Parameter
from ablation.tensorflow_setup import configure_tensorflow


def hypermodel_space(
    name: str, folder: Path, threads: int
) -> tuple[HyperModelSettings, dict[str, Parameter]]:
    """Return a HyperModel at its defaults, and the hyperparameters that it leaves open.

    Args:
        name: ``module:object``.
        folder: The folder where the module is looked for first.
        threads: The number of threads of TensorFlow in this process, which builds the model once.

    Raises:
        AblationError: There is no such object, it raises an error, or it declares no hyperparameters.
    """
    configure_tensorflow(threads)
    hypermodel, source = load_hypermodel(name, folder)
    defaults = default_hyperparameters(hypermodel)
    space = {p.name: _parameter(p) for p in defaults.space if _is_open(p)}
    if not space:
        raise AblationError(f"{name} declares no hyperparameters to search.")
    values = dict(defaults.values)
    return HyperModelSettings(hypermodel=name, folder=str(folder), source=source, values=values), space


def _is_open(hyperparameter: Any) -> bool:
    from keras_tuner.engine import hyperparameters as kinds

    if isinstance(hyperparameter, kinds.Choice):
        return len(hyperparameter.values) > 1
    return not isinstance(hyperparameter, kinds.Fixed)


def _parameter(hyperparameter: Any) -> Parameter:
    """Return a hyperparameter of keras-tuner as a parameter, for tables and figures."""
    from keras_tuner.engine import hyperparameters as kinds

    when = {
        c.name: c.values[0] for c in getattr(hyperparameter, "conditions", []) if getattr(c, "values", None)
    }
    if isinstance(hyperparameter, kinds.Boolean):
        return Parameter(choice=(False, True), when=when)
    if isinstance(hyperparameter, kinds.Choice):
        return Parameter(choice=tuple(hyperparameter.values), when=when)
    log = hyperparameter.sampling in ("log", "reverse_log")
    return Parameter(range=(hyperparameter.min_value, hyperparameter.max_value), log=log, when=when)
