"""Images of TensorFlow Datasets and Hugging Face, from data sets that are built here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ablation.data.arrays import RawImages
from ablation.data.datasets import prepare_dataset
from ablation.data.hubs import find_columns
from ablation.data.readers import read_source
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings

NAMES = ["cat", "dog", "fox"]
SEVERAL = [[0], [1, 2], [], [0, 1, 2]] * 6
GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (24, 5, 7, 1), np.uint8)
COLOUR = GENERATOR.integers(0, 256, (24, 5, 7, 3), np.uint8)
CLASSES = np.arange(24) % 3


def rows(images: NDArray[np.uint8], **columns: Any) -> list[dict[str, Any]]:
    """Return a row an image."""
    named = {"picture": list(images), **columns}
    return [dict(zip(named, values, strict=True)) for values in zip(*named.values(), strict=True)]


@dataclass
class Kind:
    """The type of a column; one of classes has names."""

    names: tuple[str, ...] = ()


@dataclass
class Classes(Kind):
    """The type of a column of classes."""


def test_classes_of_the_same_name_are_told_apart() -> None:
    """As two of the thousand classes of ImageNet are named crane."""
    features = {"image": Kind(), "label": Classes(("crane", "drum", "crane"))}
    assert find_columns(features, Kind, Classes, "birds").names == ("crane (0)", "drum", "crane (2)")


class HuggingFace:
    """Data sets that `save_to_disk` writes."""

    name = "huggingface"

    def __init__(self, folder: Path) -> None:
        self.datasets = pytest.importorskip("datasets")
        self.folder = folder / "animals"

    def read(
        self, splits: dict[str, list[dict[str, Any]]], several: bool = False, **settings: Any
    ) -> RawImages:
        """Write splits of a column `picture`, a column `kind` of classes and others; read them."""
        from PIL import Image

        kind = self.datasets.ClassLabel(names=NAMES)
        types = {"picture": self.datasets.Image(), "kind": self.datasets.Sequence(kind) if several else kind}
        written = {}
        for split, found in splits.items():
            columns = {key: [row[key] for row in found] for key in found[0]}
            squeezed = [a[..., 0] if a.shape[-1] == 1 else a for a in columns["picture"]]
            columns["picture"] = [Image.fromarray(array) for array in squeezed]
            types["breed"] = self.datasets.ClassLabel(num_classes=2)
            other = {key: self.datasets.Value("int64") for key in columns if key not in types}
            features = self.datasets.Features({key: (types | other)[key] for key in columns})
            written[split] = self.datasets.Dataset.from_dict(columns, features=features)
        self.datasets.DatasetDict(written).save_to_disk(str(self.folder))
        return read_source(DatasetSettings(name="huggingface", path=str(self.folder), **settings))


class Tfds:
    """Data sets that TensorFlow Datasets keeps in its folder."""

    name = "tfds"

    def __init__(self, folder: Path) -> None:
        self.tfds = pytest.importorskip("tensorflow_datasets")
        self.folder = folder

    def read(
        self, splits: dict[str, list[dict[str, Any]]], several: bool = False, **settings: Any
    ) -> RawImages:
        kinds = self.tfds.features
        kind = kinds.ClassLabel(names=NAMES)
        first = next(iter(splits.values()))[0]
        types = {"picture": kinds.Image(shape=(None, None, first["picture"].shape[-1]))}
        types["kind"] = kinds.Sequence(kind) if several else kind
        types["breed"] = kinds.ClassLabel(num_classes=2)
        other = {key: np.int64 for key in first if key not in types}
        self.tfds.dataset_builders.store_as_tfds_dataset(
            name="animals", version="1.0.0", data_dir=str(self.folder),
            features=kinds.FeaturesDict({key: (types | other)[key] for key in first}),
            split_datasets={split: list(enumerate(found)) for split, found in splits.items()}, disable_shuffling=True,
        )  # fmt: skip
        return read_source(DatasetSettings(name="tfds", id="animals", path=str(self.folder), **settings))


@pytest.fixture(params=[HuggingFace, Tfds], ids=lambda library: library.name)
def library(request: pytest.FixtureRequest, tmp_path: Path) -> HuggingFace | Tfds:
    found: HuggingFace | Tfds = request.param(tmp_path)
    return found


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_columns_are_found_by_their_types(images: NDArray[np.uint8], library: HuggingFace | Tfds) -> None:
    train = rows(images[:18], weight=list(range(18)), kind=CLASSES[:18].tolist())
    test = rows(images[18:], weight=list(range(6)), kind=CLASSES[18:].tolist())
    found = library.read({"train": train, "test": test})
    assert found.test_images is not None
    assert found.test_labels is not None
    np.testing.assert_array_equal(found.images, images[:18])
    np.testing.assert_array_equal(found.test_images, images[18:])
    assert found.labels.tolist() == CLASSES[:18].tolist()
    assert found.test_labels.tolist() == CLASSES[18:].tolist()
    assert found.class_names == ("cat", "dog", "fox")
    assert found.origin == "animals"


def test_a_sequence_of_classes_is_several_labels(library: HuggingFace | Tfds) -> None:
    found = library.read({"train": rows(GREY, kind=SEVERAL)}, several=True)
    assert found.labels.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]] * 6
    assert found.test_images is None


def test_of_several_columns_of_labels_the_first_is_taken_and_named(library: HuggingFace | Tfds) -> None:
    found = library.read({"train": rows(GREY, breed=[0, 1] * 12, kind=CLASSES.tolist())})
    assert found.labels.tolist() == [0, 1] * 12
    assert found.class_names == ("0", "1")
    assert found.origin == "animals (labels: breed)"


def test_validation_is_the_test_part_where_there_is_no_other(library: HuggingFace | Tfds) -> None:
    parts = rows(GREY, kind=CLASSES.tolist())
    found = library.read({"validation": parts[:6], "train": parts[6:]})
    assert found.test_labels is not None
    assert (len(found.labels), found.test_labels.tolist()) == (18, CLASSES[:6].tolist())
    assert found.origin == "animals (the validation split is the test set)"


def test_pictures_of_several_sizes_are_resized(library: HuggingFace | Tfds) -> None:
    parts = rows(GREY, kind=CLASSES.tolist())
    parts[4]["picture"] = np.full((9, 4, 1), 200, np.uint8)
    found = library.read({"train": parts}, image_size=(6, 8))
    assert found.images.shape == (24, 6, 8, 1)
    assert (found.images[4] == 200).all()


def test_pictures_of_several_sizes_are_told(library: HuggingFace | Tfds) -> None:
    parts = rows(GREY, kind=CLASSES.tolist())
    parts[4]["picture"] = np.full((9, 4, 1), 200, np.uint8)
    with pytest.raises(DatasetError) as error:
        library.read({"train": parts})
    assert str(error.value) == (
        "animals, train, image 4 has 9 × 4 pixels, but animals, train, image 0 has 5 × 7; set dataset.image_size to "
        "resize all images to one size."
    )


def test_a_data_set_without_a_training_split_is_told(library: HuggingFace | Tfds) -> None:
    with pytest.raises(DatasetError) as error:
        library.read({"test": rows(GREY, kind=CLASSES.tolist())})
    assert str(error.value) == "animals has no split named train; its splits are test."


def test_a_data_set_without_class_labels_is_told(library: HuggingFace | Tfds) -> None:
    with pytest.raises(DatasetError) as error:
        library.read({"train": rows(GREY, weight=list(range(24)))})
    assert str(error.value) == "animals has no column of class labels; its columns are picture, weight."


def test_they_are_split_as_other_images_are(library: HuggingFace | Tfds) -> None:
    library.read({"train": rows(GREY, kind=CLASSES.tolist())})
    name = {"id": "animals"} if library.name == "tfds" else {}
    path = str(library.folder)
    settings = DatasetSettings(name=library.name, path=path, test_size=6, validation_size=6, **name)
    assert prepare_dataset(settings).describe() == "animals: 12 training, 6 validation and 6 test images"


def test_a_single_split_that_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    animals = HuggingFace(tmp_path)
    animals.read({"train": rows(GREY, kind=CLASSES.tolist())})
    alone = str(tmp_path / "alone")
    animals.datasets.load_from_disk(str(animals.folder))["train"].save_to_disk(alone)
    found = read_source(DatasetSettings(name="huggingface", path=alone))
    np.testing.assert_array_equal(found.images, GREY)


def test_a_row_without_a_label_is_told(tmp_path: Path) -> None:
    parts = rows(GREY, kind=CLASSES.tolist())
    parts[3]["kind"] = None
    with pytest.raises(DatasetError) as error:
        HuggingFace(tmp_path).read({"train": parts})
    assert str(error.value) == "animals: a row of the split train has no image or no label."


def test_a_folder_that_is_none_of_hugging_faces_is_told(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DatasetError) as error:
        read_source(DatasetSettings(name="huggingface", path=str(tmp_path)))
    assert str(error.value) == (
        f"{tmp_path} contains no dataset that `save_to_disk` wrote; set dataset.id to download one from Hugging Face."
    )


@pytest.mark.parametrize(
    ("name", "module", "remedy"),
    [
        ("tfds", "tensorflow_datasets", "the folder in which tfds keeps its datasets"),
        ("huggingface", "datasets", "a folder that `save_to_disk` wrote"),
    ],
)
def test_a_data_set_that_cannot_be_had_is_told(
    name: Any, module: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(module)
    monkeypatch.setattr("socket.getaddrinfo", _no_network)
    if name == "huggingface":  # it would try again and again
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetError) as error:
        read_source(DatasetSettings(name=name, id="nobody/has_this", path=str(tmp_path)))
    first, second = str(error.value).splitlines()
    assert first.startswith("nobody/has_this is not on this machine and could not be downloaded: ")
    assert second == (
        f"Offline, set dataset.path or --data-dir to {remedy}, or use `--dataset digits`, which needs no download."
    )


def _no_network(*_: Any, **__: Any) -> Any:
    raise OSError("no network")


@pytest.mark.parametrize(
    ("name", "module", "library"),
    [
        ("tfds", "tensorflow_datasets", "tensorflow-datasets"),
        ("huggingface", "datasets", "datasets"),
    ],
)
def test_the_remedy_for_an_absent_library_is_told(
    name: Any, module: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DatasetError) as error:
        read_source(DatasetSettings(name=name, id="mnist"))
    assert str(error.value) == (
        f"dataset.name: {name} needs {library}, which cannot be imported (import of {module} halted; None in "
        f"sys.modules); install it with `pip install 'ablation-harness[{name}]'`."
    )


def test_a_validation_split_beside_a_test_split_is_the_validation_set(library: HuggingFace | Tfds) -> None:
    parts = rows(GREY, kind=CLASSES.tolist())
    found = library.read(
        {"train": parts[:12], "validation": parts[12:18], "test": parts[18:], "extra": parts[:3]}
    )
    assert found.val_images is not None
    np.testing.assert_array_equal(found.val_images, GREY[12:18])
    assert (len(found.images), found.origin) == (12, "animals")
    assert found.notes == ("These splits of animals are not read: extra.",)


def test_a_broken_picture_of_hugging_face_is_left_out_and_counted(tmp_path: Path) -> None:
    animals = HuggingFace(tmp_path)
    animals.read({"train": rows(GREY, kind=CLASSES.tolist())})
    hub = animals.datasets
    loaded = hub.load_from_disk(str(animals.folder))["train"].cast_column("picture", hub.Image(decode=False))
    broken = [
        row["picture"] if k != 4 else {"bytes": b"no picture", "path": None} for k, row in enumerate(loaded)
    ]
    features = hub.Features({"picture": hub.Image(), "kind": hub.ClassLabel(names=NAMES)})
    again = hub.Dataset.from_dict({"picture": broken, "kind": CLASSES.tolist()}, features=features)
    again.save_to_disk(str(tmp_path / "broken"))
    settings = {"name": "huggingface", "path": str(tmp_path / "broken")}
    with pytest.raises(DatasetError, match="broken, train, image 4 cannot be read as an image: "):
        read_source(DatasetSettings(**settings))
    found = read_source(DatasetSettings(**settings, on_error="skip"))
    np.testing.assert_array_equal(found.images, np.delete(GREY, 4, axis=0))
    assert found.notes == (
        "1 picture cannot be read and is left out, because of on_error: skip: broken, train, image 4.",
    )
