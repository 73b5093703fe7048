"""Images come as they are promised, split by class and normalised from the training part alone."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ablation.data.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings


def random_images(count: int, classes: int = 10) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), np.arange(count) % classes


def as_rows(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def python2_pickle(batch: dict[str, Any]) -> bytes:
    """Pickle as CIFAR-10's own files are: protocol 2, byte strings, numpy's old module path."""
    content = pickle.dumps({key.encode(): value for key, value in batch.items()}, protocol=2)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar10_files(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, bytes]:
    parts = zip(np.array_split(as_rows(images), 6), np.array_split(labels, 6), strict=True)
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    files = {
        name: python2_pickle({"data": rows, "labels": part.tolist()})
        for name, (rows, part) in zip(names, parts, strict=True)
    }
    meta = {"label_names": [name.encode() for name in CIFAR10_CLASSES]}
    return files | {"batches.meta": python2_pickle(meta)}


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_digits_are_real_and_split_by_class() -> None:
    dataset = prepare_dataset(
        DatasetSettings(name="digits", train_size=300, validation_size=200, test_size=500)
    )
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [300, 200, 500]
    for part, each in ((dataset.train, 30), (dataset.val, 20), (dataset.test, 50)):
        assert np.abs(np.bincount(part.labels) - each).max() <= 2
    assert dataset.train.images.dtype == np.uint8
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.describe() == (
        "Handwritten digits (8x8 scans, from scikit-learn): 300 training, 200 validation and 500 test images"
    )


def test_no_image_is_in_two_parts() -> None:
    images, labels = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1), np.arange(100) % 2
    dataset = _from_npz(
        x=images, y=labels, settings={"test_size": 20, "validation_size": 30, "train_size": 40}
    )
    parts = [set(part.images.ravel().tolist()) for part in (dataset.train, dataset.val, dataset.test)]
    assert [len(part) for part in parts] == [40, 30, 20]
    assert len(set().union(*parts)) == 90


def test_the_split_depends_on_its_own_seed_alone() -> None:
    first, again, other = (
        prepare_dataset(DatasetSettings(train_size=50, split_seed=seed)).digest for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_standard_normalisation_reads_the_training_part_alone() -> None:
    dataset = prepare_dataset(DatasetSettings(train_size=100, normalise="standard"))
    normalised = dataset.normalise(dataset.train.images)
    assert normalised.mean() == pytest.approx(0, abs=1e-5)
    assert normalised.std() == pytest.approx(1, abs=1e-5)
    assert dataset.normalise(dataset.val.images).mean() != pytest.approx(0, abs=1e-5)


def test_unit_normalisation_is_a_division_by_255() -> None:
    dataset = prepare_dataset(DatasetSettings())
    expected = dataset.val.images / np.float32(255)
    np.testing.assert_allclose(dataset.normalise(dataset.val.images), expected, rtol=1e-6)


def test_a_dataset_survives_its_file(tmp_path: Path) -> None:
    dataset = prepare_dataset(DatasetSettings(train_size=50, normalise="standard"))
    dataset.save(tmp_path / "dataset.npz")
    loaded = Dataset.load(tmp_path / "dataset.npz")
    assert loaded.digest == dataset.digest
    assert (loaded.class_names, loaded.origin) == (dataset.class_names, dataset.origin)


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_cifar10_layout_is_read_as_it_is(tmp_path: Path, packed: bool) -> None:
    images, labels = random_images(600)
    path = write_folder(tmp_path / "data" / "cifar-10-batches-py", cifar10_files(images, labels))
    if packed:
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(path, "cifar-10-batches-py")
        path = tmp_path / "cifar-10-python.tar.gz"
    dataset = prepare_dataset(DatasetSettings(name="cifar10", path=str(path), validation_size=100))
    assert dataset.class_names == CIFAR10_CLASSES
    np.testing.assert_array_equal(dataset.test.images, images[500:])
    np.testing.assert_array_equal(dataset.test.labels, labels[500:])
    assert dataset.origin == "A part of CIFAR-10 (500 of 50,000 training and 100 of 10,000 test images)"
    found = {image.tobytes() for image in np.concatenate([dataset.train.images, dataset.val.images])}
    assert found == {image.tobytes() for image in images[:500]}


def test_the_official_cifar100_layout_is_read_as_it_is(tmp_path: Path) -> None:
    images, labels = random_images(500, classes=100)
    files = {
        "train": python2_pickle({"data": as_rows(images[:400]), "fine_labels": labels[:400].tolist()}),
        "test": python2_pickle({"data": as_rows(images[400:]), "fine_labels": labels[400:].tolist()}),
        "meta": python2_pickle({"fine_label_names": [name.encode() for name in CIFAR100_CLASSES]}),
    }
    folder = write_folder(tmp_path / "cifar-100-python", files)
    dataset = prepare_dataset(DatasetSettings(name="cifar100", path=str(folder), validation_size=100))
    assert len(dataset.class_names) == 100
    np.testing.assert_array_equal(dataset.test.images, images[400:])


class Hostile:
    """Unpickled by the ordinary means, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_hostile_batch_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "it ran"
    pickle.loads(pickle.dumps(Hostile(proof)))
    assert proof.exists()  # so the attack is a real one
    proof.rmdir()
    files = cifar10_files(*random_images(60))
    files["data_batch_2"] = pickle.dumps({b"data": Hostile(proof), b"labels": []})
    folder = write_folder(tmp_path / "cifar-10-batches-py", files)
    with pytest.raises(DatasetError, match="data_batch_2 is not a CIFAR batch: it asks for posix.mkdir"):
        prepare_dataset(DatasetSettings(name="cifar10", path=str(folder)))
    assert not proof.exists()


def test_a_folder_without_batches_or_with_broken_ones_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="contains no file named data_batch_1"):
        prepare_dataset(DatasetSettings(name="cifar10", path=str(tmp_path)))
    files = cifar10_files(*random_images(60))
    del files["data_batch_4"]
    files["data_batch_3"] = b"\x80\x02nonsense"
    folder = write_folder(tmp_path / "cifar", files)
    with pytest.raises(DatasetError, match="data_batch_3 is not a CIFAR batch"):
        prepare_dataset(DatasetSettings(name="cifar10", path=str(folder)))
    (folder / "data_batch_3").write_bytes(files["data_batch_2"])
    with pytest.raises(DatasetError, match="data_batch_4 cannot be read: No such file"):
        prepare_dataset(DatasetSettings(name="cifar10", path=str(folder)))


def _from_npz(settings: dict[str, Any] | None = None, **arrays: Any) -> Dataset:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "own.npz"
        np.savez(file, **arrays)
        return prepare_dataset(DatasetSettings(name="npz", path=str(file), **(settings or {})))


def test_an_npz_of_the_users_own_is_read() -> None:
    images, labels = random_images(200, classes=4)
    dataset = _from_npz(
        x_train=images[:150], y_train=labels[:150, None], x_test=images[150:], y_test=labels[150:],
        class_names=["a", "b", "c", "d"],
    )  # fmt: skip
    assert dataset.class_names == ("a", "b", "c", "d")
    assert len(dataset.test) == 50
    floats = _from_npz(x=images[:100, :, :, 0] / 255, y=labels[:100])
    assert floats.image_shape == (32, 32, 1)
    assert floats.train.images.dtype == np.float32
    assert floats.normalise(floats.train.images).max() == pytest.approx(1, abs=0.01)


IMAGES, LABELS = random_images(60, classes=3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": IMAGES}, "contains pixels; expected x_train and y_train"),
        ({"x": IMAGES}, "contains x; expected x_train and y_train"),
        ({"x": IMAGES, "y": LABELS[:-1]}, "expected 60 whole numbers or class names, one per image"),
        ({"x": IMAGES, "y": LABELS / 2}, "labels are float64"),
        ({"x": IMAGES, "y": LABELS - 1}, "labels range from -1 to 1; expected 0 to 1"),
        ({"x": IMAGES, "y": LABELS * 0}, "all labels are the same"),
        ({"x": IMAGES, "y": LABELS * 2}, "has the label 1, one of 5 classes. The largest label is 4"),
        (
            {"x": IMAGES.astype(np.int32), "y": LABELS},
            r"images are int32; expected uint8 from 0 to 255, or floats from 0 to 1. Convert them with x.astype\(\"uint8\"\).",
        ),
        (
            {"x": IMAGES.astype(np.uint16) * 9, "y": LABELS},
            "Divide all of them by the largest possible value.$",
        ),
        ({"x": IMAGES > 9, "y": LABELS}, r"images are bool; .* Convert them with x.astype\(float\).$"),
        ({"x": IMAGES / 1.0, "y": LABELS}, "these range from 0 to 255. Divide all of them by 255.$"),
        ({"x": IMAGES / 127.5 - 1, "y": LABELS}, r"range from -1 to 1. .* with \(x \+ 1\) / 2.$"),
        ({"x": IMAGES / 50 - 2, "y": LABELS}, "have no known scale; give the original images.$"),
        ({"x": IMAGES, "y": LABELS / 1.0}, r"labels are float64 of shape \(60,\); .* with y.astype\(int\).$"),
        ({"x": IMAGES, "y": LABELS > 0}, r"labels are bool of shape \(60,\); .* with y.astype\(int\).$"),
        (
            {"x": IMAGES.reshape(60, -1), "y": LABELS},
            r"Convert rows of pixels with x.reshape\(-1, height, width\).$",
        ),
        ({"x": IMAGES / 100, "y": LABELS}, r"must be between 0 and 1; these range from 0 to 2\.\d+"),
        (
            {"x": np.where(np.arange(240).reshape(60, 2, 2) == 9, np.nan, 0), "y": LABELS},
            "1 of 60 images contain NaN",
        ),
        ({"x": IMAGES[:, 0, 0], "y": LABELS}, r"images have the shape \(60, 3\)"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, "images have the shape"),
        (
            {"x": IMAGES.transpose(0, 3, 1, 2), "y": LABELS},
            r"images have the shape \(60, 3, 32, 32\), and their channels seem to come first; expected \(n, height, "
            r"width, channels\). Convert them with x.transpose\(0, 2, 3, 1\)\.",
        ),
        ({"x": IMAGES, "X": IMAGES, "y": LABELS}, "contains both x and X; expected one array of images"),
        (
            {"x": IMAGES, "y": LABELS, "label": LABELS},
            "contains both y and label; expected one array of labels",
        ),
        (
            {"x": IMAGES, "y": LABELS, "class_names": ["a", "b", "a"]},
            "class_names is not a list of different names",
        ),
        (
            {"x": IMAGES, "y": LABELS, "class_names": "abc"},
            "class_names is not a list of different names, one per",
        ),
        (
            {"x": IMAGES, "y": LABELS + 1},
            "has the label 0, one of 4 classes. The largest label is 3. If the labels begin with 1, subtract 1",
        ),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES}, "expected both x_test and y_test, or neither of them"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES[:, :8], "y_test": LABELS}, "test images have the shape"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES, "y_test": LABELS + 1}, "test labels range from 1 to 3"),
        ({"x": IMAGES, "y": LABELS, "class_names": ["a", "b"]}, "labels range from 0 to 2; expected 0 to 1"),
        ({"x": IMAGES[:6], "y": np.array([0, 0, 0, 0, 0, 1])}, "the smallest class has 1"),
        (
            {"x": np.array([None, {}]), "y": LABELS},
            "cannot be read as an .npz file: the array x contains Python objects",
        ),
    ],
)
def test_arrays_that_are_no_dataset_are_told(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        _from_npz(**arrays)


@pytest.mark.parametrize(("of_train", "of_test"), [(255, 15), (15, 255)])
def test_parts_whose_scales_may_differ_are_said(of_train: int, of_test: int) -> None:
    arrays = {"x_train": np.minimum(IMAGES, of_train), "x_test": np.minimum(IMAGES[:9], of_test)}
    assert _from_npz(**arrays, y_train=LABELS, y_test=LABELS[:9]).notes[-1:] == (
        f"The scales may differ: the largest value of the training images is {of_train}, but that of the test images is "
        f"{of_test}.",
    )


ROWS = np.eye(3, dtype=np.uint8)[LABELS]
SEVERAL = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)[np.arange(60) % 4]


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool, np.float32])
def test_rows_with_a_single_1_are_classes(kind: type) -> None:
    parts = {"x_train": IMAGES, "x_test": IMAGES[:30]}
    rows = _from_npz(**parts, y_train=ROWS.astype(kind), y_test=ROWS[:30].astype(kind))
    classes = _from_npz(**parts, y_train=LABELS, y_test=LABELS[:30])
    assert not rows.is_multi_label
    assert rows.class_names == ("0", "1", "2")
    assert rows.digest == classes.digest


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool, np.float32])
def test_other_rows_of_0_and_1_are_several_labels(kind: type) -> None:
    dataset = _from_npz(
        x_train=IMAGES, y_train=SEVERAL.astype(kind), x_test=IMAGES, y_test=SEVERAL.astype(kind),
        class_names=["sky", "sea", "sand"],
    )  # fmt: skip
    assert dataset.is_multi_label
    assert dataset.train.labels.dtype == np.uint8
    np.testing.assert_array_equal(dataset.test.labels, SEVERAL)
    assert dataset.digest == _from_npz(x_train=IMAGES, y_train=SEVERAL, x_test=IMAGES, y_test=SEVERAL).digest


def test_one_row_with_another_number_of_labels_makes_them_several() -> None:
    """In whichever part it is: what a row means must not depend on the part it is in."""
    parts = {"x_train": IMAGES, "x_test": IMAGES}
    assert _from_npz(**parts, y_train=ROWS, y_test=SEVERAL).is_multi_label
    assert _from_npz(**parts, y_train=SEVERAL, y_test=ROWS).is_multi_label


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES, "y": ROWS * 2},
         "{file}, training set: labels are uint8 of shape (60, 3); expected 60 whole numbers or class names, one per image, or "
         "rows of 0 and 1, one column per label."),
        ({"x": IMAGES, "y": ROWS[1:]},
         "{file}, training set: labels are uint8 of shape (59, 3); expected 60 whole numbers or class names, one per image, or rows of "
         "0 and 1, one column per label."),
        ({"x": IMAGES, "y": ROWS[..., None]},
         "{file}, training set: labels are uint8 of shape (60, 3, 1); expected 60 whole numbers or class names, one per image, or rows "
         "of 0 and 1, one column per label."),
        ({"x": IMAGES, "y": SEVERAL, "class_names": ["a", "b"]},
         "{file}: labels have 3 columns, but there are 2 class names."),
        ({"x_train": IMAGES, "y_train": SEVERAL, "x_test": IMAGES, "y_test": LABELS},
         "{file}: training labels of shape (60, 3) and test labels of shape (60,) do not match."),
        ({"x_train": IMAGES, "y_train": ROWS, "x_test": IMAGES, "y_test": ROWS[:, :2]},
         "{file}: training labels of shape (60, 3) and test labels of shape (60, 2) do not match."),
        ({"x": IMAGES, "y": SEVERAL * np.array([1, 0, 1], np.uint8)},
         "{file}: no training image has the label 1, one of 3 classes."),
        ({"x": IMAGES, "y": np.pad(ROWS, [(0, 0), (0, 1)])},
         "{file}: no training image has the label 3, one of 4 classes. The largest label is 2."),
        ({"x": IMAGES, "y": np.where(SEVERAL, np.nan, 0)},
         "{file}, training set: labels are float64 of shape (60, 3); expected 60 whole numbers or class names, one per image, or rows "
         "of 0 and 1, one column per label."),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_told(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    np.savez(file, **arrays)
    with pytest.raises(DatasetError) as error:
        prepare_dataset(DatasetSettings(name="npz", path=str(file)))
    assert str(error.value) == message.format(file=file)


def test_too_few_images_for_the_split_are_told() -> None:
    with pytest.raises(DatasetError) as error:
        prepare_dataset(DatasetSettings(train_size=5000))
    assert str(error.value) == (
        "dataset.train_size: cannot take 5,000 images: only 1,150 are available. Of the 1,797 images, 359 are test "
        "images (dataset.test_size) and 288 are validation images (dataset.validation_size)."
    )
    with pytest.raises(DatasetError) as error:
        prepare_dataset(DatasetSettings(train_size=1145))
    assert str(error.value) == (
        "dataset.train_size: cannot take 1,145 of 1,150 images: both parts of the split need at least one "
        "image of each of the 10 classes, but the smallest class has 111. Of the 1,797 images, 359 are test images "
        "(dataset.test_size) and 288 are validation images (dataset.validation_size)."
    )


def test_a_file_that_is_no_npz_is_told(tmp_path: Path) -> None:
    file = tmp_path / "own.npz"
    settings = DatasetSettings(name="npz", path=str(file))
    with pytest.raises(DatasetError, match=r"own.npz cannot be read as an .npz file: No such"):
        prepare_dataset(settings)
    for content in (b"PK\x03\x04 not really", b"not at all", b"", pickle.dumps({"x": 1})):
        file.write_bytes(content)
        with pytest.raises(DatasetError) as error:
            prepare_dataset(settings)
        assert str(error.value) == (
            f"{file} cannot be read as an .npz file: it is damaged, or another kind of file; use numpy.savez."
        )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x", b"no array")
    with pytest.raises(DatasetError, match="it contains x, which is no array; use numpy.savez"):
        prepare_dataset(settings)
    np.savez_compressed(file, x=IMAGES, y=LABELS)
    content = bytearray(file.read_bytes())
    content[400:420] = bytes(20)
    file.write_bytes(content)
    with pytest.raises(DatasetError, match="own.npz cannot be read as an .npz file: "):
        prepare_dataset(settings)


def test_keras_downloads_are_read_and_their_absence_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras's own loader and its own download code, from a file on this machine instead of the network."""
    import keras
    from keras.src.datasets import mnist

    images = np.random.default_rng(0).integers(0, 256, (80, 28, 28), dtype=np.uint8)
    labels = np.arange(80) % 10
    buffer = io.BytesIO()
    np.savez(buffer, x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    (tmp_path / "cache").mkdir()
    (tmp_path / "remote.npz").write_bytes(buffer.getvalue())

    def from_this_machine(fname: str, origin: str, **_: Any) -> Any:
        return keras.utils.get_file(fname, (tmp_path / origin).as_uri(), cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(mnist, "get_file", lambda fname, **_: from_this_machine(fname, "remote.npz"))
    settings = DatasetSettings(name="mnist", validation_size=10)
    dataset = prepare_dataset(settings)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (50, 10, 20)
    assert dataset.image_shape == (28, 28, 1)
    assert list((tmp_path / "cache").rglob("mnist*"))  # kept for the next time

    monkeypatch.setattr(mnist, "get_file", lambda fname, **_: from_this_machine("gone.npz", "gone.npz"))
    with pytest.raises(DatasetError) as error:
        prepare_dataset(settings)
    first, second = str(error.value).splitlines()[0], str(error.value).splitlines()[-1]
    assert first.startswith("mnist is not on this machine and could not be downloaded: ")
    assert second == (
        "Offline, set --data-dir to an .npz file with x_train, y_train, x_test and y_test, or use `--dataset digits`, "
        "which needs no download."
    )


def test_real_cifar10_images_are_read(cifar10_folder: Path) -> None:
    dataset = prepare_dataset(
        DatasetSettings(name="cifar10", path=str(cifar10_folder), train_size=1000, validation_size=500)
    )
    assert dataset.class_names == CIFAR10_CLASSES
    assert dataset.image_shape == (32, 32, 3)
    assert np.bincount(dataset.train.labels).min() >= 80
    mean = dataset.train.images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.491, 0.482, 0.447], atol=0.02)  # CIFAR-10's well-known means


def test_the_first_images_are_a_smaller_training_set_within_the_larger(tiny_dataset: Dataset) -> None:
    smaller = tiny_dataset.first(20)
    assert len(smaller.train) == 20
    assert np.array_equal(smaller.train.images, tiny_dataset.first(30).train.images[:20])
    assert len(smaller.train_probe) == 20  # nothing is measured as trained on that is not
    assert len(tiny_dataset.first(50).train_probe) == len(tiny_dataset.val)
    assert smaller.val is tiny_dataset.val
    assert tiny_dataset.first(None) is tiny_dataset

    with pytest.raises(DatasetError) as error:
        tiny_dataset.first(61)
    assert str(error.value) == (
        "training.train_size: cannot take 61 of 60 training images; a smaller dataset.validation_size or "
        "dataset.test_size leaves more of them."
    )
