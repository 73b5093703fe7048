"""Custom gradients that live no longer than the graphs that they belong to."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_KEPT = "ablation_custom_gradients"


@contextmanager
def custom_gradients_of_graphs() -> Iterator[None]:
    """Let each graph own the custom gradients that are registered within the block.

    TensorFlow keeps custom gradients in a registry from which nothing is ever removed. A gradient refers to
    its graph, so that each graph with one would stay in memory; Keras's optimizers register one in each.
    """
    import tensorflow as tf

    original = tf.RegisterGradient.__call__

    def register(decorator: Any, gradient: Callable[..., Any]) -> Callable[..., Any]:
        tf.compat.v1.get_default_graph().add_to_collection(_KEPT, gradient)
        found = weakref.ref(gradient)
        original(decorator, lambda operation, *upstream: _alive(found)(operation, *upstream))
        return gradient

    tf.RegisterGradient.__call__ = register
    try:
        yield
    finally:
        tf.RegisterGradient.__call__ = original


def _alive(found: weakref.ref[Callable[..., Any]]) -> Callable[..., Any]:
    """Return a gradient, which is there because an operation of its graph asks for it."""
    gradient = found()
    assert gradient is not None
    return gradient
