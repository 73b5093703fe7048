"""Settings that do not fit the model, the images or each other are refused before anything is trained."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_trial

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import AblationError, GridError
from ablation.training.trial_runner import run_trial
from ablation.workflow.check import check_study

OWN = """
    import keras

    def total(y_true, y_pred):
        return keras.ops.sum(keras.losses.categorical_crossentropy(y_true, y_pred))

    def broken(y_true, y_pred):
        raise ValueError("no loss today")  # here

    class Summed(keras.losses.Loss):
        def __init__(self):
            super().__init__(reduction="sum")

        def call(self, y_true, y_pred):
            return keras.losses.mean_squared_error(y_true, y_pred)

    def right(y_true, y_pred):
        return float((y_true.argmax(1) == y_pred.argmax(1)).mean())

    def averaging(learning_rate):
        return keras.optimizers.SGD(learning_rate, use_ema=True)

    def fixed(learning_rate):
        return keras.optimizers.SGD(0.7)

    def fixed_schedule(learning_rate):
        return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.7, 9))

    def schedule(learning_rate):
        return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(10 * learning_rate, 9))

    def several(learning_rate):
        chosen = keras.optimizers.OptimizerMap(keras.optimizers.Adam(learning_rate), {"other": keras.optimizers.SGD(0.1)})
        return keras.optimizers.MultiOptimizer(chosen)

    def two(image_shape, classes, units=2):
        ending = "softmax" if units == 2 else "sigmoid"
        return keras.Sequential([
            keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(units, ending, name="output")
        ])
"""
GRID = """
    study: s
    seeds: 1
    dataset: {train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [4]}
    training: {epochs: 1, TRAINING}
    factors: {width: [1, 2]}
"""


def study_of(folder: Path, training: str) -> Study:
    (folder / "own_fit.py").write_text(textwrap.dedent(OWN))
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID).replace("TRAINING", training))
    return Study.from_yaml(folder / "grid.yaml")


SOFTMAX = "treats the outputs as independent probabilities, like those of sigmoid, but this model's outputs sum to 1, like those of softmax."


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("loss: binary_crossentropy",
         f"plain: the loss binary_crossentropy {SOFTMAX} Use categorical_crossentropy."),
        ("loss: {BinaryFocalCrossentropy: {gamma: 3}}",
         f"plain: the loss BinaryFocalCrossentropy(gamma=3) {SOFTMAX} Use CategoricalFocalCrossentropy(gamma=3)."),
        ("metrics: [binary_crossentropy]",
         f"plain: the metric BinaryCrossentropy {SOFTMAX} Remove it from `training: {{metrics: [...]}}`."),
        ("optimizer: {SGD: {use_ema: true}}, evaluate: best",
         "plain: with `use_ema`, the averages of the weights take effect at the end of training, but `evaluate: best` "
         "tests the weights of one epoch. Add `callbacks: [SwapEMAWeights]`, so that each epoch is measured with its "
         "averages, or remove `evaluate: best`."),
        ("optimizer: {SGD: {ema_momentum: 0.9}}",
         "plain: `ema_momentum` has no effect without `use_ema: true` beside it."),
        ("callbacks: [SwapEMAWeights]",
         "plain: SwapEMAWeights needs an optimizer that averages the weights, like `optimizer: {Adam: {use_ema: true}}`."),
        ("optimizer: {SGD: {use_ema: true}}, callbacks: [{SwapEMAWeights: {swap_on_epoch: true}}], early_stopping: {}",
         "plain: with `swap_on_epoch`, Keras takes the averages of the weights in the last planned epoch, which early "
         "stopping may never reach. Remove `swap_on_epoch`: each epoch is measured with the averages without it, too."),
        ("class_weight: {10: 2}",
         "plain: class_weight: there is no class '10'. Did you mean '1'? A class can also be given by its number, from 0 "
         "to 9."),
        ('metrics: ["own_fit:right"], callbacks: [{EarlyStopping: {monitor: val_right}}]',
         "plain: EarlyStopping monitors 'val_right', and Keras does not know whether higher or lower values are better. Add "
         "`mode: max` or `mode: min`."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_starts(
    training: str, message: str, tmp_path: Path
) -> None:
    study = study_of(tmp_path, training)
    for attempt in (
        lambda: run_study(study, tmp_path / "run", executor="inline"),
        lambda: check_study(study),
    ):
        with pytest.raises(GridError) as caught:
            attempt()
        assert str(caught.value) == message
    assert not (tmp_path / "run" / "study.json").exists()


@pytest.mark.parametrize("optimizer", ["fixed", "fixed_schedule", "schedule", "several"])
def test_an_optimizer_that_ignores_the_learning_rate_is_told(
    optimizer: str, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    from ablation.training.compilation import compiled_model

    study = study_of(tmp_path, f'optimizer: "own_fit:{optimizer}", learning_rate: 0.02')
    trial = study.trials(tiny_dataset.digest)[0]
    if not optimizer.startswith("fixed"):
        compiled_model(trial, tiny_dataset)
        return
    with pytest.raises(AblationError) as caught:
        compiled_model(trial, tiny_dataset)
    assert str(caught.value) == (
        f"own_fit:{optimizer} does not use the argument `learning_rate`, so that training.learning_rate would have no "
        "effect. Pass the argument on to the optimizer."
    )


MEAN = "which is not a mean over images, so that losses of parts of different sizes cannot be compared. Remove `reduction`."


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("loss: {CategoricalCrossentropy: {reduction: sum}}",
         f"CategoricalCrossentropy has the reduction sum, {MEAN}"),
        ("loss: {CategoricalCrossentropy: {reduction: none}}",
         f"CategoricalCrossentropy has the reduction none, {MEAN}"),
        ("loss: {Huber: {reduction: null}}", f"Huber has the reduction None, {MEAN}"),
        ('loss: "own_fit:Summed"', f"own_fit:Summed has the reduction sum, {MEAN}"),
        ("loss: {CategoricalCrossentropy: {dtype: float16}}",
         "CategoricalCrossentropy has the dtype float16, but losses are computed in float32 here, whatever the "
         "precision of the model is. Remove `dtype`."),
        ("metrics: [{AUC: {dtype: float16}}]",
         "AUC is computed in float32 here, whatever the precision of the model is; remove `dtype`."),
        ("loss: circle", "Circle expects integer labels, but labels are one-hot here; use CategoricalCrossentropy."),
        *(
            (f"class_weight: {weights}", "training.class_weight: expected balanced, or a mapping of classes to weights, "
                                         "numbers of at least 0, like {cat: 2}")
            for weights in ("even", "{zero: -1}", "{}", "{zero: many}", "[1, 2]", "true", "{zero: .nan}")
        ),
    ],
)  # fmt: skip
def test_it_is_refused_with_its_line_where_the_grid_alone_says_so(
    training: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(GridError) as caught:
        study_of(tmp_path, training)
    assert message in str(caught.value)
    assert "grid.yaml, line 6" in str(caught.value)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ('loss: "own_fit:total"',
         "own_fit:total adds up over images: it is 22.02 for 8 images, and 44.05 for the same images twice. Return one "
         "value per image, or their mean, so that losses of parts of different size can be compared."),
        ('loss: "own_fit:broken"',
         "own_fit:broken cannot be computed: ValueError: no loss today (own_fit.py, line 8). It receives one-hot labels "
         "and probabilities, two tensors of the shape (images, 10)."),
        ('optimizer: "own_fit:averaging", evaluate: best', "with `use_ema`, the averages of the weights take effect"),
    ],
)  # fmt: skip
def test_what_only_custom_code_knows_is_refused_before_the_first_step(
    training: str, message: str, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    trial = study_of(tmp_path, training).trials(tiny_dataset.digest)[0]
    with pytest.raises(AblationError) as caught:
        run_trial(trial, tiny_dataset, tmp_path)
    assert message in str(caught.value)


def test_a_binary_loss_fits_one_unit_and_not_a_softmax_of_two(tiny_dataset: Dataset, tmp_path: Path) -> None:
    from dataclasses import replace

    from ablation.data.datasets import Part

    parts = {
        name: Part(part.images, (part.labels > 4).astype(part.labels.dtype))
        for name, part in (("train", tiny_dataset.train), ("val", tiny_dataset.val), ("test", tiny_dataset.test))
    }  # fmt: skip
    halves = replace(tiny_dataset, class_names=("low", "high"), **parts)
    text = textwrap.dedent(GRID).replace("TRAINING", "loss: binary_crossentropy")
    text = text.replace("{family: dense, dense: [4]}", '{builder: "own_fit:two"}').replace(
        "width: [1, 2]", "units: [1, 2]"
    )
    (tmp_path / "own_fit.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "grid.yaml").write_text(text)
    unit, softmax = Study.from_yaml(tmp_path / "grid.yaml").trials(halves.digest)
    assert run_trial(unit, halves, tmp_path).status == "completed"
    with pytest.raises(AblationError) as caught:
        run_trial(softmax, halves, tmp_path)
    assert str(caught.value) == f"the loss binary_crossentropy {SOFTMAX} Use categorical_crossentropy."


def test_a_loss_is_measured_beyond_the_clip_of_probabilities(tiny_dataset: Dataset) -> None:
    """A model that is wrong and sure of it has a larger loss than one of probabilities clipped at 1e-7."""
    from scipy.special import logsumexp, softmax

    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    trial = tiny_trial(tiny_dataset, family="dense", dense=(8,))
    model = compiled_model(trial, tiny_dataset)
    kernel = model.get_layer("output").kernel
    kernel.assign(100 * kernel.numpy())
    loop = CompiledLoop(model, tiny_dataset, trial.training)
    outputs, true = loop.predict(tiny_dataset.test), tiny_dataset.test.labels
    assert outputs.logits is not None
    logits = outputs.logits.astype(float)
    np.testing.assert_allclose(outputs.probabilities, softmax(logits, axis=1), rtol=1e-4, atol=1e-30)
    exact = np.mean(logsumexp(logits, axis=1) - logits[range(50), true])
    clipped = -np.log(np.clip(outputs.probabilities[range(50), true], 1e-7, 1)).mean()
    assert clipped < exact - 1
    assert loop.measure(tiny_dataset.test)["loss"] == pytest.approx(exact, rel=1e-5)
