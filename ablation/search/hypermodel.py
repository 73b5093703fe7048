"""The search space of a user's HyperModel: the hyperparameters that it declares while it builds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.search_space import Parameter
from ablation.grid.settings import HyperModelSettings
from ablation.grid.user_code import error_summary
from ablation.grid.value_text import yaml_text
from ablation.models.hypermodel import hyperparameters_with, load_hypermodel
from ablation.tensorflow_setup import quiet_stderr, require_keras, without_computing


def hypermodel_space(name: str, folder: Path) -> tuple[HyperModelSettings, dict[str, Parameter]]:
    """Return a HyperModel at its defaults, and the hyperparameters that it leaves open.

    Args:
        name: ``module:object``.
        folder: The folder where the module is looked for first.

    Raises:
        AblationError: There is no such object, it raises an error, or it declares no hyperparameters.
    """
    with quiet_stderr():
        require_keras()
        hypermodel, source = load_hypermodel(name, folder)
        known, defaults = declared_hyperparameters(hypermodel)
    space = open_parameters(known)
    if not space:
        raise AblationError(f"{name} declares no hyperparameters to search.")
    return HyperModelSettings(hypermodel=name, folder=str(folder), source=source, values=defaults), space


def declared_hyperparameters(hypermodel: Any) -> tuple[Any, dict[str, Any]]:
    """Return what a search knows before its first proposal, and the values that a build at defaults uses.

    As keras-tuner does, this builds the model at its defaults, and once for each conditional scope that no
    earlier build was in. Hyperparameters that it meets only later, such as those of a further layer in a
    loop, are added to the search when a proposal meets them.

    Raises:
        AblationError: Building the model raised an error, or two hyperparameters share a name.
    """
    known = hyperparameters_with(hypermodel, {})
    scopes: list[Any] = []  # each a list of conditions
    to_build: list[dict[str, Any]] = [{}]
    defaults: dict[str, Any] | None = None
    while to_build:
        values = to_build.pop(0)
        built = hyperparameters_with(hypermodel, values)
        try:
            _build(hypermodel, built)
        except Exception as error:
            chosen = ", ".join(f"{name} = {yaml_text(value)}" for name, value in values.items())
            where = f" with {chosen}" if chosen else ""
            raise AblationError(f"the HyperModel cannot be built{where}: {error_summary(error)}") from error
        defaults = used_values(built) if defaults is None else defaults
        known.merge(built, overwrite=False)
        _refuse_shared_names(known)
        scopes += built.active_scopes
        for scope in built.inactive_scopes:
            if scope not in scopes:
                scopes.append(scope)
                to_build.append({condition.name: condition.values[0] for condition in scope})
    return known, defaults or {}


def complete(hypermodel: Any, trial: Any) -> dict[str, Any]:
    """Build a model as a trial of keras-tuner proposes, and return the values that the build used.

    Hyperparameters that no earlier build has met are added to the trial at their defaults, as keras-tuner
    does. A model that cannot be built is left to the training, which reports why.

    Raises:
        AblationError: Two hyperparameters share a name.
    """
    built = hyperparameters_with(hypermodel, trial.hyperparameters.values)
    try:
        _build(hypermodel, built)
    except Exception:
        return {name: v for name, v in trial.hyperparameters.values.items() if not name.startswith("tuner/")}
    trial.hyperparameters.merge(built, overwrite=False)
    _refuse_shared_names(trial.hyperparameters)
    return used_values(built)


def _build(hypermodel: Any, hyperparameters: Any) -> None:
    import keras

    keras.utils.clear_session()  # Keras remembers every model that was built
    without_computing(partial(hypermodel.build, hyperparameters))


def used_values(built: Any) -> dict[str, Any]:
    """Return the values that a build used, by name."""
    return {p.name: built.values[p.name] for p in built.space if built.is_active(p)}


def open_parameters(hyperparameters: Any) -> dict[str, Parameter]:
    """Return the hyperparameters that have more than one value, for tables and figures."""
    return {p.name: _parameter(p) for p in hyperparameters.space if _is_open(p)}


def _refuse_shared_names(hyperparameters: Any) -> None:
    names = [hyperparameter.name for hyperparameter in hyperparameters.space]
    if shared := next((name for name in names if names.count(name) > 1), ""):
        raise AblationError(
            f"two hyperparameters are named '{shared}', each under its own condition. keras-tuner mixes up "
            "their values; give each a name of its own."
        )


def _is_open(hyperparameter: Any) -> bool:
    from keras_tuner.engine import hyperparameters as kinds

    if isinstance(hyperparameter, kinds.Choice):
        return len(hyperparameter.values) > 1
    if isinstance(hyperparameter, kinds.Int | kinds.Float):
        return bool(hyperparameter.min_value < hyperparameter.max_value)
    return not isinstance(hyperparameter, kinds.Fixed)


def _parameter(hyperparameter: Any) -> Parameter:
    """Return a hyperparameter of keras-tuner as a parameter, for tables and figures."""
    from keras_tuner.engine import hyperparameters as kinds

    when = {condition.name: condition.values[0] for condition in hyperparameter.conditions}
    if isinstance(hyperparameter, kinds.Boolean):
        return Parameter(choice=(False, True), when=when)
    if isinstance(hyperparameter, kinds.Choice):
        return Parameter(choice=tuple(hyperparameter.values), when=when)
    log = hyperparameter.sampling in ("log", "reverse_log")
    return Parameter(range=(hyperparameter.min_value, hyperparameter.max_value), log=log, when=when)
