"""The compiled loop computes what Keras computes, and measures what it says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tiny_trial

from ablation import Run
from ablation.data.datasets import Dataset, Part
from ablation.grid.seeding import Randomness
from ablation.grid.trial import EpochRecord, TrialResult


def train(trial: object, dataset: Dataset, folder: Path, **options: object) -> TrialResult:
    from ablation.training.trial_runner import run_trial

    return run_trial(trial, dataset, folder, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_trains_as_keras_trains_on_the_same_batches(
    optimizer: str, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    import keras

    from ablation.training.compilation import compiled_model

    # The offset of a BatchNorm in front of another one has no gradient but rounding, which Adam blows up.
    stages = ("conv", "dense")
    trial = tiny_trial(
        tiny_dataset, optimizer=optimizer, batch_norm=True, batch_norm_after=stages, learning_rate=0.01
    )
    result = train(trial, tiny_dataset, tmp_path, save_model=True)
    ours = keras.models.load_model(tmp_path / "model.keras")

    theirs = compiled_model(trial, tiny_dataset)
    images = tiny_dataset.normalise(tiny_dataset.train.images)
    labels = keras.utils.to_categorical(tiny_dataset.train.labels, 10)
    for epoch in (1, 2):
        order = Randomness(0).batch_order(epoch, 60)
        running = np.zeros(2)
        for start in range(0, 60, 16):
            batch = order[start : start + 16]
            theirs.reset_metrics()  # which train_on_batch does itself from Keras 3.15 on
            loss, accuracy = theirs.train_on_batch(images[batch], labels[batch])
            running += len(batch) * np.array([float(loss), float(accuracy)])
        assert result.history[epoch - 1].loss == pytest.approx(running[0] / 60, rel=1e-4)
        assert result.history[epoch - 1].accuracy == pytest.approx(running[1] / 60, rel=1e-6)
    for mine, keras_ in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=1e-3, atol=1e-5)

    for part, name in (
        (tiny_dataset.train_probe, "train"),
        (tiny_dataset.val, "val"),
        (tiny_dataset.test, "test"),
    ):
        expected = theirs.evaluate(
            tiny_dataset.normalise(part.images), keras.utils.to_categorical(part.labels, 10),
            verbose=0, return_dict=True,
        )  # fmt: skip
        assert result.metrics[f"{name}_loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert result.metrics[f"{name}_accuracy"] == pytest.approx(expected["accuracy"], rel=1e-6)


def test_training_on_the_first_images_is_training_on_a_set_of_no_others(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    part = train(tiny_trial(tiny_dataset, train_size=20), tiny_dataset, tmp_path)
    alone = train(tiny_trial(tiny_dataset), tiny_dataset.first(20), tmp_path / "whole")
    assert part.metrics == alone.metrics
    assert part.history[0].order == alone.history[0].order


def test_training_accuracy_is_measured_with_dropout_asleep(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """At a rate of 0.9 the logged accuracy is poor for ever, and the measured one is not."""
    trial = tiny_trial(
        tiny_dataset, epochs=60, dropout=0.9, dropout_after=("dense",), dense=(32,), learning_rate=0.01
    )
    last = train(trial, tiny_dataset, tmp_path).history[-1]
    assert last.train_accuracy > last.accuracy + 0.2


def test_the_logged_gap_is_its_three_parts(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """Dropout makes the logged gap negative; its parts say that the model overfits all the same."""
    from ablation.analysis.trial_tables import history_table

    trial = tiny_trial(
        tiny_dataset, epochs=60, dropout=0.7, dropout_after=("dense",), dense=(32,), learning_rate=0.01
    )
    table = history_table([trial], {trial.id: train(trial, tiny_dataset, tmp_path)})
    parts = table["running_average_lag"] + table["dropout_active_bias"] + table["true_gap"]
    np.testing.assert_allclose(table["logged_gap"], parts, atol=1e-12)
    last = table.tail(10).mean(numeric_only=True)
    assert last["dropout_active_bias"] < -0.1
    assert last["true_gap"] > last["logged_gap"] + 0.1


def test_measuring_in_training_mode_leaves_no_trace(tiny_dataset: Dataset, tmp_path: Path) -> None:
    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    trial = tiny_trial(tiny_dataset, dropout=0.5, batch_norm=True, augmentation=("shift",))
    model = compiled_model(trial, tiny_dataset)
    loop = CompiledLoop(model, tiny_dataset, trial.training)
    before = [variable.numpy().tobytes() for variable in model.variables]
    inactive = loop.measure(tiny_dataset.train_probe)
    first = loop.measure_active(tiny_dataset.train_probe, inactive)
    loop.variance_shift(tiny_dataset.train_probe)
    assert [variable.numpy().tobytes() for variable in model.variables] == before
    assert loop.measure_active(tiny_dataset.train_probe, inactive) == first
    assert loop.measure(tiny_dataset.train_probe) == inactive


@pytest.mark.parametrize(("rate", "ratio"), [(0.0, 1.0), (0.2, 1.25), (0.5, 2.0)])
def test_dropout_before_batch_norm_shifts_the_variance(
    rate: float, ratio: float, tiny_dataset: Dataset
) -> None:
    """Of zero-mean input, dropout at rate p leaves 1 / (1 - p) of the variance (Li et al., 2018)."""
    import keras

    from ablation.grid.settings import TrainingSettings
    from ablation.training.loop import CompiledLoop

    images = np.random.default_rng(0).standard_normal((256, 8, 8, 3), np.float32)
    part = Part(images, np.arange(256) % 10)
    dataset = replace(
        tiny_dataset, train=part, val=part, test=part,
        scale=np.ones(3, np.float32), offset=np.zeros(3, np.float32),
    )  # fmt: skip
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Dropout(rate, seed=1),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile("sgd", "categorical_crossentropy")
    shift = CompiledLoop(model, dataset, TrainingSettings()).variance_shift(part)
    assert shift == {"norm": pytest.approx(ratio, rel=0.03 if rate else 1e-9)}


def test_the_shift_is_measured_for_every_batch_norm_layer_of_a_trial(finished_run: Run) -> None:
    table = finished_run.variance_shift
    assert set(table["variant"]) == {"+BatchNorm", "+both"}
    layers = ["block1_conv1", "block2_conv1", "flatten", "dense1"]
    own = table[(table["variant"] == "+both") & (table["seed"] == 0)]
    assert own["layer"].tolist() == [f"{layer}_batch_norm" for layer in layers]
    first = table[table["layer"] == "block1_conv1_batch_norm"].groupby("variant")["ratio"].mean()
    assert first["+BatchNorm"] == pytest.approx(1)
    assert first["+both"] > 1.05


def test_the_same_trial_gives_the_same_bits(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = tiny_trial(tiny_dataset, dropout=0.3, batch_norm=True)
    runs = []
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        result = train(trial, tiny_dataset, tmp_path / str(k))
        runs.append((result.metrics, [r.model_copy(update={"seconds": 0}) for r in result.history]))
        train(tiny_trial(tiny_dataset, seed=5 + k), tiny_dataset, tmp_path / str(k))  # another in between
    assert runs[0] == runs[1]


def test_the_seeds_of_a_variant_share_its_graphs(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """Tracing is the dearest part of a small trial; it is done once, and the bits are those of a new graph."""
    first, second = (
        train(tiny_trial(tiny_dataset, seed=s, width=1.5), tiny_dataset, tmp_path) for s in (0, 1)
    )
    other = train(tiny_trial(tiny_dataset, seed=0, width=2), tiny_dataset, tmp_path)
    anew = train(tiny_trial(tiny_dataset, seed=1, width=1.5), tiny_dataset, tmp_path)
    assert ["trace" in result.timing for result in (first, second, other, anew)] == [True, False, True, True]
    assert anew.metrics == second.metrics
    assert sum(second.timing.values()) == pytest.approx(second.seconds, rel=0.1, abs=0.05)


def test_a_model_saved_from_shared_graphs_names_its_own_seeds(tiny_dataset: Dataset, tmp_path: Path) -> None:
    import keras

    for seed in (0, 1):
        train(tiny_trial(tiny_dataset, seed=seed, dropout=0.3), tiny_dataset, tmp_path, save_model=True)
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.get_layer("dense1_dropout").seed == Randomness(1).derive("dropout", "dense1_dropout")
    probabilities = np.load(tmp_path / "test_probabilities.npy")
    again = model.predict(tiny_dataset.normalise(tiny_dataset.test.images), verbose=0)
    np.testing.assert_allclose(again, probabilities, rtol=1e-5, atol=1e-6)


def test_xla_computes_the_same_but_for_rounding(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """The path that a GPU takes, tested on the CPU; 60 images in batches of 16 leave a smaller last one.

    Without dropout: XLA has a random generator of its own.
    """
    settings: dict[str, Any] = {"family": "dense", "dense": (6,), "batch_norm": True}
    plain, compiled = (
        train(tiny_trial(tiny_dataset, jit_compile=jit, **settings), tiny_dataset, tmp_path)
        for jit in (False, True)
    )
    assert compiled.metrics["test_loss"] == pytest.approx(plain.metrics["test_loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "suits"),
    [
        ({"family": "dense", "dense": (6,), "dropout": 0.3, "batch_norm": True}, True),
        ({"family": "dense", "dense": (6,), "augmentation": ("shift",)}, False),
        ({"blocks": ((2,),)}, False),  # max pooling
    ],
)
def test_xla_is_chosen_only_where_it_keeps_the_bits(
    settings: dict[str, Any], suits: bool, tiny_dataset: Dataset
) -> None:
    from ablation.training.compilation import compiled_model
    from ablation.training.loop import _suits_xla

    assert _suits_xla(compiled_model(tiny_trial(tiny_dataset, **settings), tiny_dataset)) is suits


def test_seeds_differ(tiny_dataset: Dataset, tmp_path: Path) -> None:
    one, other = (train(tiny_trial(tiny_dataset, seed=s), tiny_dataset, tmp_path).metrics for s in (0, 1))
    assert one["val_loss"] != other["val_loss"]


def test_the_saved_model_predicts_what_was_tested(tiny_dataset: Dataset, tmp_path: Path) -> None:
    import keras

    trial = tiny_trial(tiny_dataset, dropout=0.3, batch_norm=True)
    result = train(trial, tiny_dataset, tmp_path, save_model=True)
    probabilities = np.load(tmp_path / "test_probabilities.npy")
    assert probabilities.shape == (50, 10)
    assert np.mean(probabilities.argmax(1) == tiny_dataset.test.labels) == result.metrics["test_accuracy"]
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.predict(tiny_dataset.normalise(tiny_dataset.test.images), verbose=0)
    np.testing.assert_allclose(again, probabilities, rtol=1e-5, atol=1e-6)


def test_the_best_epoch_is_chosen_on_validation_and_can_be_the_tested_one(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    settings = {"epochs": 12, "learning_rate": 0.05, "optimizer": "sgd"}
    last = train(tiny_trial(tiny_dataset, **settings), tiny_dataset, tmp_path)
    best = train(tiny_trial(tiny_dataset, evaluate="best", **settings), tiny_dataset, tmp_path)
    accuracies = [record.val_accuracy for record in best.history]
    assert best.best_epoch == last.best_epoch == accuracies.index(max(accuracies)) + 1
    assert best.metrics["val_accuracy"] == max(accuracies)
    assert last.metrics["val_accuracy"] == accuracies[-1]
    shortened = train(
        tiny_trial(tiny_dataset, **settings | {"epochs": best.best_epoch}), tiny_dataset, tmp_path
    )
    assert shortened.metrics == best.metrics  # the weights of that epoch are what was tested


def record(epoch: int, val_loss: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=0,
        accuracy=0,
        active_loss=0,
        active_accuracy=0,
        train_loss=0,
        train_accuracy=0,
        val_loss=val_loss,
        val_accuracy=0,
        seconds=0,
        order="",
    )


@pytest.mark.parametrize(
    ("losses", "stalled"),
    [
        ([3, 2, 1], False),
        ([1, 2], False),
        ([1, 2, 3], True),
        ([2, 1, 1.5, 0.95], False),
        ([2, 1, 1, 1], True),
    ],
)
def test_early_stopping_counts_epochs_without_improvement(losses: list[float], stalled: bool) -> None:
    from ablation.grid.settings import EarlyStopping
    from ablation.training.epochs import has_stalled

    history = [record(epoch, loss) for epoch, loss in enumerate(losses, 1)]
    assert has_stalled(history, EarlyStopping(patience=2)) is stalled


def test_early_stopping_ends_a_trial(tiny_dataset: Dataset, tmp_path: Path) -> None:
    stop = {"monitor": "val_accuracy", "patience": 1, "min_delta": 0.99}
    result = train(tiny_trial(tiny_dataset, epochs=9, early_stopping=stop), tiny_dataset, tmp_path)
    assert (result.status, len(result.history)) == ("completed", 2)


def test_a_diverging_trial_stops_and_says_so(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = tiny_trial(tiny_dataset, epochs=9, optimizer="sgd", learning_rate=1e30, activation="leaky_relu")
    result = train(trial, tiny_dataset, tmp_path)
    assert result.status == "diverged"
    assert len(result.history) < 9
    assert not math.isfinite(result.history[-1].loss)
    assert (
        result.cause == f"the training loss became {result.history[-1].loss} in epoch {len(result.history)}"
    )
    assert "test_accuracy" not in result.metrics


def test_further_metrics_are_measured_on_every_part(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = tiny_trial(tiny_dataset, metrics=("top_k_categorical_accuracy", "auc"))
    result = train(trial, tiny_dataset, tmp_path)
    for part in ("train", "val", "test"):
        assert 0 < result.metrics[f"{part}_top_k_categorical_accuracy"] <= 1
        assert 0 < result.metrics[f"{part}_auc"] <= 1
    assert result.history[0].extra.keys() == {
        f"{part}_{metric}" for part in ("train", "val") for metric in ("top_k_categorical_accuracy", "auc")
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "mean_squared_error"},
        {"loss": "categorical_focal_crossentropy"},
        {"loss": "kl_divergence"},
        {"precision": "mixed_bfloat16"},
        {"precision": "mixed_float16"},
        {"batch_size": 1000},
        *({"optimizer": name} for name in ("adamw", "rmsprop", "nadam", "adamax", "adagrad", "lion")),
        *({"metrics": (name,)} for name in ("precision", "recall", "mean_squared_error")),
    ],
)
def test_every_setting_that_the_grid_offers_trains(
    changes: dict[str, object], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    result = train(tiny_trial(tiny_dataset, epochs=1, **changes), tiny_dataset, tmp_path)
    assert result.status == "completed"
    assert math.isfinite(result.metrics["test_loss"])


def test_the_probe_is_as_large_as_validation_but_never_larger_than_training(tiny_dataset: Dataset) -> None:
    assert len(tiny_dataset.train_probe) == len(tiny_dataset.val) == 40
    small = Part(tiny_dataset.train.images[:10], tiny_dataset.train.labels[:10])
    assert len(replace(tiny_dataset, train=small).train_probe) == 10


def test_real_cifar10_plain_and_both_start_alike_and_see_the_same_batches(
    cifar10_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ablation.training.trial_runner as training
    from ablation.data.datasets import prepare_dataset
    from ablation.grid.dataset_settings import DatasetSettings
    from ablation.grid.settings import CnnSettings, TrainingSettings
    from ablation.grid.trial import Trial

    dataset = prepare_dataset(
        DatasetSettings(
            name="cifar10", path=str(cifar10_folder), train_size=200, validation_size=100, test_size=100
        )
    )
    compiled_loop = training.CompiledLoop
    seen: dict[str, list[bytes]] = {}
    started: dict[str, dict[str, bytes]] = {}
    for name, model in (("plain", CnnSettings()), ("+both", CnnSettings(dropout=0.2, batch_norm=True))):
        trial = Trial(
            variant=name, seed=1, dataset_digest=dataset.digest, model=model,
            training=TrainingSettings(epochs=2, batch_size=50),
        )  # fmt: skip
        batches = seen.setdefault(name, [])

        class Spy(compiled_loop):
            """Records the initial kernels, and each epoch's order on its way into the graph."""

            def __init__(self, model: object, *rest: object, name: str = name) -> None:
                started[name] = {
                    layer.name: layer.kernel.numpy().tobytes()
                    for layer in model.layers  # type: ignore[attr-defined]
                    if hasattr(layer, "kernel")
                }
                super().__init__(model, *rest)  # type: ignore[arg-type]

            def train(self, order: np.ndarray, batches: list[bytes] = batches) -> tuple[float, float]:
                batches.append(order.tobytes())
                return super().train(order)

        monkeypatch.setattr(training, "CompiledLoop", Spy)
        assert train(trial, dataset, tmp_path).status == "completed"
    assert started["plain"] == started["+both"]
    assert len(started["plain"]) == 6
    assert seen["plain"] == seen["+both"]
    assert len(set(seen["plain"])) == 2


def test_images_on_a_gpu_are_stored_so_that_it_can_gather_them_and_give_the_same_bits(
    tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    trial = tiny_trial(tiny_dataset, epochs=1, jit_compile=False)
    results = []
    for gpus in ([], ["a GPU"]):
        monkeypatch.setattr(
            tf.config, "list_physical_devices", lambda kind=None, gpus=gpus: gpus if kind == "GPU" else []
        )
        loop = CompiledLoop(compiled_model(trial, tiny_dataset), tiny_dataset, trial.training)
        assert loop._images.dtype == ("float16" if gpus else "uint8")
        order = trial.randomness.batch_order(1, len(tiny_dataset.train))
        results.append((loop.train(order), loop.measure(tiny_dataset.val)))
    assert results[0] == results[1]
