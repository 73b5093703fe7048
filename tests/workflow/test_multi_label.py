"""Images with any number of labels: right is an image all of whose labels are, in every number of a study."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

from ablation import Run, Study, run_study
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import AblationError, DatasetError, GridError
from ablation.figures.style import Picture
from ablation.grid.dataset_settings import DatasetSettings
from ablation.report.sections import study_report

LABELS = ("left", "middle", "right")
MODELS = """
    import keras

    def own(image_shape, classes, activation):
        layers = [keras.layers.Flatten(), keras.layers.Dense(classes, activation)]
        return keras.Sequential([keras.Input(image_shape), *layers])
"""
GRID = """
    study: stripes
    dataset: {name: npz, path: stripes.npz, validation_size: 40, test_size: 60}
    model: {blocks: [[4]], dense: [8]}
    training:
      epochs: 2
      batch_size: 16
      learning_rate: 0.01
      loss: binary_crossentropy
      metrics: [binary_accuracy, precision, recall, auc]
    factors: {dropout: [0, 0.3]}
    seeds: 2
"""


def stripes(count: int = 240) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return grey images, 6 by 9, and which of their thirds are bright."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (count, 3), np.uint8)
    noise = generator.integers(0, 60, (count, 6, 9), np.uint8)
    return noise + np.repeat(labels * np.uint8(180), 3, axis=1)[:, None, :], labels


def study_of(folder: Path, text: str = GRID) -> Study:
    """Write the images, the models and a grid file into a folder."""
    images, labels = stripes()
    np.savez(folder / "stripes.npz", x=images, y=labels, class_names=LABELS)
    (folder / "own_outputs.py").write_text(textwrap.dedent(MODELS))
    (folder / "grid.yaml").write_text(textwrap.dedent(text))
    return Study.from_yaml(folder / "grid.yaml")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A study of two variants and two seeds, trained in this process; tests only read it."""
    folder = tmp_path_factory.mktemp("stripes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "ablation.workflow.run_study.write_report", lambda run: folder
        )  # `pictures` are drawn once, for all tests
        return run_study(study_of(folder), folder / "run", executor="inline")


@pytest.fixture(scope="module")
def pictures(run: Run) -> list[Picture]:
    return run.draw_figures()


def probabilities(run: Run) -> list[NDArray[np.float32]]:
    found = [run.store.test_probabilities(trial) for trial in run.trials]
    return [p for p in found if p is not None]


def test_the_images_and_their_labels_are_kept_as_they_are(run: Run) -> None:
    dataset = run.dataset
    assert dataset.is_multi_label
    assert (dataset.image_shape, dataset.class_names) == ((6, 9, 1), LABELS)
    assert (dataset.test.labels.shape, dataset.test.labels.dtype) == ((60, 3), np.uint8)
    assert dataset.words(np.array([1, 0, 1])) == "left, right"
    assert dataset.words(np.array([0, 0, 0])) == "none"
    assert dataset.describe() == (
        "stripes.npz: 140 training, 40 validation and 60 test images, correct if all of their labels are "
        "(exact-match accuracy)"
    )
    thirds = dataset.test.images[..., 0].reshape(60, 6, 3, 3).mean(axis=(1, 3)) > 100
    np.testing.assert_array_equal(thirds, dataset.test.labels)


def test_accuracy_is_the_share_of_images_all_of_whose_labels_are_right(run: Run) -> None:
    labels, found = run.dataset.test.labels, probabilities(run)
    assert len(found) == 4
    expected = [accuracy_score(labels, p > 0.5) for p in found]
    np.testing.assert_allclose(run.results["test_accuracy"], expected, rtol=1e-6)
    assert 0.1 < np.mean(expected) < np.mean([(labels == (p > 0.5)).mean() for p in found])


def test_loss_and_further_metrics_are_over_the_labels_of_all_images(run: Run) -> None:
    flat = run.dataset.test.labels.ravel()
    for (_, result), p in zip(run.results.iterrows(), probabilities(run), strict=True):
        told = p.ravel() > 0.5
        assert result["test_loss"] == pytest.approx(log_loss(flat, p.ravel().astype(float)), rel=1e-4)
        assert result["test_binary_accuracy"] == pytest.approx((flat == told).mean(), rel=1e-6)
        assert result["test_precision"] == pytest.approx(precision_score(flat, told), rel=1e-6)
        assert result["test_recall"] == pytest.approx(recall_score(flat, told), rel=1e-6)


def test_the_logged_accuracy_counts_as_the_measured_one_does(run: Run, tmp_path: Path) -> None:
    """Where nothing is learned, the running mean over an epoch is the accuracy of one model."""
    import keras

    from ablation.training.compilation import compiled_model
    from ablation.training.loop import CompiledLoop

    trial, dataset = run.trials[0], run.dataset
    model = compiled_model(trial, dataset)
    assert model.layers[-1].activation is keras.activations.sigmoid
    model.optimizer.learning_rate.assign(0)
    loop = CompiledLoop(model, dataset, trial.training)
    logged = loop.train(np.arange(len(dataset.train), dtype=np.int32))
    measured = loop.measure(dataset.train)
    assert logged == pytest.approx((measured["loss"], measured["accuracy"]), rel=1e-4)
    right = dataset.train.labels == (loop.predict(dataset.train).probabilities > 0.5)
    assert measured["accuracy"] == pytest.approx(right.all(axis=1).mean(), rel=1e-6)
    assert measured["accuracy"] != pytest.approx(right.mean(), rel=1e-3)


def test_each_label_has_the_share_of_images_on_which_it_is_right(run: Run) -> None:
    table = run.per_class
    assert table["class"].tolist() == [*LABELS, *LABELS]
    assert set(table["images"]) == {60}
    right = np.array([(p > 0.5) == run.dataset.test.labels for p in probabilities(run)])
    by_variant = right.reshape(2, 2, 60, 3).mean(axis=(1, 2))
    np.testing.assert_allclose(table["accuracy"], by_variant.ravel())
    np.testing.assert_allclose(table["difference"].iloc[3:].astype(float), by_variant[1] - by_variant[0])


def test_calibration_is_that_of_all_labels(run: Run) -> None:
    labels, errors = run.dataset.test.labels, run.calibration_error
    for (_, row), p in zip(errors.iterrows(), probabilities(run), strict=True):
        told = p > 0.5
        assert row["accuracy"] == pytest.approx((told == labels).mean())
        assert row["confidence"] == pytest.approx(np.where(told, p, 1 - p).mean(), rel=1e-5)
    assert run.calibration["images"].sum() == 4 * 60 * 3
    assert run.calibration["above"].min() >= 0.5


def test_no_label_is_taken_for_another(run: Run, pictures: list[Picture]) -> None:
    assert run.confusion.empty
    assert list(run.confusion) == ["variant", "true", "predicted", "count", "share"]
    assert run.confusion_differences.empty
    assert (run.folder / "confusion.csv").read_text() == "variant,true,predicted,count,share\n"
    names = {picture.name for picture in pictures}
    assert names >= {"per_class", "predictions", "disagreements", "calibration"}
    assert not names & {"confusion", "confusion_differences"}


def test_captions_speak_of_labels(run: Run, pictures: list[Picture]) -> None:
    captions = {picture.name: picture.caption for picture in pictures}
    assert captions["per_class"].startswith(
        "Per-label accuracy: of the 60 test images, the percentage on which each label is predicted "
        "correctly; mean over"
    )
    assert captions["predictions"].startswith(
        "Test images with their true labels, and the labels that each variant (seed 0) predicts."
    )
    assert (
        "share of labels, over all images together, that are predicted correctly" in captions["calibration"]
    )


def test_the_report_says_how_it_counts_and_is_verified(
    run: Run, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {section.id: section for section in study_report(run, pictures).sections}
    assert "confusion" not in sections
    assert sections["classes"].text == [
        "Per-label accuracy is the share of test images on which a label is predicted correctly, as present or "
        "as absent. An image has any number of labels, so no label is confused with another, and there are no "
        "confusion matrices."
    ]
    measured = " ".join(sections["measured"].text)
    assert "The validation images were split from the training images at random" in measured
    assert (
        "Accuracy is exact-match accuracy: the share of images all of whose labels are predicted correctly, here "
        "and in every table and verdict."
    ) in measured
    for user in ("write", "verify"):
        monkeypatch.setattr(f"ablation.report.{user}.draw_figures", lambda run, folder=None: pictures)
    run.write_report()
    assert Run(run.folder).verify().differences == []


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("{epochs: 1}",
         "plain: the loss categorical_crossentropy is for images of exactly one class, but these images have any "
         "number of labels. Set `training: {loss: binary_crossentropy}`."),
        ("{loss: binary_crossentropy, metrics: [auc, top_k_categorical_accuracy]}",
         "plain: the metric top_k_categorical_accuracy is for images of exactly one class, but these images have any "
         "number of labels. Remove it from `training: {metrics: [...]}`."),
        ("{loss: {CategoricalCrossentropy: {name: renamed}}}",
         "plain: the loss CategoricalCrossentropy(name=renamed) is for images of exactly one class, but these images "
         "have any number of labels. Set `training: {loss: binary_crossentropy}`."),
        ("{loss: binary_crossentropy, metrics: [categorical_accuracy]}",
         "plain: the metric CategoricalAccuracy is for images of exactly one class, but these images have any number "
         "of labels. Remove it from `training: {metrics: [...]}`."),
        ("{loss: categorical_hinge}",
         "plain: the loss CategoricalHinge is for images of exactly one class, but these images have any number of "
         "labels. Set `training: {loss: binary_crossentropy}`."),
    ],
)  # fmt: skip
def test_a_loss_or_metric_of_one_class_is_refused_before_anything_starts(
    training: str, message: str, tmp_path: Path
) -> None:
    from ablation.workflow.check import check_study

    data = "dataset: {name: npz, path: stripes.npz}"
    study = study_of(tmp_path, f"{{study: s, {data}, training: {training}, factors: {{dropout: [0, 0.3]}}}}")
    with pytest.raises(GridError) as caught:
        run_study(study, tmp_path / "run", executor="inline")
    assert str(caught.value) == message
    assert not (tmp_path / "run" / "study.json").exists()
    with pytest.raises(GridError, match="for images of exactly one class, but these images"):
        check_study(study)


def test_what_an_own_model_needs_is_told_along_with_the_loss(tmp_path: Path) -> None:
    from ablation.workflow.check import check_study

    data, model = "{name: npz, path: stripes.npz}", "{builder: 'own_outputs:own', activation: softmax}"
    with pytest.raises(GridError) as caught:
        check_study(study_of(tmp_path, f"{{study: s, dataset: {data}, model: {model}}}"))
    assert str(caught.value) == (
        "plain: the loss categorical_crossentropy is for images of exactly one class, but these images have any "
        "number of labels. Set `training: {loss: binary_crossentropy}` and end your model with sigmoid."
    )


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("sigmoid", ""),
        ("linear", "own_outputs:own: the model's outputs do not lie between 0 and 1, so they are not probabilities; "
                   "end the model with sigmoid, or declare logits by a Keras loss with `from_logits: true`."),
        ("softmax", "own_outputs:own: the model's outputs sum to 1, as those of softmax do, but these images have "
                    "any number of labels; end the model with sigmoid."),
    ],
)  # fmt: skip
def test_an_own_model_gives_a_probability_a_label(activation: str, message: str, tmp_path: Path) -> None:
    from ablation.grid.seeding import Randomness
    from ablation.models.build import build_model

    study = study_of(
        tmp_path, f"{{study: s, model: {{builder: 'own_outputs:own', activation: {activation}}}}}"
    )
    settings = study.variants[0].model
    if message:
        with pytest.raises(AblationError) as caught:
            build_model(settings, (6, 9, 1), 3, Randomness(0), multi_label=True)
        assert str(caught.value) == message
    else:
        assert build_model(settings, (6, 9, 1), 3, Randomness(0), multi_label=True).output_shape == (None, 3)


def prepared(folder: Path, **settings: Any) -> Dataset:
    images, labels = stripes()
    np.savez(folder / "stripes.npz", x=images, y=labels)
    return prepare_dataset(DatasetSettings(name="npz", path=str(folder / "stripes.npz"), **settings))


def test_the_split_is_random_and_fixed_by_its_seed(tmp_path: Path) -> None:
    first, again, other = (
        prepared(tmp_path, validation_size=0.25, test_size=40, train_size=100, split_seed=seed)
        for seed in (3, 3, 4)
    )
    assert first.digest == again.digest != other.digest
    assert [len(part) for part in (first.train, first.val, first.test)] == [100, 50, 40]
    images = np.concatenate([part.images for part in (first.train, first.val, first.test)])
    assert len({image.tobytes() for image in images}) == 190
    first.save(tmp_path / "dataset.npz")
    assert Dataset.load(tmp_path / "dataset.npz").is_multi_label


def test_too_few_images_for_the_split_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        prepared(tmp_path, validation_size=192)
    assert str(caught.value) == (
        "dataset.validation_size: cannot take 192 of 192 images: both parts of the split need at least one image. "
        "Of the 240 images, 48 are test images (dataset.test_size)."
    )
