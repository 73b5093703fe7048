"""How a saved model was compiled, as the settings of a grid."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ablation.grid.settings import FileSettings, LossName, OptimizerName

Written = str | float | dict[str, dict[str, Any]]
"""A setting as a grid has it: a name, a number, or a name of Keras with its arguments."""


def saved_training(settings: FileSettings) -> dict[str, Written]:
    """Return what a file says of how its model was trained: optimizer, learning rate and loss.

    An argument that is not Keras's default is kept, such as an optimizer's momentum or a loss's
    ``from_logits``. A class that is not one of Keras's is left out.
    """
    import keras

    try:
        model = keras.saving.load_model(Path(settings.folder) / settings.file)
        optimizer, loss = model.optimizer, model.loss
    except Exception:  # it was compiled with classes of the user's
        return {}
    found: dict[str, Written] = {}
    if optimizer is not None and hasattr(keras.optimizers, type(optimizer).__name__):
        config = optimizer.get_config()
        found["optimizer"] = _named(optimizer, config, get_args(OptimizerName), ("learning_rate",))
        found["learning_rate"] = _rate(config["learning_rate"])
    if isinstance(loss, keras.losses.Loss) and hasattr(keras.losses, type(loss).__name__):
        found["loss"] = _named(loss, loss.get_config(), get_args(LossName))
    elif isinstance(loss, str) and loss.removeprefix("sparse_") in get_args(LossName):
        found["loss"] = loss.removeprefix("sparse_")
    return found


def _named(
    component: Any, config: Mapping[str, Any], plain: tuple[str, ...], without: tuple[str, ...] = ()
) -> Written:
    """Return a component's plain name if all its arguments have their defaults, else name and arguments."""
    kind = type(component)
    defaults = {name: argument.default for name, argument in inspect.signature(kind).parameters.items()}
    given = {
        key: _short(value)
        for key, value in config.items()
        if key in defaults and key not in ("name", "ignore_class", *without) and defaults[key] != value
    }
    name = kind.__name__.removeprefix("Sparse")  # labels are one-hot here
    known = {text.replace("_", ""): text for text in plain}
    return {name: given} if given or name.lower() not in known else known[name.lower()]


def _rate(value: Any) -> Written:
    """Return a learning rate, or a schedule with its arguments."""
    if not isinstance(value, Mapping):
        return float(_short(float(value)))
    given = {key: _short(v) for key, v in value["config"].items() if key != "name" and v is not None}
    return {str(value["class_name"]): given}


def _short(value: Any) -> Any:
    """Return a number as it was written before it was rounded to float32."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def flow_text(value: Any) -> str:
    """Return a setting in YAML's notation on one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow_text(v)}' for key, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow_text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
