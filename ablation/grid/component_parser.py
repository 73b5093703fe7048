"""Parse the components of a grid file, which are looked up and tried out when the file is read.

All components have the same notation: a name, or a mapping of one name to its arguments. A name is either
that of a Keras class, in any spelling that differs only in case and underscores, or ``module:object`` with a
module beside the grid file. Arguments may name such objects, too.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, did_you_mean
from ablation.grid.keras_names import FUNCTIONS, KINDS, USER_OBJECT, find, keras_class, make, source_of
from ablation.grid.losses import UNFIT, require_usable
from ablation.grid.settings import Component
from ablation.grid.user_code import refuse_path
from ablation.grid.value_text import yaml_text
from ablation.tensorflow_setup import quiet_stderr, require_keras, without_computing

LISTS = ("metrics", "callbacks", "augmentation")  # settings that are lists of components
# Parts of Keras that would be misused on one-hot labels and probabilities, and what to use instead.
_ONE_HOT = "but labels are one-hot here; use"
_UNFIT = {
    "metrics": {
        "Accuracy": "compares probabilities with labels for equality; accuracy is always measured, so "
        "remove it.",
        "IoU": f"compares class numbers, {_ONE_HOT} OneHotIoU.",
        "MeanIoU": f"compares class numbers, {_ONE_HOT} OneHotMeanIoU.",
        "MeanAbsolutePercentageError": "divides by labels, most of which are 0; use MeanAbsoluteError.",
        "Mean": "does not compare outputs with labels; use MeanMetricWrapper, or your own function.",
        "Sum": "does not compare outputs with labels; use MeanMetricWrapper, or your own function.",
    },
    "loss": UNFIT,
    "optimizer": {
        "LossScaleOptimizer": "wraps another optimizer; name that one, and set "
        "`precision: mixed_float16`, which scales its loss.",
    },
}
_WRITTEN = ("filename", "filepath", "log_dir", "backup_dir")  # arguments of Keras's callbacks
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CALLED = {
    "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end",
}  # fmt: skip


def resolved(setting: str, value: Any, folder: Path, user_model: bool = False) -> Any:
    """Return one component as settings store it: a plain name, or a `Component` as JSON, tried out.

    Args:
        setting: The setting, one of `KINDS`. If it is a list, this resolves one of its items.
        value: The value from the grid file, or an earlier result of this function.
        folder: The folder in which custom modules are looked for first.
        user_model: Whether the grid's model is the user's own, which may output logits.

    Raises:
        AblationError: The component does not exist, its arguments are not valid, or the training loop cannot
            use it.
    """
    kind = KINDS[setting]
    if setting == "learning_rate" and not isinstance(value, str | dict):
        return value
    if isinstance(value, str) and value in kind.plain:
        return value
    name, arguments, folder = _parse_notation(value, folder)

    with quiet_stderr():
        require_keras()
        if ":" not in name:
            keras_type = keras_class(kind, name)
            _reject_unknown_arguments(keras_type, arguments)
            if not arguments:
                for plain in kind.plain:
                    if find(kind, plain) is keras_type:
                        return plain
            name = keras_type.__name__
            if setting == "augmentation" and "value_range" in inspect.signature(keras_type).parameters:
                arguments = {"value_range": [0, 1]} | arguments  # the range of normalised images
        if setting == "loss" and name == "SparseCategoricalCrossentropy":
            name, arguments = _of_one_hot_labels(name, arguments)
            if not arguments:
                return "categorical_crossentropy"
        _reject_unsupported(setting, name, arguments, user_model)
        source = source_of(setting, name, arguments, folder)
        component = Component(
            name=name, arguments=arguments, folder=str(folder) if source else "", source=source
        )
        placeholder = {"learning_rate": 0.001} if setting == "optimizer" else {}
        with _elsewhere() if setting == "callbacks" else nullcontext():  # it may write a file
            instance = without_computing(partial(make, setting, component, **placeholder))
        if setting == "loss":
            require_usable(name, instance)
    if setting == "callbacks" and (uncalled := _never_called(instance)):
        raise AblationError(
            f"{name} overrides {uncalled[0]}, which is never called: the steps of an epoch are compiled, and "
            "callbacks are called only at the beginning and the end of training, of each epoch, and of the "
            "measurements after it."
        )
    return component.model_dump(mode="json")


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        yield


def _of_one_hot_labels(name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the crossentropy of one-hot labels that is equal to one of integer labels."""
    if arguments.get("ignore_class") is not None:
        raise AblationError(f"{name}: `ignore_class` is not supported, as labels are one-hot; remove it.")
    return name.removeprefix("Sparse"), {k: v for k, v in arguments.items() if k != "ignore_class"}


def _parse_notation(value: Any, folder: Path) -> tuple[str, dict[str, Any], Path]:
    """Return the name, arguments and folder of a component from a grid file or from stored settings."""
    name, arguments = value, None
    if isinstance(value, dict) and "name" in value and value.keys() <= Component.model_fields.keys():
        name, arguments = value["name"], value.get("arguments")
        folder = Path(value.get("folder") or folder)
    elif isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise AblationError(
            f"expected a name, or a mapping of one name to its arguments, like {{SGD: {{momentum: 0.9}}}}, "
            f"not {yaml_text(value)}."
        )
    if ":" in name:
        refuse_path(name)
    if ":" in name and not USER_OBJECT.fullmatch(name):
        raise AblationError(f"'{name}' is not of the form module:object.")
    try:
        return name, json.loads(json.dumps(arguments or {}, allow_nan=False)), folder
    except (TypeError, ValueError):
        raise AblationError(f"the arguments of {name} must be text, numbers, lists or mappings.") from None


def _reject_unknown_arguments(keras_type: Any, arguments: dict[str, Any]) -> None:
    """Raise an error for an argument that a class of Keras would swallow without an effect."""
    inits = [vars(base)["__init__"] for base in keras_type.__mro__ if "__init__" in vars(base)]
    parameters = {name: p for init in inits[:-1] for name, p in inspect.signature(init).parameters.items()}
    known = [name for name, p in parameters.items() if name != "self" and p.kind not in _COLLECTING]
    if unknown := next((name for name in arguments if name not in known), ""):
        name = keras_type.__name__
        raise AblationError(f"{name} has no argument '{unknown}'.{did_you_mean(unknown, known)}")


def _reject_unsupported(setting: str, name: str, arguments: dict[str, Any], user_model: bool) -> None:
    """Raise an error for a component that Keras accepts but that the training loop would misuse."""
    reason = _UNFIT.get(setting, {}).get(name, "")
    thresholds = arguments.get("thresholds")
    if setting == "metrics" and isinstance(thresholds, list) and len(thresholds) > 1:
        reason = (
            "would be averaged over its thresholds; list it once per threshold, each with its own `name`."
        )
    elif setting == "metrics" and arguments.get("dtype", "float32") != "float32":
        reason = "is computed in float32 here, whatever the precision of the model is; remove `dtype`."
    elif setting in FUNCTIONS and name.lower().startswith("sparse"):
        reason = "expects integer labels, but labels are one-hot here; use the name without Sparse."
    elif setting in FUNCTIONS and arguments.get("from_logits") and not (setting == "loss" and user_model):
        reason = "would expect logits, but a model outputs probabilities here; remove `from_logits`."
    elif setting == "callbacks" and ":" not in name and (path := _shared_path(arguments)):
        reason = f"would write '{path}' in all trials; give a path inside its trial's folder, like log.csv."
    elif setting == "optimizer" and "learning_rate" in arguments:
        reason = "takes its learning rate from training.learning_rate; set it there."
    elif setting == "augmentation" and name in ("CutMix", "MixUp"):
        reason = "also mixes labels, but augmentation may only change images."
    elif setting == "augmentation" and (reserved := {"name", "seed"} & arguments.keys()):
        reason = f"is named and seeded by the harness, so that variants are paired; remove `{min(reserved)}`."
    if reason:
        raise AblationError(f"{name} {reason}")


def _shared_path(arguments: dict[str, Any]) -> str:
    """Return the file or folder to write to, if it is outside of the current folder; else empty."""
    paths = [Path(value) for name, value in arguments.items() if name in _WRITTEN and isinstance(value, str)]
    return next((str(path) for path in paths if path.is_absolute() or ".." in path.parts), "")


def _never_called(callback: Any) -> list[str]:
    """Return the names of overridden callback methods that only the training loop of Keras would call."""
    import keras

    base = keras.callbacks.Callback
    return [
        name
        for name in dir(base)
        if name.startswith("on_") and name not in _CALLED
        if not name.startswith("on_predict_")  # which `fit` never calls, either
        if getattr(getattr(callback, name), "__func__", None) is not getattr(base, name)
    ]
