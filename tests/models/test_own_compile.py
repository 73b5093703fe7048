"""A user's code that compiles its model: what it decides, what the grid decides, and logits."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import AblationError, GridError
from ablation.grid.settings import HyperModelSettings, TrainingSettings
from ablation.grid.trial import Trial
from ablation.models.hypermodel import load_hypermodel
from ablation.training.attempt import attempt
from ablation.training.compilation import compiled_model
from ablation.training.loop import CompiledLoop

MODELS = """
    import keras
    import keras_tuner
    from keras import layers, losses

    LOSSES = {
        "sparse": "sparse_categorical_crossentropy",
        "sparse logits": losses.SparseCategoricalCrossentropy(from_logits=True),
        "smoothed logits": losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        "mse": ["mse"],
        "ignoring": losses.SparseCategoricalCrossentropy(ignore_class=3),
        "two": ["mse", "mae"],
        "circle": "circle",
        "generalized": losses.CategoricalGeneralizedCrossEntropy(),
        "half": losses.SparseCategoricalCrossentropy(dtype="float16"),
        "none": None,
    }

    def build(image_shape=(8, 8, 1), classes=10, own="", activation="softmax", measures=("accuracy",), units=8, **_):
        stack = [layers.Flatten(), layers.Dense(units, "relu", name="hidden"), layers.Dense(classes, activation, name="out")]
        model = keras.Sequential([keras.Input(image_shape), *stack])
        if own:
            model.compile(keras.optimizers.SGD(0.5), LOSSES[own], metrics=list(measures), **_)
        return model

    def builder(image_shape, classes, own="", activation="softmax", measures=("accuracy",)):
        return build(image_shape, classes, own, activation, measures)

    def weighted(image_shape, classes):
        return build(image_shape, classes, "mse", loss_weights=[2.0])

    def fused(image_shape, classes):
        return build(image_shape, classes, "mse", jit_compile=True)

    def says_policy(image_shape, classes):
        assert keras.config.dtype_policy().name == "mixed_float16"
        return build(image_shape, classes)

    def for_search(hp):
        return build(units=hp.Int("units", 8, 16), own="sparse logits", activation=None)

    def softmax_for_search(hp):
        return build(units=hp.Int("units", 8, 16), own="sparse")

    def wrong_for_search(hp):
        return build(units=hp.Int("units", 8, 16), own="sparse", activation=None)

    class Passing(keras_tuner.HyperModel):
        def build(self, hp):
            return for_search(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    class Batches(Passing):
        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

    class Shuffles(Passing):
        def fit(self, hp, model, x, y, **kwargs):
            return model.fit(x[::-1], y[::-1], **kwargs)

    class Scores(Passing):
        def fit(self, hp, model, *args, **kwargs):
            model.fit(*args, **kwargs)
            return 1.0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "compiling.py").write_text(textwrap.dedent(MODELS))
    return tmp_path


def study_of(folder: Path, text: str) -> Study:
    (folder / "grid.yaml").write_text(
        "study: s\ndataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}\nseeds: 1\n"
        + text
    )
    return Study.from_yaml(folder / "grid.yaml")


def trial_of(folder: Path, dataset: Dataset, text: str) -> Trial:
    return study_of(folder, text).trials(dataset.digest)[0]


def hypermodel_trial(folder: Path, dataset: Dataset, function: str, **training: Any) -> Trial:
    _, source = load_hypermodel(f"compiling:{function}", folder)
    model = HyperModelSettings(
        hypermodel=f"compiling:{function}", folder=str(folder), source=source, values={"units": 8}
    )
    settings = TrainingSettings(epochs=2, batch_size=16, **training)
    return Trial(variant="v", seed=0, dataset_digest=dataset.digest, model=model, training=settings)


@pytest.mark.parametrize(
    "text",
    [
        "model: {builder: compiling:builder, own: sparse logits, activation: null}",
        "model: {builder: compiling:builder, own: smoothed logits, activation: null}",
        "model: {builder: compiling:builder, own: sparse}",
        "model: {builder: compiling:builder, own: mse}",
        "model: {builder: compiling:builder, activation: null}\n"
        "training: {loss: {SparseCategoricalCrossentropy: {from_logits: true}}, optimizer: sgd, learning_rate: 0.5}",
    ],
)
def test_a_model_is_trained_as_its_own_code_compiles_it(
    text: str, folder: Path, tiny_dataset: Dataset
) -> None:
    """Weights and loss are those of Keras's own training of the user's model, on the same batches."""
    import keras

    from ablation.models.augmentation import user_model_in

    trial = trial_of(folder, tiny_dataset, text)
    model = compiled_model(trial, tiny_dataset)
    theirs = keras.models.clone_model(user_model_in(model))
    theirs.set_weights(model.get_weights())
    given = trial.model.arguments["own"] or "sparse logits"  # type: ignore[union-attr]
    theirs.compile(keras.optimizers.SGD(0.5), __import__("compiling").LOSSES[given])
    order = np.arange(48, dtype=np.int32)
    loop = CompiledLoop(model, tiny_dataset, trial.training.model_copy(update={"batch_size": 16}))
    logged, _ = loop.train(order)
    images, labels = tiny_dataset.normalise(tiny_dataset.train.images), tiny_dataset.train.labels
    targets = labels if given.startswith("sparse") else np.eye(10, dtype=np.float32)[labels]
    losses = [
        theirs.train_on_batch(images[b], targets[b], return_dict=True)["loss"] for b in order.reshape(-1, 16)
    ]
    if Version(keras.__version__) >= Version("3.15"):  # before, train_on_batch returned a running mean
        assert logged == pytest.approx(np.mean(losses), rel=1e-5)
    for mine, keras_ in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loop.predict(tiny_dataset.test).probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("function", ["for_search", "softmax_for_search"])
def test_a_hypermodel_of_logits_is_trained_like_one_of_probabilities(
    function: str, folder: Path, tiny_dataset: Dataset
) -> None:
    result = attempt(
        hypermodel_trial(folder, tiny_dataset, function), tiny_dataset, folder, False, lambda _: None
    )
    assert result.cause == ""
    assert result.metrics["test_loss"] == pytest.approx(2.20467, abs=1e-4)


def test_a_hypermodel_that_is_no_classifier_is_refused_as_a_builder_is(
    folder: Path, tiny_dataset: Dataset
) -> None:
    with pytest.raises(AblationError) as caught:
        compiled_model(hypermodel_trial(folder, tiny_dataset, "wrong_for_search"), tiny_dataset)
    assert str(caught.value) == (
        "compiling:wrong_for_search: the model's outputs do not sum to 1, so they are not probabilities; end the "
        "model with softmax, or declare logits by a Keras loss with `from_logits: true`."
    )


COMPILES = "compiles its model (compiling.py, line 23) with"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {builder: compiling:builder, own: sparse}\nfactors: {learning_rate: [0.001, 0.1]}",
         f"plain: compiling:builder {COMPILES} the optimizer SGD, so that the grid's setting `learning_rate` would "
         "have no effect. Remove the call of `compile`, so that the grid's settings are used, or remove "
         "`learning_rate` from the grid."),
        ("model: {builder: compiling:builder, own: none}\ntraining: {optimizer: adam}",
         f"plain: compiling:builder {COMPILES} the optimizer SGD, so that the grid's setting `optimizer` would have "
         "no effect. Remove the call of `compile`, so that the grid's settings are used, or remove `optimizer` from "
         "the grid."),
        ("model: {builder: compiling:weighted}",
         f"plain: compiling:weighted {COMPILES} `loss_weights`, which has no effect here. Remove it: a classifier "
         "has one loss."),
        ("model: {builder: compiling:fused}",
         f"plain: compiling:fused {COMPILES} `jit_compile=True`, which has no effect here. Remove it, or set "
         "`training: {jit_compile: true}` in the grid."),
        ("model: {builder: compiling:builder, own: sparse, measures: [accuracy, AUC]}",
         f"plain: compiling:builder {COMPILES} `metrics=[auc]`, which has no effect here. Remove it, and name the "
         "metric under `training: {metrics: [...]}` in the grid."),
        ("model: {builder: compiling:builder, own: ignoring}",
         "plain: compiling:builder: SparseCategoricalCrossentropy: `ignore_class` is not supported; remove it."),
        ("model: {builder: compiling:builder, own: circle}",
         "plain: compiling:builder: Circle expects integer labels, but labels are one-hot here; use "
         "CategoricalCrossentropy."),
        ("model: {builder: compiling:builder, own: generalized}",
         "plain: compiling:builder: CategoricalGeneralizedCrossEntropy expects integer labels, but labels are one-hot "
         "here; use CategoricalCrossentropy."),
        ("model: {builder: compiling:builder, own: half}",
         "plain: compiling:builder: SparseCategoricalCrossentropy has the dtype float16, but losses are computed in "
         "float32 here, whatever the precision of the model is. Remove `dtype`."),
        ("model: {builder: compiling:builder, own: two}",
         "plain: compiling:builder: expected one loss, not 2: a classifier has one output."),
    ],
)  # fmt: skip
def test_what_would_have_no_effect_beside_an_own_compile_is_refused_before_the_run(
    text: str, message: str, folder: Path
) -> None:
    with pytest.raises(GridError) as caught:
        run_study(study_of(folder, text), folder / "run", executor="inline")
    assert str(caught.value) == message
    assert not (folder / "run" / "trials").exists()


def test_the_same_loss_in_the_grid_and_in_the_code_is_no_contradiction(
    folder: Path, tiny_dataset: Dataset
) -> None:
    grid = "model: {{builder: compiling:builder, own: sparse}}\ntraining: {{loss: {}}}"
    compiled_model(
        trial_of(folder, tiny_dataset, grid.format("sparse_categorical_crossentropy")), tiny_dataset
    )
    with pytest.raises(
        AblationError, match="with the loss sparse_categorical_crossentropy, so that the grid's"
    ):
        compiled_model(trial_of(folder, tiny_dataset, grid.format("mse")), tiny_dataset)
    trial = hypermodel_trial(folder, tiny_dataset, "for_search", optimizer="lion")
    with pytest.raises(AblationError, match="the grid's setting `optimizer` would have no effect"):
        compiled_model(
            Trial.model_validate_json(trial.model_dump_json()), tiny_dataset
        )  # as a worker reads it


def test_probabilities_under_a_loss_of_logits_are_refused(folder: Path, tiny_dataset: Dataset) -> None:
    trial = trial_of(folder, tiny_dataset, "model: {builder: compiling:builder, own: sparse logits}")
    with pytest.raises(AblationError) as caught:
        compiled_model(trial, tiny_dataset)
    assert str(caught.value) == (
        "compiling:builder: the loss expects logits, but the model's outputs are probabilities. Remove "
        "`from_logits` from the loss, or the softmax from the end of the model."
    )


def test_logits_go_behind_augmentation_and_into_a_saved_model(folder: Path, without_report: None) -> None:
    import keras

    study = study_of(
        folder,
        "model: {builder: compiling:builder, own: sparse logits, activation: null, augmentation: [shift]}\n"
        "training: {epochs: 1}\nsave_models: true\n",
    )
    run = run_study(study, folder / "run", executor="inline")
    assert run.results["cause"].tolist() == [""]
    (trial,) = run.trials
    model = keras.saving.load_model(run.folder / "trials" / trial.id / "model.keras")
    found = model.predict(run.dataset.normalise(run.dataset.test.images), verbose=0)
    np.testing.assert_allclose(found, run.store.test_probabilities(trial), atol=1e-5)


@pytest.mark.parametrize(
    "precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "model", ["builder: compiling:builder", "builder: compiling:builder, activation: null"]
)
def test_precision_changes_what_a_builders_model_computes(
    precision: str, model: str, folder: Path, tiny_dataset: Dataset
) -> None:
    logits = "loss: {CategoricalCrossentropy: {from_logits: true}}, " if "null" in model else ""
    losses = []
    for of in ("float32", precision):
        training = f"training: {{epochs: 2, batch_size: 16, {logits}precision: {of}}}"
        trial = trial_of(folder, tiny_dataset, f"model: {{{model}}}\n{training}")
        result = attempt(trial, tiny_dataset, folder, False, lambda _: None)
        assert result.cause == ""
        losses.append(result.metrics["test_loss"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_the_precision_is_in_force_while_a_builder_builds(folder: Path, tiny_dataset: Dataset) -> None:
    import keras

    text = "model: {builder: compiling:says_policy}\ntraining: {precision: mixed_float16}"
    model = compiled_model(trial_of(folder, tiny_dataset, text), tiny_dataset)
    assert model.compute_dtype == "float16"
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert keras.config.dtype_policy().name == "float32"  # that of the process is left as it was
    precise = compiled_model(
        hypermodel_trial(folder, tiny_dataset, "for_search", precision="mixed_bfloat16"), tiny_dataset
    )
    assert precise.layers[0].compute_dtype == "bfloat16"


def test_what_would_have_no_effect_on_a_search_is_refused_with_its_place(folder: Path) -> None:
    from ablation.search.settings import Search

    study_of(
        folder, "training: {learning_rate: 0.01}\nsearch: {hypermodel: compiling:for_search, trials: 2}\n"
    )
    with pytest.raises(GridError) as caught:
        Search.from_yaml(folder / "grid.yaml")
    assert str(caught.value) == (
        f"{folder / 'grid.yaml'}, line 5, search.hypermodel: compiling:for_search compiles its model (compiling.py, "
        "line 23) with the optimizer SGD, so that the grid's setting `learning_rate` would have no effect. Remove "
        "the call of `compile`, so that the grid's settings are used, or remove `learning_rate` from the grid.\n"
        "    5 | search: {hypermodel: compiling:for_search, trials: 2}"
    )


@pytest.mark.parametrize("name", ["Batches", "Shuffles", "Scores"])
def test_an_own_fit_of_a_hypermodel_is_refused(name: str, folder: Path) -> None:
    load_hypermodel("compiling:Passing", folder)
    with pytest.raises(AblationError) as caught:
        load_hypermodel(f"compiling:{name}", folder)
    assert str(caught.value) == (
        f"compiling:{name} overrides `HyperModel.fit`, which is never called: trials have their own training "
        "loop. Remove the method. Set `batch_size`, `epochs` and `callbacks` under `training:` in the grid. To "
        "search the batch size, write a builder instead of the HyperModel, and name `batch_size` and the builder's "
        "arguments under `search: {space: ...}`."
    )
