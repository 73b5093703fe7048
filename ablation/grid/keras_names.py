"""Look up components in Keras or in a custom module, and create the objects that they describe.

A class is instantiated. A function is used as it is for a loss, a metric or an argument; for all other
components, it is called and returns the object.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, get_args

from ablation.errors import AblationError, did_you_mean
from ablation.grid.settings import Augmentation, Component, LossName, MetricName, OptimizerName
from ablation.grid.user_code import load_object

USER_OBJECT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
FUNCTIONS = ("loss", "metrics")  # settings for which a function is used as it is, without a call


@dataclass(frozen=True)
class Kind:
    """The components that a setting may name.

    Attributes:
        noun: The name of the kind, for errors.
        module: The Keras module that contains the classes.
        base: The name of their common base class.
        plain: The names that settings keep as they are, without a lookup.
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
    """Create the object that a component describes.

    Args:
        setting: The setting that names the component, one of `KINDS`.
        component: The name and the arguments of the component.
        given: Additional arguments from the harness.

    Raises:
        AblationError: The custom file has changed since the study was read; or the object does not exist,
            raises an error, or is not of the right kind.
    """
    import keras

    kind, folder = KINDS[setting], Path(component.folder)
    if source_of(setting, component.name, component.arguments, folder) != component.source:
        raise AblationError(
            f"the file of {component.name}, or of a module that it imports, was changed since the study "
            "began."
        )
    arguments = _with_custom_objects(component.arguments, folder) | given
    if ":" in component.name:
        target, _ = load_object(component.name, folder, kind.noun)
    else:
        target = keras_class(kind, component.name)
    try:
        if setting in FUNCTIONS and isinstance(target, FunctionType):
            inspect.signature(target).bind_partial(**arguments)
            return _with_arguments(target, arguments)
        instance = target(**arguments)
    except Exception as error:
        raise AblationError(_creation_error(component, target, error)) from error
    base = getattr(_module(kind), kind.base) if kind.base != "Callback" else keras.callbacks.Callback
    if not isinstance(instance, base):
        raise AblationError(
            f"{component.name} creates a {type(instance).__name__}; expected a Keras {kind.noun}."
        )
    return instance


def source_of(setting: str, name: str, arguments: dict[str, Any], folder: Path) -> str:
    """Return the hashes of the custom files that a name and its arguments refer to, joined by ``+``.

    The result is empty if they refer to Keras only.

    Raises:
        AblationError: A module or an object does not exist.
    """
    noun = KINDS[setting].noun
    references = [(reference, noun) for reference in _custom_names(name)]
    references += [(reference, "object") for reference in _custom_names(arguments)]
    return "+".join(dict.fromkeys(load_object(reference, folder, role)[1] for reference, role in references))


def loss(name: str | Component) -> Callable[[Any, Any], Any]:
    """Return a loss as a function of one-hot labels and probabilities, both of shape (images, classes)."""
    import keras

    function: Callable[[Any, Any], Any] = (
        make("loss", name) if isinstance(name, Component) else keras.losses.get(name)
    )
    return function


def metric(name: str | Component) -> Any:
    """Return a Keras metric, or a custom function of labels and probabilities."""
    import keras

    return make("metrics", name) if isinstance(name, Component) else keras.metrics.get(name)


def measured(metric: Any, one_hot: Any, probabilities: Any) -> float:
    """Return the value of a metric on some images.

    If a Keras metric has one value per class, or is their mean, this is their mean over the classes that
    images have. A function receives all images at once, as NumPy arrays, and returns one number, or one
    number per image, which are averaged.

    Args:
        metric: The metric, as returned by `metric`.
        one_hot: The labels, of shape (images, classes).
        probabilities: The predicted probabilities, of shape (images, classes).

    Raises:
        AblationError: A function returned something else.
    """
    import keras
    import numpy as np

    if isinstance(metric, FunctionType):
        values = np.asarray(metric(np.asarray(one_hot), np.asarray(probabilities)))
        if values.shape not in ((), (len(one_hot),)) or values.dtype.kind not in "biuf":
            raise AblationError(
                f"{metric.__name__} returned {values.dtype} of shape {values.shape}; expected a number, or "
                "one number per image."
            )
        return float(np.mean(values))
    metric.reset_state()
    metric.update_state(one_hot, probabilities)
    labels = np.asarray(one_hot) > 0
    known = labels.any(axis=0)
    if isinstance(metric, keras.metrics.AUC) and metric.multi_label:
        return _mean_auc(metric, known & ~labels.all(axis=0))
    return float(np.mean(metric.result() if known.all() else _of_known_classes(metric, known)))


def _of_known_classes(metric: Any, known: Any) -> Any:
    """Return a Keras metric's values of the classes that images have, or its one value for all images.

    Of other classes nothing is known, while Keras counts them as 0 in its mean over classes.
    """
    import numpy as np

    means = {"average": "macro", "class_aggregation": "uniform_average"}  # the latter of R2Score
    attribute = next((name for name, mean in means.items() if getattr(metric, name, None) == mean), "")
    if attribute:
        setattr(metric, attribute, None)
    try:
        values = np.asarray(metric.result())
    finally:
        if attribute:
            setattr(metric, attribute, means[attribute])
    return values[known] if values.shape == known.shape else values


def _mean_auc(metric: Any, known: Any) -> float:
    """Return the mean of ``AUC(multi_label=True)`` over the labels that some images have and others lack.

    Of other labels there is no curve, while Keras counts them as 0.
    """
    import keras
    import numpy as np

    if not known.any():
        return math.nan
    weights = metric.label_weights
    among = known if weights is None else known * np.asarray(weights)
    metric.label_weights = keras.ops.convert_to_tensor(among.astype(np.float32))
    try:
        return float(metric.result())
    finally:
        metric.label_weights = weights


def keras_class(kind: Kind, name: str) -> Any:
    """Return a Keras class by any spelling of its name.

    Raises:
        AblationError: Keras has no such class.
    """
    keras_type = find(kind, name)
    if keras_type is None:
        raise AblationError(
            f"{name} is not a valid value.{did_you_mean(name, {*kind.plain, *_classes(kind)})}"
        )
    return keras_type


def find(kind: Kind, name: str) -> Any:
    """Return a Keras class by any spelling of its name or by an alias like ``mse``, or None."""
    classes = {_normalised_name(known): keras_type for known, keras_type in _classes(kind).items()}
    if _normalised_name(name) not in classes and kind.module in ("losses", "metrics"):
        if name == "acc":  # which is known to `compile` only
            return classes.get("accuracy")
        try:
            found = _module(kind).get(name)
        except ValueError:
            return None
        name = getattr(found, "__name__", type(found).__name__)
    return classes.get(_normalised_name(name))


def _normalised_name(name: str) -> str:
    return name.replace("_", "").lower()


def _module(kind: Kind) -> Any:
    import keras

    return functools.reduce(getattr, kind.module.split("."), keras)


def _classes(kind: Kind) -> dict[str, Any]:
    """Return the Keras classes of a kind by name; of the layers, only those that change images."""
    module = _module(kind)
    base = getattr(module, kind.base)
    classes = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
    if kind.module != "layers":
        return classes
    of_images = module.RandomFlip.__base__
    unfit = {"CenterCrop", "MaxNumBoundingBoxes", "RandomCrop", "Resizing"}  # they change an image's size
    return {
        name: value
        for name, value in classes.items()
        if (issubclass(value, of_images) or name.startswith("Gaussian")) and name not in unfit
    }


def _custom_names(value: Any) -> Iterator[str]:
    """Yield each ``module:object`` that occurs in a name or in arguments."""
    if isinstance(value, str) and USER_OBJECT.fullmatch(value):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.items() if isinstance(value, dict) else value:
            yield from _custom_names(list(inner) if isinstance(inner, tuple) else inner)


def _with_custom_objects(value: Any, folder: Path) -> Any:
    """Replace each ``module:object`` in arguments by its object; a mapping of one gives it arguments."""
    if isinstance(value, list):
        return [_with_custom_objects(inner, folder) for inner in value]
    if isinstance(value, dict):
        if len(value) == 1 and USER_OBJECT.fullmatch(name := next(iter(value))):
            return _custom_object(name, value[name] or {}, folder)
        return {key: _with_custom_objects(inner, folder) for key, inner in value.items()}
    return (
        _custom_object(value, {}, folder)
        if isinstance(value, str) and USER_OBJECT.fullmatch(value)
        else value
    )


def _custom_object(name: str, arguments: dict[str, Any], folder: Path) -> Any:
    target, _ = load_object(name, folder, "object")
    arguments = _with_custom_objects(arguments, folder)
    return target(**arguments) if isinstance(target, type) else _with_arguments(target, arguments)


def _with_arguments(function: Any, arguments: dict[str, Any]) -> Any:
    """Return a function with some arguments bound. It keeps its name, by which Keras can save it."""
    if not arguments:
        return function

    @functools.wraps(function)
    def filled(*values: Any) -> Any:
        return function(*values, **arguments)

    return filled


def _creation_error(component: Component, target: Any, error: Exception) -> str:
    """Say why an object could not be created: an unknown argument, or the error that was raised."""
    try:
        known = [name for name in inspect.signature(target).parameters if name not in ("args", "kwargs")]
    except (TypeError, ValueError):
        known = []
    unknown = [name for name in component.arguments if name not in known]
    if unknown and known:
        return f"{component.name} has no argument '{unknown[0]}'.{did_you_mean(unknown[0], known)}"
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"{component.name} cannot be created with these arguments ({reason})."
