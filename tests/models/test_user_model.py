"""A user's own model: found, built with the grid's settings, and paired by the names of its layers."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import GridError
from ablation.grid.seeding import Randomness
from ablation.grid.settings import BuilderSettings
from ablation.grid.study_diff import study_changes, study_digest
from ablation.models.build import build_model
from ablation.training.trial_runner import run_trial
from ablation.workflow.check import check_study

MODELS = """
    import keras
    import numpy as np
    from keras import layers

    def cnn(image_shape, classes, filters=4, dropout=0.0, norm="none"):
        stack = [keras.Input(image_shape), layers.Conv2D(filters, 3, activation="relu")]
        if norm == "batch":
            stack.append(layers.BatchNormalization(momentum=0.5))
        stack.append(layers.Dropout(dropout))
        stack += [layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dropout(dropout)]
        return keras.Sequential([*stack, layers.Dense(classes, activation="softmax")])

    def functional(image_shape, classes, skip=False):
        image = keras.Input(image_shape)
        x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
        y = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Dropout(0.2)(x))
        x = layers.Add()([x, y]) if skip else y
        return keras.Model(image, layers.Dense(classes, activation="softmax")(layers.Flatten()(x)))

    class Own(keras.Model):
        def __init__(self, classes, units):
            super().__init__()
            self.inner = keras.Sequential([layers.Flatten(), layers.Dense(units), layers.RandomFlip()][:2])
            self.scale = self.add_weight(shape=(units,), initializer="random_normal", name="scale")
            self.out = layers.Dense(classes, activation="softmax")

        def call(self, images):
            return self.out(self.inner(images) * self.scale)

    def subclassed(classes, units):
        return Own(classes, units)

    def pretrained(image_shape, classes):
        model = keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(classes, "softmax")])
        model.set_weights([0.5 * w + 0.25 for w in map(keras.ops.ones_like, model.get_weights())])
        return model

    def compiled(image_shape, classes):
        model = keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(classes, "softmax")])
        model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy")
        return model

    def named(image_shape, classes):
        stack = [keras.Input(image_shape), layers.Flatten(), layers.Dense(classes, "softmax")]
        return keras.Sequential(stack, name="augmented")

    def augments(image_shape, classes, augmentation=0):
        return cnn(image_shape, classes)

    def logits(image_shape, classes):
        return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(classes)])

    def narrow(image_shape):
        return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(3, "softmax")])

    def one_unit(activation="sigmoid", factor=1.0):
        layers_ = [layers.Flatten(), layers.Dense(1, activation), layers.Rescaling(factor)]
        return keras.Sequential(layers_)

    def nothing():
        return None

    def broken(image_shape):
        raise ValueError("not today")

    class Folding(layers.Layer):
        def __init__(self, asking):
            super().__init__()
            self.asking = asking

        def call(self, images):
            if self.asking:
                raise ValueError("no 20 pixels")  # asked
            return keras.ops.reshape(images, (-1, 4, 5))  # not asked

    class Masking(layers.Layer):
        def __init__(self, mask):
            super().__init__()
            self.mask = mask

        def call(self, images):
            return images * self.mask

    def masked_by_an_operation(image_shape, classes):
        images = keras.Input(image_shape)
        masked = images * np.random.rand(*image_shape).astype("float32")
        return keras.Model(images, layers.Dense(classes, "softmax", name="out")(layers.Flatten()(masked)))

    def masked(image_shape, classes):
        mask = np.random.rand(*image_shape).astype("float32")
        stack = [Masking(mask), layers.Flatten(), layers.Dense(classes, "softmax", name="out")]
        return keras.Sequential([keras.Input(image_shape), *stack])

    def misfitting(image_shape, classes, asking=True):
        return keras.Sequential([keras.Input(image_shape), Folding(asking), layers.Dense(classes)])

    def loose(**settings):
        return None

    def renamed(input_shape, num_classes, filters=3):
        return cnn(input_shape, num_classes)

    def defaults(input_shape=(32, 32, 3), num_classes=10):
        return cnn(input_shape, num_classes)

    def clashing(epochs=3):
        return None

    number = 3
"""
DATA = "dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}\ntraining: {epochs: 2, batch_size: 16}\n"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "own_models.py").write_text(textwrap.dedent(MODELS))
    return tmp_path


def study_of(folder: Path, text: str) -> Study:
    (folder / "own.yaml").write_text(f"study: own\n{DATA}{text}")
    return Study.from_yaml(folder / "own.yaml")


def weights(folder: Path, function: str, seed: int = 0, **arguments: object) -> dict[str, np.ndarray]:
    """Return a built model's weights and generators by their paths."""
    from ablation.grid.builder import Builder

    settings = Builder.load(f"own_models:{function}", folder).settings(arguments)
    model = build_model(settings, (8, 8, 1), 10, Randomness(seed))
    return {variable.path: variable.numpy() for variable in model.variables}


def test_factors_are_the_builders_arguments(models: Path) -> None:
    study = study_of(
        models,
        "model: {builder: own_models:cnn, filters: 6}\nfactors: {dropout: [0, 0.3], norm: [none, batch]}\n",
    )
    assert [v.name for v in study.variants] == [
        "plain", "+Dropout norm=none", "norm=batch", "+Dropout norm=batch",
    ]  # fmt: skip
    last = study.variants[-1].model
    assert isinstance(last, BuilderSettings)
    assert last.arguments == {"filters": 6, "dropout": 0.3, "norm": "batch"}
    # the same in every process, for a report names them in this order
    assert list(last.effective) == ["source", "builder", "arguments"]
    names = list(study.variants[-1].settings)
    assert names[:7] == ["family", "augmentation", "source", "builder", "filters", "dropout", "norm"]


@pytest.mark.slow
def test_a_study_of_an_own_model_is_trained_paired_and_reported(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(
        models,
        "model: {builder: own_models:cnn}\nfactors: {dropout: [0, 0.3], norm: [none, batch]}\nseeds: 2\n",
    )
    run = run_study(study, models / "run", executor="inline")
    assert (run.results["status"] == "completed").all()
    assert run.pairing["paired"].fillna(True).all()
    counted = [found.multiply_adds for found in check_study(study).variants]
    assert run.cost["multiply_adds"].tolist() == counted
    assert counted[0] == 6 * 6 * 9 * 4 + 6 * 6 * 4 * 8 + 8 * 10
    assert repr(run) == f"Run('{run.folder}'): 8 completed"
    report = (models / "run" / "report.md").read_text("utf-8")
    assert "| +Dropout norm=batch (dropout = 0.3, norm = batch) |" in report
    monkeypatch.setattr("ablation.workflow.run_study.write_report", lambda run: None)  # one is enough
    again = run_study(study, models / "again", only=["norm=batch"], executor="local")
    first, second = (r.results[r.results["variant"] == "norm=batch"] for r in (run, again))
    assert first["test_loss"].tolist() == second["test_loss"].tolist()  # in another process, too


@pytest.mark.usefixtures("without_report")
def test_pairs_that_share_no_layer_are_told_to_share_the_batch_order_alone(models: Path) -> None:
    from ablation.analysis.pairing import pairing_by_seed, pairing_verdict

    study = study_of(
        models, "model: {builder: own_models:subclassed, units: 5}\nvariants: {wider: {units: 6}}\n"
    )
    run = run_study(study.model_copy(update={"seeds": (0,)}), models / "run", executor="inline")
    assert pairing_verdict(run.pairing) == (
        "All 2 trials are paired: within a seed, the layers that a variant shares with the baseline start from the "
        "same weights, and if both use the same training images, both see the same batches in the same order. These "
        "variants share only the batch order, and no layer's weights: wider."
    )
    row = pairing_by_seed(run.pairing, "plain").iloc[0]
    assert row["wider"] == "–"
    assert row["batch order"].endswith(" ✓")


@pytest.mark.parametrize(
    ("function", "one", "other"),
    [
        ("cnn", {}, {"dropout": 0.3}),
        ("cnn", {}, {"norm": "batch"}),
        ("functional", {}, {"skip": True}),
    ],
)
def test_layers_of_the_same_name_start_alike_and_follow_the_seed(
    models: Path, function: str, one: dict[str, object], other: dict[str, object]
) -> None:
    first, second, third = (
        weights(models, function, **one), weights(models, function, **other), weights(models, function, 1, **one)
    )  # fmt: skip
    kernels = [name for name in first if name.endswith("kernel")]
    assert len(kernels) >= 3
    for name in kernels:
        np.testing.assert_array_equal(first[name], second[name])
        assert (first[name] != third[name]).any()


def test_a_subclassed_model_is_built_and_follows_the_seed(models: Path) -> None:
    first, again, other = (weights(models, "subclassed", seed, units=5) for seed in (0, 0, 1))
    assert len(first) == 5
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        if not name.endswith("bias"):
            assert (value != other[name]).any(), name


def test_dropout_masks_follow_the_seed_and_each_layer_has_its_own(models: Path) -> None:
    first, other = weights(models, "cnn", 0, dropout=0.5), weights(models, "cnn", 1, dropout=0.5)
    states = {name: tuple(value) for name, value in first.items() if "seed_generator" in name}
    assert len(set(states.values())) == 2
    assert all(states[name] != tuple(other[name]) for name in states)


def test_weights_that_a_model_brings_are_left_alone(models: Path) -> None:
    assert all((value == 0.75).all() for value in weights(models, "pretrained").values())


def test_a_trial_of_a_module_that_was_changed_since_is_no_result(models: Path) -> None:
    study = study_of(models, "model: {builder: own_models:cnn}\nseeds: 1\n")
    file = models / "own_models.py"
    file.write_text(file.read_text() + "\n# another version\n")
    run = run_study(study, models / "run", executor="local")
    assert run.results["cause"].tolist() == [
        "the file of own_models:cnn, or of a module that it imports, was changed since the study began; the same "
        "`ablation run` command trains with its new version."
    ]
    changed = study_of(models, "model: {builder: own_models:cnn}\nseeds: 1\n")
    assert changed.trials("x")[0].id != study.trials("x")[0].id


@pytest.mark.parametrize(
    "function", ["masked_by_an_operation", pytest.param("masked", marks=pytest.mark.slow)]
)
def test_an_array_that_follows_the_seed_is_that_of_the_trial(
    function: str, models: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """It is a constant of the graphs, so that another seed must not use them again."""
    study = study_of(models, f"model: {{builder: own_models:{function}}}\nseeds: 2\n")
    first, second = study.trials(tiny_dataset.digest)
    alone = run_trial(second, tiny_dataset, tmp_path).metrics
    other = run_trial(first, tiny_dataset, tmp_path)
    again = run_trial(second, tiny_dataset, tmp_path)
    assert again.metrics == alone
    assert other.metrics != alone
    assert other.structure == again.structure


def test_what_a_builder_raises_is_told_with_its_traceback(models: Path) -> None:
    run = run_study(
        study_of(models, "model: {builder: own_models:broken}\nseeds: 1\n"), models / "run", executor="inline"
    )
    line = 1 + (models / "own_models.py").read_text().splitlines().index('    raise ValueError("not today")')
    assert run.results["cause"].tolist() == [f"ValueError: not today (own_models.py, line {line})"]
    trial = run.trials[0]
    assert 'own_models.py", line' in (run.folder / "trials" / trial.id / "error.txt").read_text()


def test_an_error_in_a_layer_is_told_by_its_reason_and_its_line(models: Path) -> None:
    """Keras's message begins with the call it was in, TensorFlow's with a node of its own."""
    model, factors = "{builder: own_models:misfitting}", "{asking: [true, false]}"
    check = check_study(study_of(models, f"model: {model}\nfactors: {factors}\n"))
    lines = (models / "own_models.py").read_text().splitlines()
    asked, not_asked = (1 + i for i, line in enumerate(lines) if line.endswith("asked"))
    assert [variant.error for variant in check.variants] == [
        f"ValueError: no 20 pixels (own_models.py, line {asked})",
        "InvalidArgumentError: Input to reshape is a tensor with 128 values, but the requested shape requires a "
        f"multiple of 20 [Op:Reshape] (own_models.py, line {not_asked})",
    ]


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("logits", "own_models:logits: the model's outputs do not sum to 1, so they are not probabilities; end the "
                   "model with softmax, or declare logits by a Keras loss with `from_logits: true`."),
        ("narrow", "own_models:narrow: the model's output for an image has the shape (3,); expected (10,), one "
                   "probability per class."),
        ("one_unit", "own_models:one_unit: the model's output for an image has the shape (1,); expected (10,), one "
                     "probability per class."),
        ("nothing", "own_models:nothing returned an object of type NoneType; expected a Keras model."),
    ],
)  # fmt: skip
def test_a_model_that_is_no_classifier_is_told(models: Path, function: str, cause: str) -> None:
    study = study_of(models, f"model: {{builder: own_models:{function}}}\nseeds: 1\n")
    run = run_study(study, models / "run", executor="inline")
    assert run.results["cause"].tolist() == [cause]


def test_a_default_shape_that_does_not_fit_is_explained(models: Path, without_report: None) -> None:
    study = study_of(models, "model: {builder: own_models:defaults}\nseeds: 1\n")
    (cause,) = run_study(study, models / "run", executor="inline").results["cause"]
    assert cause.startswith(
        "own_models:defaults does not fit the images. Rename input_shape to image_shape and num_classes to classes: "
        "the arguments `image_shape` (height, width, channels) and `classes` are filled in from the dataset. "
        "ValueError: Input 0 "
    )


@pytest.fixture
def two_classes(models: Path, without_report: None) -> Path:
    """Digits under five, and the others, beside the models."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:200] / 16).astype(np.float32)
    np.savez(models / "two.npz", x=images, y=digits.target[:200] // 5, class_names=["low", "high"])
    return models


def one_unit_study(folder: Path, text: str = "") -> Study:
    data = "{name: npz, path: two.npz, validation_size: 40, test_size: 60}"
    (folder / "own.yaml").write_text(
        f"{{study: own, dataset: {data}, training: {{epochs: 6, batch_size: 16, learning_rate: 0.05}}, seeds: 1, "
        f"model: {{builder: 'own_models:one_unit'{text}}}}}"
    )
    return Study.from_yaml(folder / "own.yaml")


@pytest.mark.usefixtures("without_report")
def test_one_sigmoid_unit_is_the_probability_of_the_second_class(two_classes: Path) -> None:
    """Loss, gradient and accuracy are those of Keras's own binary training on the same batches."""
    import keras

    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    study = one_unit_study(two_classes)
    run = run_study(study, two_classes / "run", executor="inline")
    (trial,), dataset = run.trials, run.dataset
    found = run.store.test_probabilities(trial)
    assert found is not None
    assert found.shape == (60, 2)
    p, labels = found[:, 1].astype(float), dataset.test.labels
    np.testing.assert_allclose(found[:, 0], 1 - p, atol=1e-6)
    by_hand = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
    result = run.results.iloc[0]
    assert result["test_loss"] == pytest.approx(by_hand, rel=1e-4)
    assert result["test_accuracy"] == pytest.approx(((p > 0.5) == labels).mean())
    assert result["test_accuracy"] > 0.6
    assert run.confusion["count"].sum() == 60

    ours, theirs = compiled_model(trial, dataset), compiled_model(trial, dataset)
    theirs.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["binary_accuracy"])
    order = np.arange(len(dataset.train), dtype=np.int32)[:96]
    logged = CompiledLoop(ours, dataset, trial.training).train(order)
    images, targets = dataset.normalise(dataset.train.images), dataset.train.labels[:, None]
    batches = []
    for b in order.reshape(-1, 16):
        theirs.reset_metrics()  # which train_on_batch does itself from Keras 3.15 on
        batches.append(theirs.train_on_batch(images[b], targets[b]))
    assert logged[1] == pytest.approx(np.mean([accuracy for _, accuracy in batches]), rel=1e-6)
    for mine, keras_ in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("text", [", activation: linear", ", factor: 1.5", ", factor: -1.0"])
def test_one_unit_that_is_no_probability_is_told(text: str, two_classes: Path) -> None:
    run = run_study(one_unit_study(two_classes, text), two_classes / "run", executor="inline")
    assert run.results["cause"].tolist() == [
        "own_models:one_unit: the model's outputs do not lie between 0 and 1, so they are not "
        "probabilities; end the model with sigmoid, or declare logits by a Keras loss with `from_logits: true`."
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {builder: own_models:cnm}", "'own_models' has no builder 'cnm'; expected module:object. Did you mean 'cnn'?"),
        ("model: {builder: own_modelz:cnn}",
         "the module 'own_modelz' cannot be imported (ModuleNotFoundError: No module named 'own_modelz'). Did you "
         "mean 'own_models'?"),
        ("model: {builder: './own_models.py:cnn'}",
         "'./own_models.py:cnn' contains the path of a file. Name the module as Python imports it, 'own_models:cnn'."),
        ("model: {builder: 'own/models.py:cnn'}",
         "'own/models.py:cnn' contains the path of a file. Name the module as Python imports it, 'own.models:cnn', seen "
         "from the folder of the grid file."),
        ("model: {builder: '../own_models:cnn'}",
         "'../own_models:cnn' contains the path of a file. Name the module as Python imports it, 'own_models:cnn', and "
         "put its file into the folder of the grid file."),
        ("model: {builder: own_models}", "expected module:function, not own_models."),
        ("model: {builder: own_models:number}", "'own_models:number' is not a function that returns a model."),
        ("model: {builder: own_models:loose}",
         "own_models:loose: declare each argument that a grid may set by its name, not as *settings."),
        ("model: {builder: own_models:clashing}",
         "the argument 'epochs' has the name of a training setting; rename it."),
        ("model: {builder: own_models:renamed}",
         "own_models:renamed needs a value for its argument 'input_shape'. Rename input_shape to image_shape and "
         "num_classes to classes: the arguments `image_shape` (height, width, channels) and `classes` are filled in "
         "from the dataset."),
        ("model: {builder: own_models:subclassed}", "own_models:subclassed needs a value for its argument 'units'."),
    ],
)  # fmt: skip
def test_a_builder_that_cannot_be_used_is_told_with_its_line(models: Path, text: str, message: str) -> None:
    with pytest.raises(GridError) as caught:
        study_of(models, text + "\n")
    file = models / "own.yaml"
    assert str(caught.value) == f"{file}, line 4, model.builder: {message}\n    4 | {text}"


AUGMENTED = "factors: {augmentation: {none: [], changed: [shift, {RandomZoom: {height_factor: 0.3}}]}}\n"


@pytest.mark.parametrize(
    "function",
    [
        "functional",
        pytest.param("cnn, norm: batch", marks=pytest.mark.slow),
        pytest.param("subclassed, units: 5", marks=pytest.mark.slow),
    ],
)
def test_augmentation_is_a_factor_of_an_own_model_too(
    models: Path, function: str, without_report: None
) -> None:
    import keras

    saved = "subclassed" not in function  # Keras saves no model whose class does not say how
    study = study_of(
        models, f"model: {{builder: own_models:{function}}}\nsave_models: {saved}\nseeds: 1\n{AUGMENTED}"
    )
    run = run_study(study, models / "run", executor="inline")
    assert run.results["cause"].tolist() == ["", ""]
    assert run.results["test_loss"].nunique() == 2
    history = run.history[run.history["variant"] == study.variants[1].name]
    assert (history["active_loss"] != history["train_loss"]).all()
    assert run.pairing["paired"].fillna(True).all()
    assert run.pairing["shared_layers"].tolist() == run.pairing["layers"].tolist()
    trial = run.trials[1]
    assert list(run.trial_results[trial.id].variance_shift) == (
        ["batch_normalization"] if "norm" in function else []
    )
    if saved:
        model = keras.saving.load_model(run.folder / "trials" / trial.id / "model.keras")
        test = run.dataset.normalise(run.dataset.test.images)
        np.testing.assert_allclose(
            model.predict(test, verbose=0), run.store.test_probabilities(trial), atol=1e-5
        )


def test_a_model_that_brings_its_optimizer_keeps_it_behind_augmentation(models: Path) -> None:
    from ablation.data.datasets import prepare_dataset
    from ablation.training.compilation import compiled_model

    study = study_of(models, f"model: {{builder: own_models:compiled}}\nseeds: 1\n{AUGMENTED}")
    dataset = prepare_dataset(study.dataset)
    for trial in study.trials(dataset.digest):
        optimizer = compiled_model(trial, dataset).optimizer
        assert (optimizer.name.lower(), float(optimizer.learning_rate)) == ("sgd", 0.5)


def test_a_models_own_name_is_not_mistaken_for_augmentation(models: Path) -> None:
    (found,) = check_study(study_of(models, "model: {builder: own_models:named}\n")).variants
    assert [layer.kind for layer in found.layers] == ["Flatten", "Dense"]


def test_augmentation_of_an_own_model_names_a_trial_only_where_there_is_one(models: Path) -> None:
    study = study_of(models, f"model: {{builder: own_models:cnn}}\n{AUGMENTED}")
    plain, changed = study.variants
    checked = check_study(study)
    assert [found.layer for found in checked.differences(checked.variants[1])] == [
        "augment_shift", "augment_random_zoom",
    ]  # fmt: skip
    assert "augmentation" not in plain.model.effective
    assert plain.settings["augmentation"] == []
    assert [a if isinstance(a, str) else a["name"] for a in changed.settings["augmentation"]] == [
        "shift", "RandomZoom",
    ]  # fmt: skip
    assert isinstance(plain.model, BuilderSettings)
    own = study_of(models, "model: {builder: own_models:augments, augmentation: 3}\n").variants[0]
    assert (own.model.effective["arguments"], own.model.augmentation) == ({"augmentation": 3}, ())
    with pytest.raises(GridError) as caught:
        study_of(models, "model: {builder: own_models:cnn, augmentation: [flip, flip]}\n")
    assert str(caught.value) == (
        f"{models / 'own.yaml'}, line 4, model.augmentation: duplicate augmentation 'flip'.\n"
        "    4 | model: {builder: own_models:cnn, augmentation: [flip, flip]}"
    )


def test_an_argument_that_does_not_exist_is_told_with_the_nearest_one(models: Path) -> None:
    with pytest.raises(GridError) as caught:
        study_of(models, "model: {builder: own_models:cnn}\nfactors: {dropuot: [0, 0.3]}\n")
    assert "unknown setting 'dropuot'. Did you mean 'dropout'?" in str(caught.value)
    with pytest.raises(GridError, match="unknown key 'blocks'"):
        study_of(models, "model: {builder: own_models:cnn, blocks: [[4]]}\n")


def test_a_required_argument_may_be_a_factor(models: Path) -> None:
    study = study_of(models, "model: {builder: own_models:subclassed}\nfactors: {units: [3, 5]}\n")
    assert [v.model.arguments["units"] for v in study.variants if isinstance(v.model, BuilderSettings)] == [
        3,
        5,
    ]


def test_modules_of_the_same_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    from ablation.grid.builder import Builder

    folders = [tmp_path / "one", tmp_path / "two"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "namesake.py").write_text(f"def build(filters={number}):\n    pass\n")
    found = [Builder.load("namesake:build", folder).arguments["filters"] for folder in (*folders, *folders)]
    assert found == [0, 1, 0, 1]


def test_a_study_that_was_moved_is_the_study_that_was_declared(tmp_path: Path) -> None:
    studies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "moved.py").write_text("def build(filters=3):\n    pass\n")
        grid = tmp_path / name / "grid.yaml"
        grid.write_text("study: moved\nmodel: {builder: moved:build}\nfactors: {filters: [3, 4]}\n")
        studies.append(Study.from_yaml(grid))
    assert study_digest(studies[0]) == study_digest(studies[1])
    assert study_changes(*studies) == []
