"""BatchNorm and Dropout by faster kernels mean what Keras's own mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import tiny_trial

from ablation.data.datasets import Dataset
from ablation.training.kernels import faster_kernels


def in_training(layer: Any, images: Any, upstream: Any) -> list[Any]:
    """Return outputs, gradients and state of a layer after one call in training mode."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
    gradients = tape.gradient(outputs, [images, *layer.trainable_variables], upstream)
    return [np.asarray(tf.cast(a, "float32")) for a in (outputs, *gradients, *layer.non_trainable_variables)]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("shape", [(6, 5, 3, 4), (1, 1, 1, 2)])
def test_batch_norm_is_that_of_keras(dtype: str, shape: tuple[int, ...]) -> None:
    import keras
    import tensorflow as tf

    noise = np.random.default_rng(0)
    policy = keras.DTypePolicy(dtype)
    images, upstream = (
        tf.cast(noise.normal(2, 3, shape).astype(np.float32), policy.compute_dtype) for _ in range(2)
    )
    layers = [keras.layers.BatchNormalization(momentum=0.7, epsilon=0.01, dtype=policy) for _ in range(2)]
    for layer in layers:
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2, shape[-1]))
        layer.beta.assign(np.linspace(-1, 1, shape[-1]))
    kept = in_training(layers[0], images, upstream)
    with faster_kernels():
        faster = in_training(layers[1], images, upstream)
    tolerance = 1e-5 if dtype == "float32" else 0.05
    for ours, theirs in zip(faster, kept, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * 10)


def test_batch_norm_of_vectors_or_without_scale_and_in_inference_is_left_to_keras() -> None:
    import keras

    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    images = vectors[:, None, None, :]
    for layer, values, training in (
        (keras.layers.BatchNormalization(), vectors, True),
        (keras.layers.BatchNormalization(scale=False), images, True),
        (keras.layers.BatchNormalization(axis=1), images, True),
        (keras.layers.BatchNormalization(), images, False),
    ):
        twin = type(layer).from_config(layer.get_config())
        expected = layer(values, training=training)
        with faster_kernels():
            found = twin(values, training=training)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.5, 0.9])
def test_dropout_drops_as_often_as_its_rate_says_and_scales_what_it_keeps(rate: float) -> None:
    import keras

    ones = np.ones((101, 99, 11), np.float32)  # an odd number of values
    layer = keras.layers.Dropout(rate, seed=1)
    with faster_kernels():
        outputs = np.asarray(layer(ones, training=True))
        assert np.array_equal(layer(ones, training=False), ones)
    kept = outputs > 0
    deviation = np.sqrt(rate * (1 - rate) / ones.size)
    assert abs((~kept).mean() - rate) < 4 * deviation
    np.testing.assert_allclose(outputs[kept], 1 / (1 - rate), rtol=1e-4)
    # Neighbours, which may come of the same random word, are dropped independently.
    flat = (~kept).ravel().astype(float)
    for distance in (1, 2, 99 * 11):
        assert abs(np.corrcoef(flat[:-distance], flat[distance:])[0, 1]) < 4 / np.sqrt(ones.size)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rate", [0.9995, 0.99999, 0.999999, 1.0])
def test_a_rate_near_one_is_left_to_keras(rate: float, dtype: str) -> None:
    import keras

    ones = np.ones((50, 20), dtype)
    found, expected = (keras.layers.Dropout(rate, seed=1, dtype=dtype) for _ in range(2))
    with faster_kernels():
        outputs = found(ones, training=True)
    assert np.array_equal(outputs, expected(ones, training=True))
    assert np.isfinite(outputs).all()


def test_dropout_follows_its_seed_and_never_draws_the_same_twice() -> None:
    import keras

    ones = np.ones((40, 25), np.float32)
    with faster_kernels():
        first, again, other = (keras.layers.Dropout(0.3, seed=seed) for seed in (1, 1, 2))
        drawn = [np.asarray(layer(ones, training=True)) for layer in (first, again, other, first)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[3])


def test_afterwards_and_in_subclasses_the_layers_are_keras_own() -> None:
    import keras

    class Doubling(keras.layers.Dropout):
        def call(self, inputs: Any, training: bool = False) -> Any:
            return 2 * inputs

    before = keras.layers.Dropout.call, keras.layers.BatchNormalization.call
    with faster_kernels():
        assert np.array_equal(Doubling(0.5)(np.ones(3), training=True), [2, 2, 2])
        assert keras.layers.Dropout.call is not before[0]
    assert before == (keras.layers.Dropout.call, keras.layers.BatchNormalization.call)


def test_a_training_step_is_made_of_them_and_inference_of_keras_own(tiny_dataset: Dataset) -> None:
    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    trial = tiny_trial(tiny_dataset, dropout=0.3, batch_norm=True)
    loop = CompiledLoop(compiled_model(trial, tiny_dataset), tiny_dataset, trial.training)
    trained, told = (graph.get_concrete_function().graph for graph in (loop._train_steps, loop._predict))
    faster = {"FusedBatchNormV3", "StatelessRandomUniformFullIntV2"}
    assert faster < operations(trained)
    assert not faster & operations(told)
    assert "StatelessRandomUniformV2" not in operations(trained)  # which Keras's dropout draws from


def operations(graph: Any) -> set[str]:
    definition = graph.as_graph_def()
    inner = (node for function in definition.library.function for node in function.node_def)
    return {node.op for node in (*definition.node, *inner)}
