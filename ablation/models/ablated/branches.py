"""Which of the inputs of a removed layer is handed on: for a layer that joins branches, the shortcut."""

from __future__ import annotations

from typing import Any

from ablation.errors import AblationError
from ablation.grid.settings import Edit
from ablation.models.ablated.graph import behind, matching


def kept_inputs(
    graph: Any, node: Any, edit: Edit, tensors: dict[int, Any], paths: dict[int, str]
) -> list[Any]:
    """Return the new tensors that are handed on in place of what a removed call would return.

    Of two branches, the one with fewer layers stays: it is the shortcut of a residual block, the features
    that attention weighs, or what a dense block passes by. With ``through``, the branches with that layer go.

    Args:
        graph: The graph of the call.
        node: The call.
        edit: The edit that removes it.
        tensors: The new tensors, by the id of those in ``graph``.
        paths: The paths of operations, by id.

    Raises:
        AblationError: It is not clear which branch to remove.
    """
    # What is not there is a state of a layer that is removed, too.
    old = list({id(x): x for x in node.input_tensors if id(x) in tensors}.values())
    distinct = list({id(tensors[id(x)]): tensors[id(x)] for x in old}.values())
    if len(distinct) == 1:
        return distinct
    path = paths[id(node.operation)]
    own = _own_nodes(graph, old)
    if edit.through:
        every = {paths[id(n.operation)]: n.operation for nodes in own for n in nodes}
        through = {id(operation) for operation in matching(edit.through, every)}
        gone = [any(id(n.operation) in through for n in nodes) for nodes in own]
        if not any(gone) or all(gone):
            raise AblationError(
                f"the layer '{edit.through}' is in {'each' if all(gone) else 'no'} branch that '{path}' joins"
                f".{_branches(own, paths)}"
            )
        return [tensors[id(x)] for x, is_gone in zip(old, gone, strict=True) if not is_gone]
    sizes = [len(nodes) for nodes in own]
    shortest = min(sizes)
    if len(old) > 2 or sizes.count(shortest) > 1:
        raise AblationError(
            f"the layer '{path}' joins {len(old)} branches, and which one to remove is not clear. Name a "
            f"layer of it, {{branch: {path}, through: …}}.{_branches(own, paths)}"
        )
    return [tensors[id(old[sizes.index(shortest)])]]


def _own_nodes(graph: Any, inputs: list[Any]) -> list[list[Any]]:
    """Return the calls that lead to each input and not to all others."""
    every = [behind(graph, x) for x in inputs]
    shared = set.intersection(*(set(nodes) for nodes in every))
    return [[node for key, node in nodes.items() if key not in shared] for nodes in every]


def _branches(own: list[list[Any]], paths: dict[int, str]) -> str:
    """Return the layers of each branch in a sentence."""
    described = []
    for nodes in own:
        names = [paths[id(node.operation)] for node in nodes][::-1]
        if names:
            described.append(", ".join(names if len(names) < 5 else (*names[:2], "…", names[-1])))
    return f" The branches are: {'; '.join(described)}." if described else ""
