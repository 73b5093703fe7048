"""What a layer computes with in training mode, as the engine of this process traces it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.models.training_only import training_argument
from ablation.tensorflow_setup import uses_jax

if TYPE_CHECKING:
    import keras

# Operations that draw from a state which no checkpoint holds, or that run Python.
_UNSEEDED_BY_TENSORFLOW = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "RandomShuffle",
    "RandomGamma", "RandomPoissonV2", "Multinomial", "PyFunc", "PyFuncStateless", "EagerPyFunc",
}  # fmt: skip
_UNSEEDED_BY_JAX = {"pure_callback", "io_callback", "debug_callback"}


@dataclass(frozen=True)
class Graph:
    """What a layer's graph in training mode contains, beside the layer's own variables.

    Attributes:
        unseeded: The operations whose results follow no seed, by name, with the engine's.
        variables: The variables that are not the layer's.
        constants: The values that it computes with, of all types but text, and in an order of their own.
    """

    unseeded: set[str]
    variables: list[Any]
    constants: list[bytes]


def traced(layer: keras.Layer, image_shape: tuple[int, int, int]) -> Graph:
    """Return the graph of a built layer for images of a shape."""
    return _traced_by_jax(layer, image_shape) if uses_jax() else _traced_by_tensorflow(layer, image_shape)


def _traced_by_tensorflow(layer: keras.Layer, image_shape: tuple[int, int, int]) -> Graph:
    import tensorflow as tf

    training_mode = training_argument(layer)
    shape = tf.TensorSpec((2, *image_shape), tf.float32)
    function = tf.function(lambda images: layer(images, **training_mode), autograph=False)
    graph = function.get_concrete_function(shape).graph
    definition = graph.as_graph_def()
    inner = (node for function in definition.library.function for node in function.node_def)
    nodes = [*definition.node, *inner]
    known = [*layer.variables, *getattr(layer, "metrics_variables", ())]
    of_layer = {id(variable.value) for variable in known}
    tensors = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    constants = [
        tensor.SerializeToString() for tensor in tensors if tensor.dtype != tf.string.as_datatype_enum
    ]
    outer = [
        tensor for tensor, _ in graph.captures if tensor.dtype not in (tf.resource, tf.variant, tf.string)
    ]
    return Graph(
        {f"TensorFlow's {node.op}" for node in nodes if node.op in _UNSEEDED_BY_TENSORFLOW},
        [variable for variable in graph.variables if id(variable) not in of_layer],
        sorted(constants + [tensor.numpy().tobytes() for tensor in outer]),
    )


def _traced_by_jax(layer: keras.Layer, image_shape: tuple[int, int, int]) -> Graph:
    import jax
    from keras.src.backend import StatelessScope

    training_mode = training_argument(layer)
    known = [*layer.variables, *getattr(layer, "metrics_variables", ())]

    def function(values: list[Any], images: Any) -> Any:
        with StatelessScope(state_mapping=list(zip(known, values, strict=True))):
            return layer(images, **training_mode)

    with _read_variables() as read:
        program = jax.make_jaxpr(function)([v.value for v in known], np.zeros((2, *image_shape), np.float32))
    of_layer = {id(variable) for variable in known}
    operations = {equation.primitive.name for equation in _equations(program.jaxpr)}
    return Graph(
        {f"JAX's {name}" for name in operations & _UNSEEDED_BY_JAX},
        [variable for variable in read if id(variable) not in of_layer],
        sorted(np.asarray(value).tobytes() for value in program.consts),
    )


@contextmanager
def _read_variables() -> Iterator[list[Any]]:
    """Collect the variables whose values are read within the block."""
    from keras.src.backend import Variable

    original, read = Variable.value, dict[int, Any]()

    def value(variable: Any) -> Any:
        read[id(variable)] = variable
        return original.fget(variable)

    found: list[Any] = []
    Variable.value = property(value)
    try:
        yield found
    finally:
        Variable.value = original
        found += read.values()


def _equations(program: Any) -> Iterator[Any]:
    """Yield the equations of a program of JAX and of the programs in it."""
    for equation in program.eqns:
        yield equation
        for parameter in equation.params.values():
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)
