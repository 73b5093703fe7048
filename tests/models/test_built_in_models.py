"""The notebook's model to the parameter, and the same initial weights in whatever variants share."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation.grid.seeding import STREAMS, Randomness, Stream, derive_seed
from ablation.grid.settings import CnnSettings, Component, DenseSettings
from ablation.models.architecture import pooled_blocks
from ablation.models.build import build_model

CIFAR = (32, 32, 3)


def layer_names(model: object) -> list[str]:
    return [layer.name for layer in model.layers]  # type: ignore[attr-defined]


def trainable(model: object) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)  # type: ignore[attr-defined]


def test_with_both_switched_on_it_is_the_notebooks_model() -> None:
    model = build_model(CnnSettings(dropout=0.2, batch_norm=True), CIFAR, 10, Randomness(0))
    assert (model.count_params(), trainable(model)) == (205_546, 200_810)
    kinds = [type(layer).__name__ for layer in model.layers]
    regularised = ["Dropout", "BatchNormalization"]
    assert kinds == [
        *["Conv2D", *regularised],
        *["Conv2D", "MaxPooling2D", *regularised],
        *["Conv2D", "MaxPooling2D", *regularised],
        *["Conv2D", "MaxPooling2D", *regularised],
        *["Flatten", *regularised],
        *["Dense", *regularised],
        "Dense",
    ]
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.filters for layer in convolutions] == [32, 64, 64, 128]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert {layer.padding for layer in convolutions} == {"same"}
    assert {layer.activation.__name__ for layer in [*convolutions, model.get_layer("dense1")]} == {"relu"}
    assert model.layers[-1].activation.__name__ == "softmax"
    assert {layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"} == {0.2}


def test_plain_has_its_parameters() -> None:
    assert build_model(CnnSettings(), CIFAR, 10, Randomness(0)).count_params() == 196_074


def test_width_depth_order_and_place_do_what_they_say() -> None:
    deep = build_model(CnnSettings(blocks=((4, 6), (8,)), depth=2, width=1.5), CIFAR, 10, Randomness(0))
    convolutions = [layer for layer in deep.layers if type(layer).__name__ == "Conv2D"]
    assert [(layer.name, layer.filters) for layer in convolutions] == [
        ("block1_conv1", 6),
        ("block1_conv2", 9),
        ("block1_conv3", 9),
        ("block2_conv1", 12),
        ("block2_conv2", 12),
    ]
    placed = CnnSettings(
        blocks=((4,),), dropout=0.5, dropout_after=("flatten",), batch_norm=True,
        batch_norm_after=("conv", "flatten"), order="batch_norm_first", batch_norm_momentum=0.7,
    )  # fmt: skip
    model = build_model(placed, CIFAR, 10, Randomness(0))
    assert layer_names(model) == [
        "block1_conv1", "block1_pool", "block1_conv1_batch_norm",
        "flatten", "flatten_batch_norm", "flatten_dropout", "dense1", "output",
    ]  # fmt: skip
    assert model.get_layer("flatten_batch_norm").momentum == 0.7


def test_a_perceptron_is_flatten_and_dense() -> None:
    settings = DenseSettings(dense=(16, 8), depth=2, dropout=0.1)
    assert layer_names(build_model(settings, (8, 8, 1), 10, Randomness(0))) == [
        "flatten", "dense1", "dense1_dropout", "dense2", "dense2_dropout", "dense3", "dense3_dropout", "output",
    ]  # fmt: skip


@pytest.mark.parametrize(("side", "pooled"), [(1, 0), (2, 1), (3, 1), (4, 2), (8, 3), (32, 3)])
def test_small_images_are_pooled_until_one_pixel_is_left(side: int, pooled: int) -> None:
    settings = CnnSettings(blocks=((2,), (2,), (2,)), dense=())
    assert pooled_blocks(settings, (side, side, 1)) == pooled
    model = build_model(settings, (side, side, 1), 10, Randomness(0))
    assert sum(name.endswith("_pool") for name in layer_names(model)) == pooled
    assert model.predict(np.zeros((1, side, side, 1)), verbose=0).shape == (1, 10)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "dropout": st.sampled_from([0.2, 0.5]),
            "batch_norm": st.booleans(),
            "depth": st.just(2),
            "order": st.just("batch_norm_first"),
            "dropout_after": st.just(("conv",)),
        },
    ),
)
def test_variants_share_the_initial_weights_of_the_layers_they_share(
    seed: int, changes: dict[str, object]
) -> None:
    base = {"blocks": ((3,), (4,)), "dense": (5,)}
    plain = build_model(CnnSettings(**base), (8, 8, 1), 3, Randomness(seed))
    other = build_model(CnnSettings(**base, **changes), (8, 8, 1), 3, Randomness(seed))
    kernels = [layer for layer in plain.layers if layer.weights]
    assert len(kernels) == 4
    for layer in kernels:
        for mine, theirs in zip(layer.get_weights(), other.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_another_seed_and_another_layer_start_from_other_weights() -> None:
    settings = CnnSettings(blocks=((4, 4, 4),), dense=())
    one, other = (build_model(settings, CIFAR, 10, Randomness(seed)) for seed in (0, 1))
    assert not np.array_equal(one.get_layer("output").kernel, other.get_layer("output").kernel)
    assert not np.array_equal(one.get_layer("block1_conv2").kernel, one.get_layer("block1_conv3").kernel)


def test_every_layer_that_draws_has_a_seed_of_its_own() -> None:
    model = build_model(CnnSettings(dropout=0.2, batch_norm=True), CIFAR, 10, Randomness(3))
    seeds = [layer.seed for layer in model.layers if type(layer).__name__ == "Dropout"]
    seeds += [layer.kernel_initializer.seed for layer in model.layers if hasattr(layer, "kernel_initializer")]
    assert None not in seeds
    assert len(set(seeds)) == len(seeds) == 12


def test_batch_orders_are_permutations_that_differ_by_epoch_and_seed() -> None:
    orders = [Randomness(seed).batch_order(epoch, 50) for seed in (0, 1) for epoch in (1, 2)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(50))
    assert all(not np.array_equal(a, b) for a, b in pairwise(orders))
    np.testing.assert_array_equal(orders[0], Randomness(0).batch_order(1, 50))


def test_streams_do_not_share_seeds() -> None:
    assert len({derive_seed(0, stream, "x") for stream in STREAMS}) == len(STREAMS)


@pytest.mark.parametrize("varied", STREAMS)
def test_only_the_streams_that_vary_follow_the_seed(varied: Stream) -> None:
    zero, one = (Randomness(seed, (varied,)) for seed in (0, 1))
    for stream in STREAMS:
        assert (zero.derive(stream, "x") == one.derive(stream, "x")) is (stream != varied)
    same_order = np.array_equal(zero.batch_order(1, 50), one.batch_order(1, 50))
    assert same_order is (varied != "order")


def test_augmentation_changes_training_images_and_no_others() -> None:
    settings = CnnSettings(blocks=((4,),), augmentation=("flip", "shift", "rotate"))
    model = build_model(settings, (8, 8, 1), 3, Randomness(0))
    assert layer_names(model)[:3] == ["augment_flip", "augment_shift", "augment_rotate"]
    images = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    changed = images
    for layer in model.layers[:3]:
        np.testing.assert_array_equal(layer(images, training=False), images)
        changed = layer(changed, training=True)
    assert not np.allclose(changed, images)


@pytest.mark.slow
def test_a_saved_model_with_a_layer_of_augmentation_is_loaded_in_another_process(tmp_path: Path) -> None:
    """Keras has to know the layer that is active in training mode only."""
    zoom = Component(name="RandomZoom", arguments={"height_factor": 0.1})
    changed = CnnSettings(blocks=((4,),), dense=(8,), augmentation=("flip", zoom))
    model = build_model(changed, (8, 8, 1), 10, Randomness(0))
    model.save(tmp_path / "model.keras")
    images = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    code = f"""
        import keras
        import numpy as np
        from ablation.models.training_only import TrainingOnly

        model = keras.saving.load_model({str(tmp_path / "model.keras")!r})
        assert isinstance(model.layers[1], TrainingOnly)
        images = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
        print(*model(images, training=False).numpy()[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    loaded = [float(number) for number in done.stdout.splitlines()[-1].split()]
    np.testing.assert_allclose(loaded, np.asarray(model(images, training=False))[0], rtol=1e-5)
