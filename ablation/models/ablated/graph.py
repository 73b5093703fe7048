"""The graph of a Sequential or functional model: its operations by path, and what leads where."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.models.layer_paths import layer_paths

if TYPE_CHECKING:
    import keras


def graph_of(model: Any) -> Any | None:
    """Return the functional model that has a model's nodes; None if it computes in a ``call`` of its own."""
    import keras
    from keras.src.models.functional import Functional

    if isinstance(model, keras.Sequential):
        return model._functional
    is_functional = isinstance(model, Functional) and type(model).call is Functional.call
    return model if is_functional else None


def nodes_in_order(graph: Any) -> list[Any]:
    """Return the calls of operations in a graph, each behind those whose outputs it takes."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in graph._nodes_by_depth[depth]]
    return [node for node in nodes if node.operation is not None and not node.is_input]


def operations(model: keras.Model) -> dict[str, Any]:
    """Return the operations of a model by path, those of nested models included.

    An operation is a layer, or what Keras makes of a function such as ``x + y``. The paths are those of
    `layer_paths`.

    Raises:
        AblationError: The model is neither Sequential nor functional.
    """
    if graph_of(model) is None:
        raise AblationError(
            f"the model is a {type(model).__name__}, which computes in a `call` of its own. Only Sequential "
            "and functional models can be taken apart; give the function that builds the model an argument "
            "for each part, and list these under `factors:`."
        )
    names = {id(layer): path for path, layer in layer_paths(model).items()}
    return dict(_operations(model, "", names))


def _operations(model: Any, prefix: str, names: dict[int, str]) -> Iterator[tuple[str, Any]]:
    graph = graph_of(model)
    for operation in dict.fromkeys(node.operation for node in nodes_in_order(graph)):
        path = names.get(id(operation), prefix + operation.name)
        yield path, operation
        if graph_of(operation) is not None:
            yield from _operations(operation, f"{path}/", names)


def joining(model: keras.Model) -> set[int]:
    """Return the ids of the operations of a model that take several tensors in one of their calls."""
    graphs = [graph_of(model), *filter(None, map(graph_of, operations(model).values()))]
    return {
        id(node.operation)
        for graph in graphs
        for node in nodes_in_order(graph)
        if len({id(tensor) for tensor in node.input_tensors}) > 1
    }


def matching(pattern: str, every: dict[str, Any]) -> list[Any]:
    """Return the operations that a name or a pattern means, which names a path or an operation.

    A name that an operation has is no pattern, whatever is in it: ``conv[1]`` is not ``conv1``.
    """
    named_so = [operation for path, operation in every.items() if pattern in (path, operation.name)]
    return named_so or [
        operation
        for path, operation in every.items()
        if fnmatchcase(path, pattern) or fnmatchcase(operation.name, pattern)
    ]


def inner_layers(operation: Any) -> list[Any]:
    """Return the layers in a layer that is no model, which cannot be taken apart."""
    if graph_of(operation) is not None or not hasattr(operation, "_flatten_layers"):
        return []
    return list(operation._flatten_layers(include_self=False))


def behind(graph: Any, tensor: Any) -> dict[int, Any]:
    """Return the nodes of a graph that lead to a tensor, by id."""
    makers = {id(output): node for node in nodes_in_order(graph) for output in node.outputs}
    found: dict[int, Any] = {}
    waiting = [tensor]
    while waiting:
        node = makers.get(id(waiting.pop()))
        if node is not None and id(node) not in found:
            found[id(node)] = node
            waiting += node.input_tensors
    return found


def shape_text(shape: Any) -> str:
    """Return the shape of one image's values, without the batch, as text."""
    return " × ".join("?" if side is None else str(side) for side in shape[1:])
