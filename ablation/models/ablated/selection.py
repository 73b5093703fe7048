"""Which operations of a model an edit means, and what is to become of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError, did_you_mean
from ablation.grid.settings import Edit
from ablation.grid.value_text import yaml_text
from ablation.models.ablated.graph import inner_layers, joining, matching, operations

if TYPE_CHECKING:
    import keras

_ACTIVATION_LAYERS = {"relu": "ReLU", "relu6": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU"}
_NO_PARTS = (
    "and what is inside of a layer that is no model cannot be taken apart. Remove the whole layer, or "
    "change one of its arguments"
)


_OF_TRIALS = {
    "seed": "random numbers follow the trial's seed",
    "dtype": "the precision is that of the trial, `training: {precision: …}`",
}


@dataclass
class Selection:
    """What is to become of the operations of a model, by id; an operation that is not named stays as it is.

    Attributes:
        removed: The edits that remove operations.
        settings: New values of arguments of layers.
        replaced: What makes the layer that takes the place of an operation.
    """

    removed: dict[int, Edit] = field(default_factory=dict)
    settings: dict[int, dict[str, Any]] = field(default_factory=dict)
    replaced: dict[int, Callable[[], Any]] = field(default_factory=dict)

    def has(self, operation: Any) -> bool:
        """Return whether an operation is named."""
        return any(id(operation) in part for part in (self.removed, self.settings, self.replaced))


def selected(model: keras.Model, edits: Sequence[Edit]) -> Selection:
    """Return what edits mean in a model.

    Args:
        model: A built model.
        edits: Edits other than ``match``.

    Raises:
        AblationError: The model cannot be taken apart, or an edit means nothing in it.
    """
    found, every = Selection(), operations(model)
    for edit in edits:
        if edit.action == "remove" and edit.penalty:
            _without_penalty(edit, every, found)
        elif edit.action == "remove":
            found.removed |= {id(operation): edit for operation in _removed(edit, every, joining(model))}
        elif edit.action == "replace":
            _replace(edit, every, found)
        else:
            _change(edit, every, found)
    return found


def _removed(edit: Edit, every: dict[str, Any], joints: set[int]) -> list[Any]:
    if edit.target:
        return _of_class(edit.target, every)
    if edit.branch:
        return _joints(edit.branch, every, joints)
    return _of_names(edit.layers, every)


def _of_class(name: str, every: dict[str, Any]) -> list[Any]:
    """Return the operations of a class, and refuse one that is hidden in a layer."""
    for path, operation in every.items():
        for inner in inner_layers(operation):
            if type(inner).__name__ == name and getattr(inner, "rate", 1) != 0:
                raise AblationError(
                    f"the layer {path} ({type(operation).__name__}) contains {name}, {_NO_PARTS}."
                )
    if found := [operation for operation in every.values() if type(operation).__name__ == name]:
        return found
    kinds = {type(operation).__name__ for operation in every.values()}
    raise AblationError(f"the model has no layer of the class '{name}'.{did_you_mean(name, kinds)}")


def _of_names(patterns: Sequence[str], every: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for pattern in patterns:
        meant = matching(pattern, every)
        if not meant:
            raise AblationError(
                f"the model has no layer '{pattern}'.{did_you_mean(pattern.rstrip('*'), every)}"
            )
        found += meant
    return found


def _joints(name: str, every: dict[str, Any], joints: set[int]) -> list[Any]:
    found = [operation for operation in _of_names([name], every) if id(operation) in joints]
    if not found:
        paths = [path for path, operation in every.items() if id(operation) in joints]
        others = f" These do: {', '.join(paths[:12])}." if paths else " No layer of this model does."
        raise AblationError(f"the layer '{name}' joins no branches.{others}")
    return found


def _without_penalty(edit: Edit, every: dict[str, Any], found: Selection) -> None:
    chosen = _of_names(edit.layers, every) if edit.layers else list(every.values())
    layers = [layer for layer in chosen if getattr(layer, edit.penalty, None) is not None]
    for path, operation in every.items():
        if any(getattr(inner, edit.penalty, None) is not None for inner in inner_layers(operation)):
            raise AblationError(f"a layer inside of {path} has a {edit.penalty}, {_NO_PARTS}.")
    if not layers:
        raise AblationError(f"no layer{' of these' if edit.layers else ''} has a {edit.penalty}.")
    for layer in layers:
        if edit.penalty in layer.get_config():
            found.settings.setdefault(id(layer), {})[edit.penalty] = None
        else:  # an ActivityRegularization, which is nothing but a penalty
            found.removed[id(layer)] = edit


def _change(edit: Edit, every: dict[str, Any], found: Selection) -> None:
    target, _, key = edit.target.rpartition(".")
    if not target:
        raise AblationError(f"'{edit.target}' names no argument; write class.argument, like Dropout.rate.")
    kinds = {type(operation).__name__ for operation in every.values()}
    layers = _of_class(target, every) if target in kinds else _matching(target, every, kinds)
    settings = [layer.get_config() if hasattr(layer, "get_config") else {} for layer in layers]
    if key in _OF_TRIALS:
        raise AblationError(f"'{edit.target}' is not set here: {_OF_TRIALS[key]}.")
    for layer, given in zip(layers, settings, strict=True):
        if key not in given or key == "name":
            hint = did_you_mean(key, set(given) - {"name", "trainable", *_OF_TRIALS})
            raise AblationError(f"{type(layer).__name__} has no argument '{key}'.{hint}")
        found.settings.setdefault(id(layer), {})[key] = edit.value
    if all(given[key] == edit.value for given in settings):
        raise AblationError(f"{edit.target} is {yaml_text(edit.value)} in the model already.")


def _matching(pattern: str, every: dict[str, Any], kinds: set[str]) -> list[Any]:
    layers = matching(pattern, every)
    if not layers:
        hint = did_you_mean(pattern, [*kinds, *every])
        raise AblationError(f"the model has no layer and no class of layers '{pattern}'.{hint}")
    return layers


def _replace(edit: Edit, every: dict[str, Any], found: Selection) -> None:
    old, new = edit.target, str(edit.value)
    of_class = [operation for operation in every.values() if type(operation).__name__ == old]
    if of_class:
        for layer in of_class:
            found.replaced[id(layer)] = _of_other_class(layer, new)
        return
    import keras

    names = [
        n for n in dir(keras.activations) if n.islower() and n not in ("get", "serialize", "deserialize")
    ]
    if new not in names:
        raise AblationError(f"there is no activation '{new}'.{did_you_mean(new, names)}")
    function = getattr(keras.activations, old, None) if old in names else None
    kinds = {_ACTIVATION_LAYERS.get(old, ""), old.replace("_", "").capitalize()}  # Relu is that of keras.ops
    cut = 6 if old == "relu6" else None
    is_found = False
    for operation in every.values():
        if function is not None and getattr(operation, "activation", None) is function:
            found.settings.setdefault(id(operation), {})["activation"] = new
        elif type(operation).__name__ in kinds and _is_plain(operation, cut):
            found.replaced[id(operation)] = _activation(new, operation.name)
        else:
            continue
        is_found = True
    if not is_found:
        valid = {type(operation).__name__ for operation in every.values()} | _activations(every)
        raise AblationError(
            f"the model has neither an activation nor a class '{old}'.{did_you_mean(old, valid)}"
        )


def _activations(every: dict[str, Any]) -> set[str]:
    functions = [getattr(operation, "activation", None) for operation in every.values()]
    return {str(getattr(f, "__name__", "")) for f in functions if f} - {""}


def _is_plain(operation: Any, cut: float | None) -> bool:
    """Return whether an activation layer is the plain function, or the one that is cut off at a value."""
    return getattr(operation, "max_value", None) == cut and not getattr(operation, "threshold", None)


def _activation(name: str, layer: str) -> Callable[[], Any]:
    import keras

    return lambda: keras.layers.Activation(name, name=layer)


def _of_other_class(layer: Any, name: str) -> Callable[[], Any]:
    """Return what makes a layer of another class, with the arguments that both classes have."""
    import keras

    kind = getattr(keras.layers, name, None)
    if not inspect.isclass(kind):
        kinds = [k for k, v in vars(keras.layers).items() if inspect.isclass(v)]
        raise AblationError(f"there is no class of layers '{name}'.{did_you_mean(name, kinds)}")
    accepted = inspect.signature(kind).parameters
    config = layer.get_config() if hasattr(layer, "get_config") else {}
    shared = {key: value for key, value in config.items() if key in accepted}
    return lambda: kind(**{**shared, "name": layer.name})
