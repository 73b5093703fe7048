"""The logits behind probabilities, which Keras finds in TensorFlow's graphs but not in JAX's.

Keras takes crossentropies from logits where a softmax or a sigmoid ends the model, and the backend is
TensorFlow. With JAX it would take them from the probabilities, clipped at 1e-7. Within `logits_known`, JAX
does as TensorFlow does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

_known: list[tuple[Any, Any]] = []  # probabilities and their logits, within `logits_known`


@contextmanager
def logits_known() -> Iterator[None]:
    """Let Keras's crossentropies use the logits of what softmax and sigmoid returned within the block."""
    from keras.src.backend import nn

    names = ("softmax", "sigmoid", "categorical_crossentropy", "binary_crossentropy")
    originals = {name: getattr(nn, name) for name in names}
    for name in ("softmax", "sigmoid"):
        setattr(nn, name, _remembering(originals[name]))
    for name in ("categorical_crossentropy", "binary_crossentropy"):
        setattr(nn, name, _from_logits(originals[name]))
    count = len(_known)
    try:
        yield
    finally:
        del _known[count:]
        for name, original in originals.items():
            setattr(nn, name, original)


def attach_logits(outputs: Any, logits: Any) -> None:
    """Let `attached_logits` find the logits of outputs, until the end of `logits_known`."""
    _known.append((outputs, logits))


def attached_logits(outputs: Any) -> Any:
    """Return what the softmax or sigmoid that made a tensor was applied to, or None."""
    return next((logits for known, logits in reversed(_known) if known is outputs), None)


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def activation(x: Any, *arguments: Any, **named: Any) -> Any:
        outputs = original(x, *arguments, **named)
        attach_logits(outputs, x)
        return outputs

    return activation


def _from_logits(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def crossentropy(target: Any, output: Any, from_logits: bool = False, **named: Any) -> Any:
        logits = None if from_logits else attached_logits(output)
        if logits is None:
            return original(target, output, from_logits=from_logits, **named)
        return original(target, logits, from_logits=True, **named)

    return crossentropy
