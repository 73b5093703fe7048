"""Parts of training as a grid writes them, looked up and tried out when it is read.

A grid writes all of them alike: a name, or a mapping of one name to its arguments. A name is that of one of
Keras's classes, in any spelling that differs only in case and underscores, or ``module:object`` of a module
beside the grid file. Arguments may name such objects, too.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from ablation.errors import AblationError
from ablation.grid.keras_names import FUNCTIONS, KINDS, OWN, find, keras_class, make, source_of
from ablation.grid.settings import Component
from ablation.grid.value_text import yaml_text
from ablation.tensorflow_setup import configure_tensorflow, quiet_stderr

LISTS = ("metrics", "callbacks", "augmentation")  # settings that are lists of parts
_CALLED = {"on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"}


def resolved(setting: str, value: Any, folder: Path, threads: int) -> Any:
    """Return one part as settings have it: a plain name, or a `Component` as JSON, tried out.

    Args:
        setting: One of `KINDS`; of a list, this is about one of its items.
        value: As the grid has it, or as this function returned it.
        folder: Where a user's modules are looked for first.
        threads: What TensorFlow computes with in this process, if it is now that it starts.

    Raises:
        AblationError: There is no such part, its arguments are not valid, or the loop has no use for it.
    """
    kind = KINDS[setting]
    if setting == "learning_rate" and not isinstance(value, str | dict):
        return value
    if isinstance(value, str) and value in kind.plain:
        return value
    name, arguments, folder = _notation(value, folder)

    with quiet_stderr():
        configure_tensorflow(threads)
        if ":" not in name:
            found = keras_class(kind, name)
            if not arguments:
                for plain in kind.plain:
                    if find(kind, plain) is found:
                        return plain
            name = found.__name__
            if setting == "augmentation" and "value_range" in inspect.signature(found).parameters:
                arguments = {"value_range": [0, 1]} | arguments  # what images are normalised to
        _refuse(setting, name, arguments)
        source = source_of(setting, name, arguments, folder)
        component = Component(
            name=name, arguments=arguments, folder=str(folder) if source else "", source=source
        )
        given = {"learning_rate": 0.001} if setting == "optimizer" else {}
        made = make(setting, component, **given)
    if setting == "callbacks" and (never := _never_called(made)):
        raise AblationError(
            f"{name} overrides {never[0]}, which is never called: the steps of an epoch are compiled, and "
            "callbacks are called only at the beginning and the end of training and of each epoch."
        )
    return component.model_dump(mode="json")


def _notation(value: Any, folder: Path) -> tuple[str, dict[str, Any], Path]:
    """Return name, arguments and folder of a part as a grid writes it, or as it is kept."""
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
    if ":" in name and not OWN.fullmatch(name):
        raise AblationError(f"'{name}' is not of the form module:object.")
    try:
        return name, json.loads(json.dumps(arguments or {}, allow_nan=False)), folder
    except (TypeError, ValueError):
        raise AblationError(f"the arguments of {name} must be text, numbers, lists or mappings.") from None


def _refuse(setting: str, name: str, arguments: dict[str, Any]) -> None:
    """Raise an error about what Keras would accept, and the loop would not mean."""
    reason = ""
    if setting in FUNCTIONS and name.lower().startswith("sparse"):
        reason = "expects labels that are numbers, but labels are one-hot here; leave out Sparse."
    elif setting in FUNCTIONS and arguments.get("from_logits"):
        reason = "would expect logits, but a model outputs probabilities here; remove `from_logits`."
    elif setting == "optimizer" and "learning_rate" in arguments:
        reason = "takes its learning rate from training.learning_rate; set it there."
    elif setting == "augmentation" and name in ("CutMix", "MixUp"):
        reason = "also mixes labels, but augmentation may only change images."
    elif setting == "augmentation" and (taken := {"name", "seed"} & arguments.keys()):
        reason = f"is named and seeded by the harness, so that variants are paired; remove `{min(taken)}`."
    if reason:
        raise AblationError(f"{name} {reason}")


def _never_called(callback: Any) -> list[str]:
    """Name the methods of a callback that only Keras's own loop would call."""
    import keras

    base = keras.callbacks.Callback
    return [
        name
        for name in dir(base)
        if name.startswith("on_") and name not in _CALLED
        if getattr(getattr(callback, name), "__func__", None) is not getattr(base, name)
    ]
