"""What callbacks see, and what they may not change because graphs have read it already."""

from __future__ import annotations

import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ablation import Study
from ablation.data.datasets import Dataset
from ablation.errors import AblationError
from ablation.training.traced_settings import changed_setting, traced_settings
from ablation.training.trial_runner import run_trial

OWN = """
    import keras
    from keras import layers

    def build(image_shape, classes):
        model = keras.Sequential([
            keras.Input(image_shape), layers.Flatten(), layers.Dense(6, "relu", name="hidden"),
            layers.Dropout(0.1, name="drop"),
            layers.Dense(classes, "softmax", name="output", kernel_regularizer=keras.regularizers.L2(0.1)),
        ])
        model.layers[1].trainable = False
        return model

    class Changing(keras.callbacks.Callback):
        def __init__(self, what, hook="on_epoch_begin"):
            super().__init__()
            self.what, self.hook = what, hook

        def on_train_begin(self, logs=None):
            self.change("on_train_begin", 1)

        def on_epoch_begin(self, epoch, logs=None):
            self.change("on_epoch_begin", epoch)

        def on_test_end(self, logs=None):
            self.change("on_test_end", 1)

        def change(self, hook, epoch):
            if hook == self.hook and epoch == 1:
                model = self.model
                exec(self.what)

    class Positional(keras.callbacks.Callback):
        def on_epoch_begin(self, number, _):
            pass

        def on_epoch_end(self, number, values):
            assert values["loss"] > 0

        def on_train_end(self, _):
            pass

    class Seeing(keras.callbacks.Callback):
        seen = []

        def on_test_begin(self, logs=None):
            self.seen.append("test begins")

        def on_test_end(self, logs=None):
            self.seen.append("test ends")

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, logs))
            self.model.predict(keras.ops.zeros((2, 8, 8, 1)), verbose=0)
"""


def trial_of(folder: Path, dataset: Dataset, callbacks: str, more: str = "") -> object:
    (folder / "own_callbacks.py").write_text(textwrap.dedent(OWN))
    (folder / "grid.yaml").write_text(
        'study: s\nseeds: 1\nmodel: {builder: "own_callbacks:build"}\n'
        f"training: {{epochs: 3, batch_size: 20, optimizer: {{SGD: {{momentum: 0.5}}}}, callbacks: {callbacks}{more}}}\n"
    )
    return Study.from_yaml(folder / "grid.yaml").trials(dataset.digest)[0]


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("model.layers[1].trainable = True", "`trainable` of the layer hidden from False to True"),
        ("model.get_layer('output').trainable = False", "`trainable` of the layer output from True to False"),
        ("model.get_layer('drop').rate = 0.5", "`rate` of the layer drop from 0.1 to 0.5"),
        ("model.optimizer.momentum = 0.9", "`momentum` of the optimizer from 0.5 to 0.9"),
        ("model.get_layer('hidden').activation = keras.activations.tanh", "`activation` of the layer hidden"),
        ("model.compile('adam', 'categorical_crossentropy')", "the optimizer"),
        (
            "model.optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 9)",
            "the learning-rate schedule",
        ),
    ],
)
def test_a_change_that_the_graphs_cannot_see_ends_the_trial(
    what: str, changed: str, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    trial = trial_of(tmp_path, tiny_dataset, f'[{{"own_callbacks:Changing": {{what: "{what}"}}}}]')
    with pytest.raises(AblationError) as caught:
        run_trial(trial, tiny_dataset, tmp_path)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"the callback own_callbacks:Changing changed {changed}, which has no effect: the steps of an epoch were "
        "compiled before. Build the model as it is to be trained, or let the model read a keras.Variable, as the "
        "learning rate is, and change its value."
    )


@pytest.fixture(scope="module")
def model() -> Any:
    import keras
    from keras import layers

    class Masking(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="mask")
            self.mask = np.ones(3)
            self.rates = [0.1, {"deep": 0.2}]
            self._private = 0.5
            self.options = SimpleNamespace(factor=2.0)
            self.noise = keras.random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            return x

    built = keras.Sequential(
        [
            keras.Input((3,)),
            Masking(),
            layers.Dense(
                4,
                kernel_regularizer=keras.regularizers.L1(0.1),
                bias_regularizer=keras.regularizers.L1L2(0.1, 0.1),
                kernel_constraint=keras.constraints.MaxNorm(2),
                name="dense",
            ),
            layers.Dense(4, activity_regularizer="l2", name="active"),
        ]
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    built.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)), loss)
    return built


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("dense.kernel_regularizer.l1 = 100.0", "`l1` of the kernel_regularizer of the layer dense from 0.1 to 100.0"),
        ("dense.bias_regularizer.l2 = 1.0", "`l2` of the bias_regularizer of the layer dense from 0.1 to 1.0"),
        ("active.activity_regularizer.l2 = 1.0", "`l2` of the activity_regularizer of the layer active from 0.01 to 1.0"),
        ("dense.kernel_constraint.max_value = 9", "`max_value` of the kernel_constraint of the layer dense from 2 to 9"),
        ("dense.kernel_regularizer = keras.regularizers.L2(1.0)", "`kernel_regularizer` of the layer dense"),
        ("dense.kernel.regularizer = None", "`regularizer` of the weight kernel of the layer dense"),
        ("dense.bias.trainable = False", "`trainable` of the weight bias of the layer dense from True to False"),
        ("mask.mask[0] = 7", "`mask` of the layer mask"),
        ("mask.rates[1]['deep'] = 7", "`rates` of the layer mask from [0.1, {'deep': 0.2}] to [0.1, {'deep': 7}]"),
        ("mask._private = 7", "`_private` of the layer mask from 0.5 to 7"),
        ("mask.options.factor = 7", "`factor` of the options of the layer mask from 2.0 to 7"),
        ("model.loss._fn_kwargs['label_smoothing'] = 0.9", "`_fn_kwargs` of the loss"),
        ("model.optimizer._learning_rate.alpha = 0.5", "`alpha` of the learning-rate schedule from 0.0 to 0.5"),
        ("dense.kernel.assign(dense.kernel * 2)", ""),
        ("mask.noise.next()", ""),
        ("model.predict(np.ones((2, 3)), verbose=0)", ""),
        ("model.stop_training = True", ""),
    ],
)  # fmt: skip
def test_every_object_that_a_graph_has_read_is_watched(what: str, changed: str, model: Any) -> None:
    import keras

    named = {layer.name: layer for layer in model.layers}
    model.predict(np.ones((2, 3)), verbose=0)
    before = traced_settings(model)
    exec(what, {"keras": keras, "np": np, "model": model, **named})
    assert changed_setting(before, traced_settings(model)).startswith(changed)
    if not changed:
        assert not changed_setting(before, traced_settings(model))


def test_callbacks_are_called_by_position_as_keras_calls_them(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial = trial_of(tmp_path, tiny_dataset, '["own_callbacks:Positional"]')
    assert len(run_trial(trial, tiny_dataset, tmp_path).history) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("hook", ["on_train_begin", "on_test_end"])
def test_it_is_found_wherever_it_is_made(hook: str, tiny_dataset: Dataset, tmp_path: Path) -> None:
    what = "model.get_layer('drop').rate = 0.5"
    trial = trial_of(
        tmp_path, tiny_dataset, f'[{{"own_callbacks:Changing": {{what: "{what}", hook: {hook}}}}}]'
    )
    with pytest.raises(AblationError, match="`rate` of the layer drop from 0.1 to 0.5"):
        run_trial(trial, tiny_dataset, tmp_path)  # type: ignore[arg-type]


def test_variables_may_change_and_the_logs_are_those_of_keras(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """Both losses contain the penalty, as they do in Keras; only `val_loss` of the history does not."""
    what = "model.optimizer.learning_rate = 0.5; model.get_layer('hidden').kernel.assign_add(model.get_layer('hidden').kernel)"
    trial = trial_of(
        tmp_path, tiny_dataset, f'[{{"own_callbacks:Changing": {{what: "{what}"}}}}, "own_callbacks:Seeing"]'
    )
    result = run_trial(trial, tiny_dataset, tmp_path)  # type: ignore[arg-type]
    from ablation.grid.user_code import load_object

    seeing, _ = load_object("own_callbacks:Seeing", tmp_path, "callback")
    assert [entry if isinstance(entry, str) else entry[0] for entry in seeing.seen] == [
        entry for epoch in range(3) for entry in ("test begins", "test ends", epoch)
    ]
    for (_, logs), record in zip(seeing.seen[2::3], result.history, strict=True):
        assert record.penalty > 0.01
        assert logs["loss"] == record.loss > record.active_loss
        assert logs["val_loss"] == record.val_loss + record.penalty
        assert logs["val_accuracy"] == record.val_accuracy
