"""The parts of a model that a reader would ask about: what `ablation init --from` writes into a grid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.settings import Edit
from ablation.grid.value_text import counted, written
from ablation.models.ablated.graph import graph_of, operations
from ablation.models.ablated.rebuild import edited

if TYPE_CHECKING:
    import keras

_REGULARISERS = r"(Dropout|DropPath|StochasticDepth|Noise|Normalization|ActivityRegularization)(1D|2D|3D)?$"
_PENALTIES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "depthwise_regularizer",
              "pointwise_regularizer")  # fmt: skip
_INSTEAD = {"relu": "gelu", "relu6": "relu"}  # of an activation, what is often tried; relu for all others
MOST = 8  # parts of one kind


@dataclass(frozen=True)
class Proposal:
    """A part of a model.

    Attributes:
        kind: What it is: ``regulariser``, ``activation``, ``branch``, ``block``, ``layer`` or ``argument``.
        written: How a grid names it, as YAML.
        comment: How many layers it has, and how many parameters.
        edit: What is done to a model that is without it.
    """

    kind: str
    written: str
    comment: str
    edit: Edit


def proposals(model: keras.Model) -> list[Proposal]:
    """Return the parts of a model that can be removed, replaced or changed, the most asked about first.

    Args:
        model: A built model.

    Raises:
        AblationError: The model is neither Sequential nor functional.
    """
    every = operations(model)
    kinds = (_regularisers, _penalties, _arguments, _activations, _branches, _blocks, _layers)
    found: list[Proposal] = []
    for kind in kinds:
        usable = (proposal for proposal in kind(every) if _is_usable(model, proposal.edit))
        found += [proposal for proposal, _ in zip(usable, range(MOST), strict=False)]
    return found


def _is_usable(model: keras.Model, edit: Edit) -> bool:
    try:
        edited(model, [edit])
    except AblationError:
        return False
    return True


def _regularisers(every: dict[str, Any]) -> Iterator[Proposal]:
    kinds = dict.fromkeys(type(operation).__name__ for operation in every.values())
    for kind in kinds:
        layers = [operation for operation in every.values() if type(operation).__name__ == kind]
        if re.search(_REGULARISERS, kind) or (kind.startswith("Random") and not layers[0].weights):
            yield Proposal("regulariser", kind, _size(layers), Edit(action="remove", target=kind))


def _penalties(every: dict[str, Any]) -> Iterator[Proposal]:
    for penalty in _PENALTIES:
        layers = [operation for operation in every.values() if getattr(operation, penalty, None) is not None]
        if layers:
            edit = Edit(action="remove", penalty=penalty)
            yield Proposal("regulariser", f"{{penalty: {penalty}}}", counted(len(layers), "layer"), edit)


def _arguments(every: dict[str, Any]) -> Iterator[Proposal]:
    """Propose another rate of each kind of dropout."""
    rates: dict[str, set[float]] = {}
    for operation in every.values():
        if "Dropout" in type(operation).__name__ and isinstance(getattr(operation, "rate", None), float):
            rates.setdefault(type(operation).__name__, set()).add(operation.rate)
    for kind, given in rates.items():
        rate = 0.5 if given != {0.5} else 0.3
        shown = ", ".join(f"{value:g}" for value in sorted(given))
        edit = Edit(action="change", target=f"{kind}.rate", value=rate)
        yield Proposal("argument", f"{kind}.rate: {rate}", f"as given: {shown}", edit)


def _activations(every: dict[str, Any]) -> Iterator[Proposal]:
    counts: dict[str, int] = {}
    for operation in every.values():
        name = getattr(getattr(operation, "activation", None), "__name__", "")
        if type(operation).__name__ == "ReLU":
            name = {None: "relu", 6: "relu6"}.get(operation.max_value, "")
        if name not in ("", "linear", "softmax", "sigmoid"):
            counts[name] = counts.get(name, 0) + 1
    for name in sorted(counts, key=lambda name: -counts[name]):
        new = _INSTEAD.get(name, "relu")
        edit = Edit(action="replace", target=name, value=new)
        yield Proposal("activation", f"{name}: {new}", counted(counts[name], "layer"), edit)


def _branches(every: dict[str, Any]) -> Iterator[Proposal]:
    for path, operation in every.items():
        if len({id(x) for x in operation._inbound_nodes[0].input_tensors}) == 2:
            edit = Edit(action="remove", branch=path)
            yield Proposal("branch", f"{{branch: {written(path)}}}", type(operation).__name__, edit)


def _blocks(every: dict[str, Any]) -> Iterator[Proposal]:
    """Propose groups of layers whose names begin alike and that are there several times."""
    levels: dict[str, dict[str, list[Any]]] = {}
    for path, operation in every.items():
        for number in re.finditer(r"\d[a-z]?(?=[_/])", path):
            prefix = path[: number.end()]
            level = re.sub(r"\d+[a-z]?(?=$|[_/])", "#", prefix)
            levels.setdefault(level, {}).setdefault(prefix, []).append(operation)
    repeated = [
        {
            prefix: layers
            for prefix, layers in groups.items()
            if len(layers) > 1 and any(map(_weights, layers))
        }
        for groups in levels.values()
    ]
    for groups in sorted((g for g in repeated if len(g) > 1), key=_joints, reverse=True)[:1]:
        for prefix, layers in groups.items():
            pattern = f"{prefix}{'/' if f'{prefix}/' in ''.join(every) else '_'}*"
            edit = Edit(action="remove", layers=(pattern,))
            yield Proposal(
                "block", f"{{layers: {json.dumps(pattern, ensure_ascii=False)}}}", _size(layers), edit
            )


def _joints(groups: dict[str, list[Any]]) -> int:
    """Return in how many groups branches are joined; residual blocks tell more than what is in them."""
    return sum(any(len(o._inbound_nodes[0].input_tensors) > 1 for o in layers) for layers in groups.values())


def _layers(every: dict[str, Any]) -> Iterator[Proposal]:
    for path, operation in every.items():
        kind = type(operation).__name__
        if _weights(operation) and graph_of(operation) is None and not re.search(_REGULARISERS, kind):
            edit = Edit(action="remove", layers=(path,))
            yield Proposal(
                "layer", f"{{layers: {written(path)}}}", f"{kind}, {_parameters([operation])}", edit
            )


def _weights(operation: Any) -> bool:
    return bool(getattr(operation, "weights", None))


def _size(layers: Sequence[Any]) -> str:
    parameters = _parameters(layers)
    return ", ".join(filter(None, (counted(len(layers), "layer"), parameters)))


def _parameters(layers: Iterable[Any]) -> str:
    count = sum(layer.count_params() for layer in layers if _weights(layer))
    return counted(count, "parameter") if count else ""
