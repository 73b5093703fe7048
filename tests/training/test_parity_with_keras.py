"""Our loop trains, logs and evaluates as Keras's `fit` and `evaluate` do on the same batches.

A table of layers, optimizers, schedules, losses and callbacks is trained both ways from the same initial
weights. The rows in `FAST` run in the gate, all of them with `pytest -m slow`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import parity_models
import pytest

from ablation import Study
from ablation.data.datasets import Dataset, Part
from ablation.grid.trial import Trial, TrialResult
from ablation.models.build import build_model
from ablation.training import trial_runner

EPOCHS, BATCH = 3, 16
RATE = 0.01


@dataclass(frozen=True)
class Row:
    """One training: its model, and settings as a grid writes them.

    Attributes:
        model: The ``model:`` section.
        training: Settings of training beside epochs, batch size and learning rate.
        keras: The arguments of Keras's `compile` that differ from the settings' own names.
        images: Which images: ``digits``, ``halves`` (two classes) or ``labels`` (several labels per image).
    """

    model: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    keras: dict[str, Any] = field(default_factory=dict)
    images: str = "digits"


def own(builder: str, **arguments: Any) -> dict[str, Any]:
    return {"builder": f"parity_models:{builder}", **arguments}


DENSE = {"family": "dense", "dense": [8]}
ROWS = {
    **{f"layer-{layer}": Row(own("cnn", layer=layer)) for layer in parity_models.LAYERS},
    "layer-built-in": Row({"blocks": [[4], [4]], "dense": [8], "batch_norm": True, "batch_norm_momentum": 0.5}),
    "model-subclassed-without-training": Row(own("subclassed")),
    "model-augmented-without-training": Row({**own("subclassed"), "augmentation": [{"GaussianNoise": {"stddev": 0.0}}]}),
    "model-added-loss": Row(own("added_loss")),
    "model-confident": Row(own("confident")),
    "model-separate-activation": Row(own("separate_activation")),
    "model-one-unit": Row(own("one_unit"), images="halves", keras={"loss": "binary_crossentropy"}),
    "model-one-unit-squares": Row(own("one_unit"), {"loss": "mean_squared_error"}, images="halves"),
    "model-one-unit-focal": Row(own("one_unit", stddev=0.5), {"loss": "binary_focal_crossentropy"}, images="halves"),
    "model-one-unit-smoothed": Row(
        own("one_unit"), {"loss": {"CategoricalCrossentropy": {"label_smoothing": 0.2}}}, images="halves",
        keras={"loss": {"BinaryCrossentropy": {"label_smoothing": 0.2}}},
    ),
    "model-labels": Row(own("labels"), {"loss": "binary_crossentropy"}, images="labels"),
    "model-labels-focal": Row(own("labels"), {"loss": "binary_focal_crossentropy"}, images="labels"),
    **{
        f"optimizer-{name}": Row(DENSE, {"optimizer": optimizer})
        for name, optimizer in {
            "adam": "adam", "rmsprop": "rmsprop", "nadam": "nadam", "lion": "lion", "adagrad": "adagrad",
            "adamax": "adamax", "ftrl": "ftrl", "adafactor": "adafactor", "adadelta": "adadelta", "lamb": "lamb",
            "muon": "muon",
            "adamw": {"AdamW": {"weight_decay": 0.1}},
            "momentum": {"SGD": {"momentum": 0.9, "nesterov": True}},
            "clipnorm": {"SGD": {"clipnorm": 0.1}},
            "global-clipnorm": {"Adam": {"global_clipnorm": 0.1}},
            "clipvalue": {"SGD": {"clipvalue": 0.01}},
            "accumulated": {"SGD": {"gradient_accumulation_steps": 2}},
            "accumulated-clipnorm": {"Adam": {"gradient_accumulation_steps": 3, "clipnorm": 0.1}},
            "average": {"SGD": {"use_ema": True, "ema_momentum": 0.9}},
            "average-overwriting": {"SGD": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2}},
            "weight-decay": {"SGD": {"weight_decay": 0.1}},
            "loss-scale": {"SGD": {"loss_scale_factor": 128}},
            "amsgrad": {"Adam": {"amsgrad": True}},
        }.items()
    },
    **{
        f"rate-{name}": Row(DENSE, {"learning_rate": schedule})
        for name, schedule in {
            "cosine": {"CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10}},
            "piecewise": {"PiecewiseConstantDecay": {"boundaries": [3, 8], "values": [0.1, 0.01, 0.001]}},
            "warm-up": {"CosineDecay": {
                "initial_learning_rate": 0.0, "decay_steps": 10, "warmup_target": 0.1, "warmup_steps": 4,
            }},
        }.items()
    },
    **{
        f"loss-{loss if isinstance(loss, str) else next(iter(loss)) + '-' + '-'.join(next(iter(loss.values())))}": Row(
            DENSE, {"loss": loss}
        )
        for loss in (
            "categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence", "mean_squared_error",
            "mean_absolute_error", "huber", "log_cosh", "poisson", "categorical_hinge", "cosine_similarity",
            "dice", "squared_hinge",
            {"CategoricalCrossentropy": {"label_smoothing": 0.1}},
            {"CategoricalFocalCrossentropy": {"alpha": 0.5}},
            {"Tversky": {"alpha": 0.3}},
        )
    },
    "loss-of-a-confident-model": Row(own("confident"), {"loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}}}),
    **{
        f"callback-{name}": Row(DENSE, {"callbacks": callbacks, "optimizer": optimizer})
        for name, callbacks, optimizer in (
            ("schedule", ["parity_models:Halve"], "sgd"),
            ("stopping", [{"EarlyStopping": {"monitor": "val_accuracy", "patience": 1, "min_delta": 0.5,
                                             "restore_best_weights": True}}], "sgd"),
            ("plateau", [{"ReduceLROnPlateau": {"monitor": "val_loss", "patience": 1, "min_delta": 9}}], "sgd"),
            ("average-when-testing", [{"SwapEMAWeights": {}}], {"SGD": {"use_ema": True, "ema_momentum": 0.9}}),
            ("average-after-epochs", [{"SwapEMAWeights": {"swap_on_epoch": True}}],
             {"SGD": {"use_ema": True, "ema_momentum": 0.9}}),
        )
    },
    "callback-penalised": Row(own("cnn", layer="weight_penalty"), {
        "callbacks": [{"ReduceLROnPlateau": {"monitor": "loss", "patience": 1, "min_delta": 9}}],
    }),
    "weights-numbers": Row(DENSE, {"class_weight": {0: 5.0, 3: 0.5}}),
    "weights-names": Row(DENSE, {"class_weight": {"nine": 4.0}}, {"class_weight": {9: 4.0}}),
    "weights-balanced": Row(DENSE, {"class_weight": "balanced"}),
    "weights-one-unit": Row(
        own("one_unit"), {"class_weight": {"low": 3.0}},
        {"class_weight": {0: 3.0}, "loss": "binary_crossentropy"}, "halves",
    ),
    # A float16 gradient that overflows in one of two roundings of BatchNorm is a step that only one side takes.
    "precision-mixed_float16": Row({"blocks": [[4]], "dense": [8]}, {"precision": "mixed_float16"}),
    # The offset of a BatchNorm in front of another one has no gradient but rounding, here of 8 bits.
    "precision-mixed_bfloat16": Row(
        {
            "blocks": [[4]], "dense": [8], "batch_norm": True, "batch_norm_momentum": 0.5,
            "batch_norm_after": ["conv", "dense"],
        },
        {"precision": "mixed_bfloat16"},
    ),
}  # fmt: skip

FAST = (
    "layer-built-in", "layer-activity_penalty", "model-subclassed-without-training",
    "model-augmented-without-training", "model-added-loss", "model-confident", "model-one-unit", "model-labels",
    "optimizer-average", "optimizer-clipnorm", "loss-dice", "callback-average-after-epochs", "callback-stopping",
    "weights-names",
)  # fmt: skip

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def datasets(tiny_dataset: Dataset) -> dict[str, Dataset]:
    """The tiny digits; the same as low and high halves; and with the binary figures of a digit as labels."""

    def relabelled(names: tuple[str, ...], labels: Any) -> Dataset:
        parts = {
            name: Part(part.images, labels(part.labels))
            for name, part in (
                ("train", tiny_dataset.train),
                ("val", tiny_dataset.val),
                ("test", tiny_dataset.test),
            )
        }
        return replace(tiny_dataset, class_names=names, **parts)

    return {
        "digits": relabelled(WORDS, lambda y: y),
        "halves": relabelled(("low", "high"), lambda y: (y > 4).astype(y.dtype)),
        "labels": relabelled(("ones", "twos", "fours"), lambda y: (y[:, None] >> np.arange(3) & 1).astype(np.uint8)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity")
    shutil.copy(parity_models.__file__, path)
    return path


@pytest.mark.parametrize("name", FAST)
def test_a_representative_row(name: str, datasets: dict[str, Dataset], folder: Path) -> None:
    _compare(ROWS[name], datasets[ROWS[name].images], folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ROWS if name not in FAST])
def test_every_other_row(name: str, datasets: dict[str, Dataset], folder: Path) -> None:
    _compare(ROWS[name], datasets[ROWS[name].images], folder)


def _compare(row: Row, dataset: Dataset, folder: Path) -> None:
    trial = _trial(row, dataset, folder)
    ours = _OurTraining(trial, dataset, folder)
    theirs = _KerasTraining(row, trial, dataset, folder)
    tolerance = 0.03 if "precision" in row.training else 1e-3
    assert ours.result.status == "completed"
    assert len(ours.result.history) == len(theirs.logs["loss"])
    for epoch, record in enumerate(ours.result.history):
        logged = {"loss": record.loss, "val_loss": record.val_loss + record.penalty,
                  "accuracy": record.accuracy, "val_accuracy": record.val_accuracy}  # fmt: skip
        for key, value in logged.items():
            assert value == pytest.approx(theirs.logs[key][epoch], rel=tolerance, abs=1e-5), (key, epoch)
    for mine, keras_ in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=tolerance, atol=1e-5 + tolerance * np.abs(keras_).max())
    for key, value in theirs.evaluations.items():
        assert ours.result.metrics[key] == pytest.approx(value, rel=tolerance, abs=1e-5), key


def _trial(row: Row, dataset: Dataset, folder: Path) -> Trial:
    defaults = {"epochs": EPOCHS, "batch_size": BATCH, "optimizer": "sgd", "learning_rate": RATE}
    grid = {"study": "parity", "seeds": 1, "model": row.model, "training": defaults | row.training}
    (folder / "grid.yaml").write_text(json.dumps(grid))
    return Study.from_yaml(folder / "grid.yaml").trials(dataset.digest)[0]


class _OurTraining:
    """The result of a trial, and the weights that it ended with."""

    def __init__(self, trial: Trial, dataset: Dataset, folder: Path) -> None:
        loops = []
        compiled_loop = trial_runner.CompiledLoop

        class Kept(compiled_loop):  # type: ignore[misc,valid-type]
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                loops.append(self)

        trial_runner.CompiledLoop = Kept  # type: ignore[misc]
        trial_runner._warm.clear()
        try:
            self.result: TrialResult = trial_runner.run_trial(trial, dataset, folder)
        finally:
            trial_runner.CompiledLoop = compiled_loop  # type: ignore[misc]
        self.weights = [np.asarray(w, np.float32) for w in loops[0].model.get_weights()]


class _KerasTraining:
    """The same training by Keras's own `compile`, `fit` and `evaluate`."""

    def __init__(self, row: Row, trial: Trial, dataset: Dataset, folder: Path) -> None:
        import keras

        keras.utils.clear_session()
        classes, multi_label = len(dataset.class_names), dataset.is_multi_label
        model = build_model(
            trial.model, dataset.image_shape, classes, trial.randomness, multi_label, trial.training
        )
        assert model.dtype_policy.name == trial.training.precision
        settings = {"optimizer": "sgd", "loss": "categorical_crossentropy"} | row.training | row.keras
        rate = settings.get("learning_rate", RATE)
        rate = _part("optimizers.schedules", rate) if isinstance(rate, dict) else rate
        metric = keras.metrics.CategoricalAccuracy("accuracy")
        if row.images == "halves":
            metric = keras.metrics.BinaryAccuracy("accuracy")
        if row.images == "labels":
            metric = keras.metrics.MeanMetricWrapper(_exact_match, name="accuracy")
        model.compile(
            _part("optimizers", settings["optimizer"], learning_rate=rate),
            _part("losses", settings["loss"]),
            metrics=[metric],
            jit_compile=False,
        )

        def targets(part: Part) -> Any:
            if row.images == "digits":
                return keras.utils.to_categorical(part.labels, classes)
            return part.labels.reshape(len(part.labels), -1).astype(np.float32)

        images, labels = dataset.normalise(dataset.train.images), targets(dataset.train)
        weights = _image_weights(settings.get("class_weight"), dataset.train.labels)

        def batches() -> Iterator[tuple[Any, ...]]:
            for epoch in range(1, EPOCHS + 1):
                order = trial.randomness.batch_order(epoch, len(images))
                for start in range(0, len(images), BATCH):
                    batch = order[start : start + BATCH]
                    yield (images[batch], labels[batch], *(w[batch] for w in weights))

        parts = {"train": dataset.train_probe, "val": dataset.val, "test": dataset.test}
        arrays = {name: (dataset.normalise(part.images), targets(part)) for name, part in parts.items()}
        callbacks = [_callback(c) for c in settings.get("callbacks", ())]
        fitted = model.fit(
            batches(), steps_per_epoch=-(-len(images) // BATCH), epochs=EPOCHS, verbose=0, shuffle=False,
            validation_data=arrays["val"], validation_batch_size=1000, callbacks=callbacks,
        )  # fmt: skip
        self.logs = fitted.history
        self.weights = [np.asarray(w, np.float32) for w in model.get_weights()]
        self.evaluations = {}
        for name, (pixels, true) in arrays.items():
            values = model.evaluate(pixels, true, batch_size=1000, verbose=0, return_dict=True)
            self.evaluations[f"{name}_accuracy"] = values["accuracy"]
            model(pixels, training=False)
            penalty = float(sum(model.losses)) if model.losses else 0.0
            self.evaluations[f"{name}_loss"] = values["loss"] - penalty


def _part(module: str, spec: Any, **more: Any) -> Any:
    """Return an object of Keras from its name, or from a mapping of its name to arguments."""
    import keras

    name, arguments = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    home = keras
    for part in module.split("."):
        home = getattr(home, part)
    if module == "losses" and isinstance(spec, str):
        return home.get(name)
    found = next(v for k, v in vars(home).items() if k.lower() == name.replace("_", "").lower())
    return found(**arguments, **more)


def _callback(spec: Any) -> Any:
    return parity_models.Halve() if spec == "parity_models:Halve" else _part("callbacks", spec)


def _image_weights(class_weight: Any, labels: Any) -> list[Any]:
    if class_weight is None:
        return []
    if class_weight == "balanced":
        counts = np.bincount(labels)
        class_weight = {k: len(labels) / (len(counts) * n) for k, n in enumerate(counts)}
    return [np.array([class_weight.get(int(label), 1.0) for label in labels], np.float32)]


def _exact_match(true: Any, predicted: Any) -> Any:
    import tensorflow as tf

    right = tf.equal(predicted > 0.5, tf.cast(true, tf.float32) > 0.5)
    return tf.cast(tf.reduce_all(right, axis=-1), tf.float32)
