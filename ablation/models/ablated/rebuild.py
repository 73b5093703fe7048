"""Put a model together again without the parts that edits remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ablation.errors import AblationError
from ablation.grid.settings import Edit
from ablation.grid.user_code import error_summary
from ablation.grid.value_text import yaml_text
from ablation.models.ablated.branches import kept_inputs
from ablation.models.ablated.graph import graph_of, nodes_in_order, operations
from ablation.models.ablated.matching import matching_layers
from ablation.models.ablated.selection import Selection, selected
from ablation.models.ablated.widening import widened
from ablation.models.layer_paths import KEPT_NAME, automatic_name

if TYPE_CHECKING:
    import keras


def edited(model: keras.Model, edits: Sequence[Edit]) -> keras.Model:
    """Return a model without the parts that edits remove, and with what they replace and change.

    Removed layers hand on what they are given. Where this has another shape than their output, cropping and a
    linear layer make it fit; see `matching_layers`. All other layers are
    those of the given model, with their weights, unless their input now has another shape. New layers are
    named after those whose place they take.

    Args:
        model: A built Sequential or functional model. It stays as it is.
        edits: The edits.

    Raises:
        AblationError: An edit means nothing in this model, or what is left cannot be put together.
    """
    changes = [edit for edit in edits if edit.action != "match"]
    result = _Rebuilding(model, selected(model, changes)).result()
    if len(changes) == len(edits):
        return result
    return widened(result, model.count_params(), lambda settings: _with(result, settings))


def _with(model: keras.Model, settings: dict[int, dict[str, Any]]) -> keras.Model:
    return _Rebuilding(model, Selection(settings=settings)).result()


class _Rebuilding:
    """Walks through the graph of a model, and calls what stays of it on new symbolic tensors."""

    def __init__(self, model: keras.Model, selection: Selection) -> None:
        self._model = model
        self._selection = selection
        self._paths = {id(operation): path for path, operation in operations(model).items()}
        self._made: dict[int, Any] = {}  # what takes the place of an operation, which may be called twice
        self._had_weights: set[int] = set()  # removed outputs behind which weights went, too
        self._taken: set[int] = set()  # outputs that an operation takes which stays
        self._matches: dict[Any, list[Any]] = {}  # what fits in place of a layer, which may be called twice

    def result(self) -> keras.Model:
        """Return the new model."""
        return self._rebuilt(self._model, None)

    def _rebuilt(self, model: Any, shapes: list[Any] | None) -> Any:
        """Return a model, or one in it, put together again for inputs of these shapes."""
        import keras
        from keras import tree

        graph = graph_of(model)
        assert graph is not None
        inputs = [
            keras.Input(batch_shape=shapes[k] if shapes else x.shape, dtype=x.dtype, name=_input_name(x))
            for k, x in enumerate(graph.inputs)
        ]
        tensors = {id(old): new for old, new in zip(graph.inputs, inputs, strict=True)}
        nodes = nodes_in_order(graph)
        staying = [node for node in nodes if id(node.operation) not in self._selection.removed]
        self._taken |= {id(x) for node in staying for x in node.input_tensors}
        for node in nodes:
            new = tree.flatten(self._outputs(graph, node, tensors))
            self._refuse_lost(graph, node, node.outputs[len(new) :])
            tensors |= zip(map(id, node.outputs), new, strict=False)
        outputs = [tensors[id(x)] for x in graph.outputs]
        whole = keras.Model(
            tree.pack_sequence_as(graph._inputs_struct, inputs),
            tree.pack_sequence_as(graph._outputs_struct, outputs),
            name=model.name,
        )
        if not isinstance(model, keras.Sequential):
            return whole
        layers = [layer for layer in whole.layers if not isinstance(layer, keras.layers.InputLayer)]
        return keras.Sequential([inputs[0], *layers], name=model.name)

    def _outputs(self, graph: Any, node: Any, tensors: dict[int, Any]) -> Any:
        """Return what a call of an operation returns in the new model, or what is handed on in its place."""
        edit = self._selection.removed.get(id(node.operation))
        path = self._paths[id(node.operation)]
        try:
            if edit is None:
                return self._called(node, tensors)
            handed_on = self._handed_on(graph, node, edit, tensors)
        except AblationError:
            raise
        except Exception as error:
            raise AblationError(
                f"the layer {path} cannot be put together again: {error_summary(error)}"
            ) from error
        return self._fitted(graph, node, handed_on, path)

    def _called(self, node: Any, tensors: dict[int, Any]) -> Any:
        args, kwargs = node.arguments.fill_in(tensors)
        old = [tuple(x.shape) for x in node.input_tensors]
        new = [tuple(tensors[id(x)].shape) for x in node.input_tensors]
        return self._kept(node.operation, new if new != old else None)(*args, **kwargs)

    def _kept(self, operation: Any, shapes: list[Any] | None) -> Any:
        """Return the operation itself, or what it becomes; for inputs of other shapes, if there are any."""
        if id(operation) in self._made:
            return self._made[id(operation)]
        is_graph = graph_of(operation) is not None
        if id(operation) in self._selection.replaced:
            made = self._selection.replaced[id(operation)]()
            settings, known = self._selection.settings.get(id(operation), {}), made.get_config()
            if settings := {key: value for key, value in settings.items() if key in known}:
                made = _configured(made, settings)
        elif is_graph and (shapes or self._is_touched(operation)):
            made = self._rebuilt(operation, shapes)
        elif id(operation) in self._selection.settings:
            made = _configured(operation, self._selection.settings[id(operation)])
        elif shapes and getattr(operation, "weights", None):
            made = _configured(operation, {})
        else:
            made = operation
        if made is not operation and self._keeps_trainable(operation, made):
            made.trainable = getattr(operation, "trainable", True)
        if "/" in self._paths[id(operation)]:
            name = automatic_name(operation) and self._paths[id(operation)].rpartition("/")[2]
            setattr(made, KEPT_NAME, name or operation.name)
        self._made[id(operation)] = made
        return made

    def _keeps_trainable(self, operation: Any, made: Any) -> bool:
        """Return whether what an operation becomes is frozen if the operation is.

        It is not if an edit says otherwise. A model in which a layer with weights is added is not frozen as a
        whole, for this layer has to learn; the layers in it that are frozen stay so.
        """
        if "trainable" in self._selection.settings.get(id(operation), {}):
            return False
        added = {id(layer) for layers in self._matches.values() for layer in layers if layer.weights}
        return graph_of(made) is None or not any(id(layer) in added for layer in made._flatten_layers())

    def _is_touched(self, model: Any) -> bool:
        return any(self._selection.has(operation) for operation in operations(model).values())

    def _handed_on(self, graph: Any, node: Any, edit: Edit, tensors: dict[int, Any]) -> Any:
        """Return what is left of the inputs of a call, joined as before if several are."""
        kept = kept_inputs(graph, node, edit, tensors, self._paths)
        if (
            any(id(x) in self._had_weights for x in node.input_tensors)
            or getattr(node.operation, "weights", None)
            or len(node.input_tensors) > len(kept)
        ):
            self._had_weights.add(id(node.outputs[0]))
        if len(kept) == 1:
            return kept[0]
        joint = _configured(node.operation, {})
        return joint(kept)

    def _fitted(self, graph: Any, node: Any, tensor: Any, path: str) -> Any:
        """Return a tensor that is handed on, made to fit where what stays takes it."""
        is_output = any(x is node.outputs[0] for x in graph.outputs)
        if is_output and graph is graph_of(self._model):
            raise AblationError(
                f"the layer {path} returns the model's output, so that without it nothing would be left to "
                "learn from."
            )
        if not is_output and id(node.outputs[0]) not in self._taken:
            return tensor
        had_weights = id(node.outputs[0]) in self._had_weights
        key = id(node.operation), tuple(tensor.shape), tuple(node.outputs[0].shape)
        if key not in self._matches:
            self._matches[key] = matching_layers(*key[1:], path, had_weights)
        for layer in self._matches[key]:
            tensor = layer(tensor)
        return tensor

    def _refuse_lost(self, graph: Any, node: Any, lost: Sequence[Any]) -> None:
        """Refuse a layer that hands on fewer values than what stays, or the model's output, takes."""
        if any(id(x) in self._taken or any(x is output for output in graph.outputs) for x in lost):
            path = self._paths[id(node.operation)]
            raise AblationError(
                f"the layer {path} returns several values, like the states of an LSTM, and without it some "
                "of them would be missing. Remove the layers that take them together with it."
            )


def _input_name(tensor: Any) -> str:
    """Return the name of the input layer that a symbolic input comes from."""
    return str(getattr(tensor._keras_history.operation, "name", tensor.name))


def _configured(layer: Any, settings: dict[str, Any]) -> Any:
    """Return a new layer with the configuration of another one, apart from these settings.

    Raises:
        AblationError: The class of the layer does not accept a setting; without settings, its own error.
    """
    try:
        return type(layer).from_config({**layer.get_config(), **settings})
    except Exception as error:
        if not settings:
            raise
        # Keras shows the whole configuration first, and then the reason.
        reason = str(error).rpartition("Exception encountered: ")[2].split("\n")[0].rstrip(".")
        written = ", ".join(f"{key}: {yaml_text(value)}" for key, value in settings.items())
        kind = type(layer).__name__
        raise AblationError(
            f"{kind} does not accept {written} in the layer {layer.name} ({reason})."
        ) from error
