"""Measures how fast TensorFlow computes on this machine's processor, in float32 and in bfloat16.

It is run as ``python -m ablation.training.processor_speed``, in a process of its own with one thread, as
trials are, and prints the fields of a `Speed` as JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from ablation.models.cost import Speed
from ablation.tensorflow_setup import start_tensorflow

_TURNS = 8
_AT_LEAST = 0.1  # seconds of a turn: on Windows, the clock of processor time ticks 64 times a second
_IMAGES, _KERNEL, _FILTERS = (16, 32, 32, 32), (3, 3, 32, 64), 64


def main() -> None:
    """Measure, and print the speed."""
    start_tensorflow(threads=1)
    print(json.dumps(asdict(speed())))


def speed() -> Speed:
    """Return how fast a convolution is computed with its gradients, in processor time.

    It is the largest one of the CIFAR-10 notebook's model, whose whole step has about the same rate. The
    types take turns, and of each type the fastest turn counts, so that other processes hardly matter.
    """
    steps = {dtype: _step(dtype) for dtype in ("float32", "bfloat16")}
    seconds: dict[str, list[float]] = {dtype: [] for dtype in steps}
    for _ in range(_TURNS):
        for dtype, step in steps.items():
            seconds[dtype].append(_seconds_of(step))
    in_float32, in_bfloat16 = min(seconds["float32"]), min(seconds["bfloat16"])
    multiply_adds = 3 * np.prod(_IMAGES[:3]) * np.prod(_KERNEL)  # forward, and for two gradients
    return Speed(float(multiply_adds) / in_float32, in_bfloat16 / in_float32)


def _seconds_of(step: Callable[[], Any]) -> float:
    """Return the processor time of a step, the mean of as many as a turn has."""
    started, steps = time.process_time(), 0
    while (spent := time.process_time() - started) < _AT_LEAST:
        step()
        steps += 1
    return spent / steps


def _step(dtype: str) -> Callable[[], Any]:
    """Return a compiled function that computes the gradients of a convolution, which has run once."""
    import tensorflow as tf

    noise = np.random.default_rng(0)
    shapes = _IMAGES, _KERNEL, (*_IMAGES[:3], _FILTERS)
    images, kernel, upstream = (tf.cast(noise.normal(size=shape), dtype) for shape in shapes)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def gradients(images: Any, kernel: Any, upstream: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            outputs = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"))
        return tape.gradient(outputs, [images, kernel], upstream)

    gradients(images, kernel, upstream)
    return lambda: gradients(images, kernel, upstream)


if __name__ == "__main__":
    main()
