"""Measures how fast TensorFlow computes in bfloat16 on this machine's processor.

It is run as ``python -m ablation.training.bfloat16``, in a process of its own with one thread, as trials are,
and prints the share of the time in float32 that a convolution takes in bfloat16.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ablation.tensorflow_setup import start_tensorflow

_TURNS = 15


def main() -> None:
    """Measure, and print the share."""
    start_tensorflow(threads=1)
    print(share_of_float32())


def share_of_float32() -> float:
    """Return the processor time of a convolution in bfloat16, divided by that in float32.

    It is the largest one of the CIFAR-10 notebook's model, with its gradients. The types take turns, and of
    each type the fastest turn counts, so that other processes hardly matter.
    """
    steps = {dtype: _step(dtype) for dtype in ("float32", "bfloat16")}
    seconds: dict[str, list[float]] = {dtype: [] for dtype in steps}
    for _ in range(_TURNS):
        for dtype, step in steps.items():
            started = time.process_time()
            step()
            seconds[dtype].append(time.process_time() - started)
    return min(seconds["bfloat16"]) / min(seconds["float32"])


def _step(dtype: str) -> Callable[[], Any]:
    """Return a compiled function that computes the gradients of a convolution, which has run once."""
    import tensorflow as tf

    noise = np.random.default_rng(0)
    shapes = (16, 32, 32, 32), (3, 3, 32, 64), (16, 32, 32, 64)
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
