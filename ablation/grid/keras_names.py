"""The objects that components describe: parts of training, found in Keras or in a user's module, and made.

A class is made an object of. A function is a loss, a metric or an argument as it is; for all else it is
called, and returns the object.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, get_args

from ablation.errors import AblationError, did_you_mean
from ablation.grid.settings import Augmentation, Component, LossName, MetricName, OptimizerName
from ablation.grid.user_code import load_object

OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
FUNCTIONS = ("loss", "metrics")  # settings of which a function is a part as it is


@dataclass(frozen=True)
class Kind:
    """What a setting may name.

    Attributes:
        noun: For errors.
        module: Where Keras has its classes, and
        base: what all of them are.
        plain: The names that stand for themselves, and are looked up nowhere.
    """

    noun: str
    module: str
    base: str
    plain: tuple[str, ...] = ()


KINDS = {
    "optimizer": Kind("optimizer", "optimizers", "Optimizer", get_args(OptimizerName)),
    "learning_rate": Kind("learning-rate schedule", "optimizers.schedules", "LearningRateSchedule"),
    "loss": Kind("loss", "losses", "Loss", get_args(LossName)),
    "metrics": Kind("metric", "metrics", "Metric", get_args(MetricName)),
    "callbacks": Kind("callback", "callbacks", "Callback"),
    "augmentation": Kind("layer", "layers", "Layer", get_args(Augmentation)),
}


def make(setting: str, component: Component, **given: Any) -> Any:
    """Make the object that a component describes.

    Args:
        setting: What it is for.
        component: Its name and arguments.
        given: Further arguments, the harness's own.

    Raises:
        AblationError: The user's file was changed since the study was read; or there is no such object, it
            raises an error, or is not of the right kind.
    """
    import keras

    kind, folder = KINDS[setting], Path(component.folder)
    if source_of(setting, component.name, component.arguments, folder) != component.source:
        raise AblationError(f"the file of {component.name} was changed since the study began.")
    arguments = _loaded(component.arguments, folder) | given
    if ":" in component.name:
        target, _ = load_object(component.name, folder, kind.noun)
    else:
        target = keras_class(kind, component.name)
    try:
        if setting in FUNCTIONS and isinstance(target, FunctionType):
            inspect.signature(target).bind_partial(**arguments)
            return _filled(target, arguments)
        made = target(**arguments)
    except Exception as error:
        raise AblationError(_why(component, target, error)) from error
    base = getattr(_module(kind), kind.base) if kind.base != "Callback" else keras.callbacks.Callback
    if not isinstance(made, base):
        raise AblationError(
            f"{component.name} creates a {type(made).__name__}; expected a Keras {kind.noun}."
        )
    return made


def source_of(setting: str, name: str, arguments: dict[str, Any], folder: Path) -> str:
    """Return a hash of each user's file that a name and arguments refer to; empty where there is none.

    Raises:
        AblationError: There is no such module or object.
    """
    noun = KINDS[setting].noun
    own = [*((o, noun) for o in _own_names(name)), *((o, "object") for o in _own_names(arguments))]
    return "+".join(dict.fromkeys(load_object(name, folder, kind)[1] for name, kind in own))


def loss(name: str | Component) -> Callable[[Any, Any], Any]:
    """Return a loss as a function of the one-hot labels and the probabilities, (images, classes) both."""
    import keras

    found: Callable[[Any, Any], Any] = (
        make("loss", name) if isinstance(name, Component) else keras.losses.get(name)
    )
    return found


def metric(name: str | Component) -> Any:
    """Return a metric of Keras's, or a user's function of labels and probabilities."""
    import keras

    return make("metrics", name) if isinstance(name, Component) else keras.metrics.get(name)


def measured(metric: Any, one_hot: Any, probabilities: Any) -> float:
    """Return a metric of some images; the mean over the classes of one that has a value a class.

    A function is given all of them at once, as NumPy arrays, and returns a number, or one an image.

    Args:
        metric: As `metric` returned it.
        one_hot: The labels, (images, classes).
        probabilities: (images, classes).

    Raises:
        AblationError: A function returned something else.
    """
    import numpy as np

    if isinstance(metric, FunctionType):
        found = np.asarray(metric(np.asarray(one_hot), np.asarray(probabilities)))
        if found.shape not in ((), (len(one_hot),)) or found.dtype.kind not in "biuf":
            raise AblationError(
                f"{metric.__name__} returned {found.dtype} of shape {found.shape}; expected a number, or one "
                "number per image."
            )
        return float(np.mean(found))
    metric.reset_state()
    metric.update_state(one_hot, probabilities)
    return float(np.mean(metric.result()))


def keras_class(kind: Kind, name: str) -> Any:
    """Return one of Keras's classes by any of its spellings.

    Raises:
        AblationError: There is none.
    """
    found = find(kind, name)
    if found is None:
        raise AblationError(
            f"{name} is not a valid value.{did_you_mean(name, {*kind.plain, *_classes(kind)})}"
        )
    return found


def find(kind: Kind, name: str) -> Any:
    """Return one of Keras's classes by any of its spellings, or by an alias like ``mse``; None without."""
    import keras

    classes = {_folded(known): found for known, found in _classes(kind).items()}
    if _folded(name) not in classes and kind.module == "losses":
        try:
            name = keras.losses.get(name).__name__
        except (AttributeError, ValueError):
            return None
    return classes.get(_folded(name))


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _module(kind: Kind) -> Any:
    import keras

    return functools.reduce(getattr, kind.module.split("."), keras)


def _classes(kind: Kind) -> dict[str, Any]:
    """Return Keras's classes of a kind; of its layers those that change images."""
    module = _module(kind)
    base = getattr(module, kind.base)
    found = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    if kind.module != "layers":
        return found
    of_images = module.RandomFlip.__base__
    unfit = {"CenterCrop", "MaxNumBoundingBoxes", "RandomCrop", "Resizing"}  # they change an image's size
    return {
        name: value
        for name, value in found.items()
        if (issubclass(value, of_images) or name.startswith("Gaussian")) and name not in unfit
    }


def _own_names(value: Any) -> Iterator[str]:
    """Yield each ``module:object`` in a name and arguments."""
    if isinstance(value, str) and OWN.fullmatch(value):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.items() if isinstance(value, dict) else value:
            yield from _own_names(list(inner) if isinstance(inner, tuple) else inner)


def _loaded(value: Any, folder: Path) -> Any:
    """Return arguments with the objects that they name; a mapping of such a name gives it arguments."""
    if isinstance(value, list):
        return [_loaded(inner, folder) for inner in value]
    if isinstance(value, dict):
        if len(value) == 1 and OWN.fullmatch(name := next(iter(value))):
            return _object(name, value[name] or {}, folder)
        return {key: _loaded(inner, folder) for key, inner in value.items()}
    return _object(value, {}, folder) if isinstance(value, str) and OWN.fullmatch(value) else value


def _object(name: str, arguments: dict[str, Any], folder: Path) -> Any:
    found, _ = load_object(name, folder, "object")
    arguments = _loaded(arguments, folder)
    return found(**arguments) if isinstance(found, type) else _filled(found, arguments)


def _filled(function: Any, arguments: dict[str, Any]) -> Any:
    """Return a function with some arguments given; still a function, which Keras can save by its name."""
    if not arguments:
        return function

    @functools.wraps(function)
    def filled(*values: Any) -> Any:
        return function(*values, **arguments)

    return filled


def _why(component: Component, target: Any, error: Exception) -> str:
    """Say why an object could not be made: an argument that there is not, or what was raised."""
    try:
        known = [name for name in inspect.signature(target).parameters if name not in ("args", "kwargs")]
    except (TypeError, ValueError):
        known = []
    unknown = [name for name in component.arguments if name not in known]
    if unknown and known:
        return f"{component.name} has no argument '{unknown[0]}'.{did_you_mean(unknown[0], known)}"
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"{component.name} cannot be created with these arguments ({reason})."
