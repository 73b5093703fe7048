"""Training with parts of the user's own: losses, metrics, callbacks, schedules, augmentation."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_trial

from ablation import Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import GridError
from ablation.grid.component_parser import resolved
from ablation.grid.seeding import Randomness
from ablation.grid.settings import DenseSettings
from ablation.grid.trial import Trial, TrialResult
from ablation.training.checkpoint import CHECKPOINT
from ablation.training.compilation import compiled_model
from ablation.training.trial_runner import run_trial
from ablation.workflow.check import check_study

PARTS = """
    import keras
    import tensorflow as tf

    class Shade(keras.layers.Layer):
        def __init__(self, by=0.5, **options):
            super().__init__(**options)
            self.by = by
            self.draws = [keras.random.SeedGenerator(), keras.random.SeedGenerator(1)]

        def call(self, images):
            shape = (keras.ops.shape(images)[0], 1, 1, 1)
            return images * (1 - self.by * sum(keras.random.uniform(shape, seed=draw) for draw in self.draws))

    class Dim(keras.layers.Layer):
        def call(self, images):
            return images / 2

    class Unseeded(keras.layers.Layer):
        def call(self, images, training=None):
            return images * keras.random.uniform((1, 1, 1, 1))

    class OpSeeded(keras.layers.Layer):
        def call(self, images):
            return images * tf.random.uniform((), seed=1)

    class Smaller(keras.layers.Layer):
        def call(self, images):
            return images[:, 1:]

    class Diary(keras.callbacks.Callback):
        def __init__(self, file):
            super().__init__()
            self.file = file

        def write(self, *what):
            with open(self.file, "a") as stream:
                print(*what, file=stream)

        def on_train_begin(self, logs=None):
            self.write("begin", self.params["epochs"], self.params["steps"], self.model.stop_training)

        def on_epoch_begin(self, epoch, logs=None):
            self.write("epoch", epoch, round(float(self.model.optimizer.learning_rate), 6))
            self.model.optimizer.learning_rate = 0.1 / (epoch + 1)

        def on_epoch_end(self, epoch, logs=None):
            self.write(*sorted(logs))
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            self.write("end")

    class Breaking(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ValueError("not today")

    def halve(epoch, rate):
        return rate / 2

    def softened(y_true, y_pred, share=0.0):
        return keras.losses.categorical_crossentropy(y_true * (1 - share) + share / 10, y_pred)

    def raising(y_true, y_pred):
        raise ValueError("no metric today")  # here

    def three(y_true, y_pred, more):
        return 1.0

    def several(y_true, y_pred):
        return y_true.mean(0)

    def undefined(y_true, y_pred):
        return float("nan")

    def each(y_true, y_pred):
        return y_true.argmax(1) == y_pred.argmax(1)

    def balanced(y_true, y_pred):
        right = y_true.argmax(1) == y_pred.argmax(1)
        return sum(right[y_true[:, k] == 1].mean() for k in range(10)) / 10
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_parts.py").write_text(textwrap.dedent(PARTS))
    return tmp_path


def trial_of(dataset: Dataset, folder: Path, epochs: int = 2, **parts: object) -> Trial:
    """Return a trial of a small perceptron, with parts as a grid writes them."""
    given = {}
    for setting, value in parts.items():
        listed = [
            resolved(setting, item, folder, 1) for item in (value if isinstance(value, list) else [value])
        ]
        given[setting] = tuple(listed) if isinstance(value, list) else listed[0]
    return tiny_trial(dataset, epochs=epochs, family="dense", dense=(6,), **given)


def bits(result: TrialResult) -> str:
    history = tuple(record.model_copy(update={"seconds": 0}) for record in result.history)
    about = {"seconds": 0, "timing": {}, "memory": None, "history": history}
    return result.model_copy(update=about).model_dump_json()


def test_keras_parts_train_as_keras_trains_with_them(tiny_dataset: Dataset, folder: Path) -> None:
    import keras

    trial = trial_of(
        tiny_dataset, folder,
        loss={"own_parts:softened": {"share": 0.2}},
        optimizer={"SGD": {"momentum": 0.9}},
        learning_rate={"ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}},
        metrics=["f1_score", "own_parts:balanced"],
    )  # fmt: skip
    result = run_trial(trial, tiny_dataset, folder, save_model=True)
    ours = keras.models.load_model(folder / "model.keras", compile=False)

    theirs = compiled_model(trial, tiny_dataset)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    theirs.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
    )
    images = tiny_dataset.normalise(tiny_dataset.train.images)
    labels = keras.utils.to_categorical(tiny_dataset.train.labels, 10)
    for epoch in (1, 2):
        order = Randomness(0).batch_order(epoch, 60)
        for start in range(0, 60, 16):
            theirs.train_on_batch(images[order[start : start + 16]], labels[order[start : start + 16]])
    for mine, keras_ in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, keras_, rtol=1e-3, atol=1e-5)

    from sklearn.metrics import balanced_accuracy_score, f1_score

    told, true = np.load(folder / "test_probabilities.npy").argmax(1), tiny_dataset.test.labels
    assert result.metrics["test_balanced"] == pytest.approx(balanced_accuracy_score(true, told))
    assert (
        0 < result.metrics["test_f1_score"] == pytest.approx(f1_score(true, told, average="macro"), abs=0.2)
    )
    assert result.history[0].extra.keys() == {
        f"{part}_{metric}" for part in ("train", "val") for metric in ("f1_score", "balanced")
    }


def test_callbacks_stand_around_the_epochs_and_leave_no_trace(tiny_dataset: Dataset, folder: Path) -> None:
    diary = folder / "diary.txt"
    noted = trial_of(
        tiny_dataset, folder, 9, callbacks=[{"own_parts:Diary": {"file": str(diary)}}], optimizer="sgd"
    )
    plain = trial_of(tiny_dataset, folder, 3, optimizer="sgd")
    alone = run_trial(plain, tiny_dataset, folder)
    result = run_trial(noted, tiny_dataset, folder)
    logged = "accuracy loss val_accuracy val_loss"
    once = f"begin 9 4 False\nepoch 0 0.001\n{logged}\nepoch 1 0.1\n{logged}\nend\n"
    assert diary.read_text() == once
    assert len(result.history) == 2
    assert bits(run_trial(noted, tiny_dataset, folder)) == bits(result)
    assert diary.read_text() == once * 2  # neither rate nor flag came from the trial before
    assert bits(run_trial(plain, tiny_dataset, folder)) == bits(alone)
    assert not (folder / "checkpoint.npz").exists()


def test_a_trial_with_callbacks_keeps_no_state_for_a_longer_one(tiny_dataset: Dataset, folder: Path) -> None:
    """A callback's own state is not kept, so that going on would be another training."""
    for callbacks, kept in (([], True), ([{"own_parts:Diary": {"file": str(folder / "diary.txt")}}], False)):
        trial = trial_of(tiny_dataset, folder, callbacks=callbacks).model_copy(update={"keeps_state": True})
        run_trial(trial, tiny_dataset, folder)
        assert (folder / CHECKPOINT).exists() == kept
        (folder / CHECKPOINT).unlink(missing_ok=True)


def test_keras_callbacks_do_what_they_do(tiny_dataset: Dataset, folder: Path) -> None:
    stopping = {"EarlyStopping": {"monitor": "val_loss", "patience": 2, "restore_best_weights": True}}
    reduce_ = {"ReduceLROnPlateau": {"monitor": "loss", "patience": 1, "min_delta": 9, "factor": 0.1}}
    schedule = {"LearningRateScheduler": {"schedule": "own_parts:halve"}}
    trial = trial_of(tiny_dataset, folder, 20, callbacks=[stopping], learning_rate=1.0)
    result = run_trial(trial, tiny_dataset, folder)
    losses = [record.val_loss for record in result.history]
    assert len(losses) == losses.index(min(losses)) + 3 < 20
    assert result.metrics["val_loss"] == min(losses) != losses[-1]  # of the weights that were tested
    slowed = trial_of(tiny_dataset, folder, 5, callbacks=[schedule, reduce_], learning_rate=0.01)
    steady = trial_of(tiny_dataset, folder, 5, learning_rate=0.01)
    slow, fast = (run_trial(t, tiny_dataset, folder).history for t in (slowed, steady))
    assert abs(slow[-1].loss - slow[-2].loss) < 1e-4 < abs(fast[-1].loss - fast[-2].loss)


def test_what_a_callback_raises_is_a_failed_trial_with_its_traceback(folder: Path) -> None:
    (folder / "grid.yaml").write_text(
        "study: s\nseeds: 1\ndataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        'model: {family: dense, dense: [4]}\ntraining: {epochs: 2, callbacks: ["own_parts:Breaking"]}\n'
    )
    run = run_study(Study.from_yaml(folder / "grid.yaml"), folder / "run", executor="inline")
    lines = (folder / "own_parts.py").read_text().splitlines()
    at = 1 + next(i for i, line in enumerate(lines) if 'raise ValueError("not today")' in line)
    assert run.results["cause"].tolist() == [f"ValueError: not today (own_parts.py, line {at})"]
    error = (run.folder / "trials" / run.trials[0].id / "error.txt").read_text()
    assert 'own_parts.py", line' in error


def test_augmentation_follows_the_seed_in_training_and_sleeps_in_inference(
    tiny_dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    parts = ["own_parts:Shade", {"RandomZoom": {"height_factor": 0.3}}]
    trials = [
        trial_of(tiny_dataset, folder, 3, augmentation=parts).model_copy(update={"seed": s}) for s in (0, 1)
    ]
    models = [compiled_model(trial, tiny_dataset) for trial in (trials[0], trials[0], trials[1])]
    images = keras.ops.convert_to_tensor(tiny_dataset.normalise(tiny_dataset.train.images[:8]))
    names = [layer.name for layer in models[0].layers[:2]]
    assert names == ["augment_shade", "augment_random_zoom"]
    for at in range(2):
        one, again, other = (np.asarray(m.layers[at](images, training=True)) for m in models)
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()
        np.testing.assert_array_equal(models[0].layers[at](images, training=False), images)

    import ablation.training.checkpoint

    monkeypatch.setattr(ablation.training.checkpoint, "_PAUSE", 0)
    whole = run_trial(trials[0], tiny_dataset, folder, save_model=True)
    loaded = keras.models.load_model(folder / "model.keras", {"Shade": type(models[0].layers[0].layer)})
    again = loaded.predict(tiny_dataset.normalise(tiny_dataset.test.images), verbose=0)
    np.testing.assert_allclose(again, np.load(folder / "test_probabilities.npy"), rtol=1e-5, atol=1e-6)
    run_trial(trials[1], tiny_dataset, folder)
    whole = whole.model_copy(update={"model": ""})  # the next trials do not save theirs
    assert bits(run_trial(trials[0], tiny_dataset, folder)) == bits(whole)  # in the graphs of another seed

    def stop(record: object) -> None:
        if len(told) == 2:
            raise KeyboardInterrupt
        told.append(record)

    told: list[object] = []
    with pytest.raises(KeyboardInterrupt):
        run_trial(trials[0], tiny_dataset, folder, on_epoch=stop)
    assert (folder / "checkpoint.npz").exists()
    assert bits(run_trial(trials[0], tiny_dataset, folder)) == bits(whole)  # and from a checkpoint


def test_a_change_without_chance_is_made_in_training_alone(tiny_dataset: Dataset, folder: Path) -> None:
    result = run_trial(
        trial_of(tiny_dataset, folder, 1, augmentation=["own_parts:Dim"]), tiny_dataset, folder
    )
    assert result.history[0].active_loss != result.history[0].train_loss


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("Smaller", "own_parts:Smaller returns images of the shape (7, 8, 1); augmentation must keep their shape, "
                    "(8, 8, 1)."),
        *(
            (layer, f"own_parts:{layer} draws random numbers that do not depend on the trial's seed. Draw them with "
                    "keras.random, and pass as `seed` a keras.random.SeedGenerator that is an attribute of the layer.")
            for layer in ("Unseeded", "OpSeeded")
        ),
    ],
)  # fmt: skip
def test_a_layer_that_is_no_augmentation_is_told(
    layer: str, message: str, tiny_dataset: Dataset, folder: Path
) -> None:
    from ablation.errors import AblationError
    from ablation.models.augmentation import augmentation

    part = resolved("augmentation", f"own_parts:{layer}", folder, 1)
    settings = DenseSettings.model_validate_json(json.dumps({"augmentation": [part]}), strict=True)
    with pytest.raises(AblationError) as caught:
        augmentation(settings, (8, 8, 1), Randomness(0))
    assert str(caught.value) == message


def test_a_part_whose_file_was_changed_since_is_not_trained(tiny_dataset: Dataset, folder: Path) -> None:
    from ablation.errors import AblationError

    trial = trial_of(tiny_dataset, folder, loss="own_parts:softened")
    (folder / "own_parts.py").write_text(textwrap.dedent(PARTS) + "\n# another version\n")
    with pytest.raises(
        AblationError, match="the file of own_parts:softened, or of a module that it imports, was changed"
    ):
        run_trial(trial, tiny_dataset, folder)


def grid_of(folder: Path, training: str, more: str = "") -> Study:
    (folder / "grid.yaml").write_text(
        "study: s\nseeds: 3\ndataset: {train_size: 60, validation_size: 40, test_size: 50}\n"
        f"model: {{family: dense, dense: [4]}}\ntraining: {{epochs: 1, {training}}}\n"
        f"factors: {{width: [1, 2]}}\n{more}"
    )
    return Study.from_yaml(folder / "grid.yaml")


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ('metrics: ["own_parts:raising"]',
         "training.metrics: own_parts:raising cannot be measured: ValueError: no metric today (own_parts.py, line "
         "LINE). It receives one-hot labels and probabilities, two arrays of the shape (40, 10)."),
        ('metrics: ["own_parts:three"]',
         "training.metrics: own_parts:three cannot be measured: TypeError: three() missing 1 required positional "
         "argument: 'more'. It receives one-hot labels and probabilities, two arrays of the shape (40, 10)."),
        ('metrics: ["own_parts:several"]',
         "training.metrics: own_parts:several cannot be measured: several returned float32 of shape (10,); expected a "
         "number, or one number per image. It receives one-hot labels and probabilities, two arrays of the shape (40, 10)."),
        ("callbacks: [{EarlyStopping: {monitor: val_acc}}]",
         "plain: EarlyStopping monitors 'val_acc', which is not logged. Did you mean 'val_accuracy'?"),
    ],
)  # fmt: skip
def test_a_metric_or_monitor_that_cannot_work_is_told_before_anything_starts(
    training: str, message: str, folder: Path
) -> None:
    study = grid_of(folder, training)
    lines = (folder / "own_parts.py").read_text().splitlines()
    at = 1 + next(i for i, line in enumerate(lines) if line.endswith("# here"))
    with pytest.raises(GridError) as caught:
        run_study(study, folder / "run", executor="inline")
    assert str(caught.value) == message.replace("LINE", str(at))
    assert not (folder / "run" / "study.json").exists()
    with pytest.raises(GridError):
        check_study(study)


@pytest.mark.usefixtures("without_report")
def test_a_callback_may_watch_a_metric_and_a_metric_give_a_number_an_image(folder: Path) -> None:
    training = 'metrics: ["own_parts:each"], callbacks: [{ReduceLROnPlateau: {monitor: val_each, mode: max}}]'
    run = run_study(grid_of(folder, training), folder / "run", only=["plain"], executor="inline")
    done = run.results[run.results["status"] == "completed"]
    assert len(done) == 3
    assert done["test_each"].tolist() == pytest.approx(done["test_accuracy"].tolist())


@pytest.mark.slow
def test_a_metric_that_is_no_number_is_told_and_the_rest_reported(folder: Path) -> None:
    training, compare = (
        'metrics: ["own_parts:undefined"]',
        "compare: {metric: test_undefined, direction: lower, margin: 1}\n",
    )
    run = run_study(grid_of(folder, training, compare), folder / "run", executor="inline")
    assert (run.results["status"] == "completed").all()
    assert run.notes[0] == (
        "test_undefined is not a finite number in 6 of 6 completed trials, of plain, width=2: these trials are left "
        "out of its comparisons."
    )
    assert "is not a finite number in 6 of 6 completed trials" in (run.folder / "report.md").read_text(
        "utf-8"
    )
    assert run.verify().differences == []
    drawn = {file.stem for file in run.figures_folder.glob("*.png")}
    assert "learning_curves" in drawn
    assert "forest" not in drawn
