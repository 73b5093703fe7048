"""A user's keras-tuner HyperModel: loading it, and asking for its hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.user_code import load_object
from ablation.tensorflow_setup import quiet_stderr, require_keras


def load_hypermodel(name: str, folder: Path) -> tuple[Any, str]:
    """Return a HyperModel and a hash of the file that defines it.

    A class is instantiated; a function is taken as the ``build`` method of a HyperModel, as in keras-tuner.

    Args:
        name: ``module:object``.
        folder: The folder where the module is looked for first.

    Raises:
        AblationError: There is no such object, or it is neither a HyperModel nor a function, or it has a
            ``fit`` method of its own.
    """
    with quiet_stderr():  # the custom module will import it, too
        require_keras()
    hypermodel, source = load_object(name, folder, "HyperModel")
    if not callable(hypermodel) and not hasattr(hypermodel, "build"):
        raise AblationError(f"'{name}' is neither a HyperModel nor a function that builds a model.")
    if isinstance(hypermodel, type):
        hypermodel = hypermodel()
    _refuse_own_fit(name, hypermodel)
    return (hypermodel if hasattr(hypermodel, "build") else _FunctionHyperModel(hypermodel)), source


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


def _refuse_own_fit(name: str, hypermodel: Any) -> None:
    """Refuse a ``fit`` method that does anything but call the model's with the arguments that it receives."""
    import keras_tuner

    fit = getattr(hypermodel, "fit", None)
    if fit is None or getattr(fit, "__func__", None) is keras_tuner.HyperModel.fit:
        return
    model, images, labels, options = _RecordedModel(), object(), object(), {"epochs": 1, "callbacks": []}
    hyperparameters = keras_tuner.HyperParameters()
    try:
        result = fit(hyperparameters, model, images, labels, **options)
    except Exception:  # it looks at the images, for example
        result = None
    expected = [((images, labels), options), ((), {"x": images, "y": labels, **options})]
    passes_on = result is model.history and len(model.calls) == 1 and model.calls[0] in expected
    if not passes_on or hyperparameters.space:
        raise AblationError(
            f"{name} overrides `HyperModel.fit`, which is never called: trials have their own "
            "training loop. Remove the method. Set `batch_size`, `epochs` and `callbacks` under `training:` "
            "in the grid. To search the batch size, write a builder instead of the HyperModel, and name "
            "`batch_size` and the builder's arguments under `search: {space: ...}`."
        )


class _RecordedModel:
    """Stands for a Keras model, to find out how it would be trained."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.history = object()

    def fit(self, *values: Any, **named: Any) -> Any:
        """Record the call."""
        self.calls.append((values, named))
        return self.history


class _FunctionHyperModel:
    """A ``build`` function as a HyperModel."""

    def __init__(self, build: Any) -> None:
        self.build = build
