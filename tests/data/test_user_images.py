"""A user's own images: from a function, and from pictures in a folder a class."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablation import Study, run_study
from ablation.data.arrays import RawImages
from ablation.data.datasets import prepare_dataset
from ablation.data.readers import read_source
from ablation.errors import DatasetError, GridError
from ablation.grid.dataset_settings import DatasetSettings

LOADERS = """
    import numpy as np

    def _images(n, channels=3):
        x = np.arange(n * 6 * 5 * channels, dtype=np.uint8).reshape(n, 6, 5, channels)
        return x, np.arange(n) % 2

    def one():
        return _images(40)

    def two():
        return _images(40), _images(10)

    def named():
        x, y = _images(40, 1)
        return {"x": x[..., 0], "y": y.tolist(), "class_names": ["even", "odd"]}

    def rows():
        x, y = _images(40)
        return {"x": x, "y": np.eye(2)[y].tolist(), "class_names": ["even", "odd"]}

    def several():
        x, y = _images(40)
        return x, np.stack([y, np.ones_like(y)], axis=1)

    def nothing():
        return 3

    def three():
        return 1, 2, 3

    def broken():
        raise OSError("the disk is elsewhere")

    def leaves():
        raise SystemExit(2)

    def ragged():
        x, y = _images(2)
        return [x[0], x[1, :3]], y
"""


def load(folder: Path, function: str) -> RawImages:
    (folder / "own_loaders.py").write_text(textwrap.dedent(LOADERS))
    return read_source(DatasetSettings(loader=f"own_loaders:{function}", path=str(folder)))


def test_what_a_function_returns_is_the_dataset(tmp_path: Path) -> None:
    one, two, named = (load(tmp_path, function) for function in ("one", "two", "named"))
    assert (one.images.shape, one.test_images, one.class_names) == ((40, 6, 5, 3), None, ("0", "1"))
    assert two.test_images is not None
    assert two.test_images.shape == (10, 6, 5, 3)
    assert (named.images.shape, named.class_names) == ((40, 6, 5, 1), ("even", "odd"))
    assert one.origin == "own_loaders:one"


def test_a_functions_labels_may_be_rows_of_0_and_1(tmp_path: Path) -> None:
    rows, several = (load(tmp_path, function) for function in ("rows", "several"))
    assert rows.labels.tolist() == [0, 1] * 20
    assert rows.class_names == ("even", "odd")
    assert several.labels.tolist() == [[0, 1], [1, 1]] * 20


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "dataset.loader: own_loaders:nothing returned a value of type int; expected (x, y), or ((x_train, y_train), "
                    "(x_test, y_test)) with (x_val, y_val) between them if there is a validation set, or a dictionary with "
                    "these keys and, optionally, class_names."),
        ("three", "dataset.loader: own_loaders:three returned a value of type tuple with 3 items; expected (x, y), or ((x_train, "
                  "y_train), (x_test, y_test)) with (x_val, y_val) between them if there is a validation set, or a dictionary "
                  "with these keys and, optionally, class_names."),
        ("broken", "dataset.loader: own_loaders:broken raised OSError: the disk is elsewhere (own_loaders.py, "
                   "line 33)"),
        ("leaves", "dataset.loader: own_loaders:leaves raised SystemExit: 2 (own_loaders.py, line 36)"),
        ("ragged", "dataset.loader: own_loaders:ragged returned no array as x: setting an array element with a sequence. The "
                   "requested array has an inhomogeneous shape after 1 dimensions. The detected shape was (2,) + "
                   "inhomogeneous part. If images differ in size, resize them to one size."),
        ("twoo", "dataset.loader: 'own_loaders' has no loader 'twoo'; expected module:object. Did you mean 'two'?"),
    ],
)  # fmt: skip
def test_a_function_that_returns_no_images_is_told(function: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, function)
    assert str(caught.value) == message


def test_a_module_that_ends_the_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "leaving_loader.py").write_text("import sys\nsys.exit('bye')\n")
    with pytest.raises(DatasetError) as caught:
        read_source(DatasetSettings(loader="leaving_loader:load", path=str(tmp_path)))
    assert str(caught.value) == (
        "dataset.loader: the module 'leaving_loader' cannot be imported (SystemExit: bye)."
    )


@pytest.mark.usefixtures("without_report")
def test_a_loader_beside_the_grid_file_is_found_and_trained_on(
    write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "own_loaders.py").write_text(textwrap.dedent(LOADERS))
    grid = """
        study: own
        dataset: {loader: "own_loaders:two", validation_size: 10}
        model: {family: dense, dense: [4]}
        training: {epochs: 1}
        seeds: 1
    """
    study = Study.from_yaml(write_grid(grid))
    assert study.dataset.name == "own"
    run = run_study(study, tmp_path / "run", executor="inline")
    assert run.results["status"].tolist() == ["completed"]
    assert run.dataset.describe() == "own_loaders:two: 30 training, 10 validation and 10 test images"


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("{name: own}", "the name own needs a loader (module:function), and no other name accepts one"),
        (
            "{name: digits, loader: 'm:f'}",
            "the name own needs a loader (module:function), and no other name accepts one",
        ),
        ("{loader: m}", "the loader 'm' is not of the form module:function"),
        ("{image_size: 8}", "image_size is valid only for folder, csv, tfds and huggingface"),
        ("{on_error: skip}", "on_error: skip is valid only for folder, csv and huggingface"),
        ("{class_names: [a, b]}", "class_names is valid only for npz, folder, csv and own"),
        ("{id: mnist}", "an id is valid only for tfds and huggingface"),
        ("{name: tfds, path: data}", "a dataset named tfds needs an id, the name of the dataset there"),
        ("{name: huggingface}", "a dataset named huggingface needs an id, the name of the dataset there"),
        (
            "{name: folder}",
            "a dataset named folder needs a path, a folder that contains one folder per class",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_told(
    dataset: str, message: str, write_grid: Callable[[str], Path]
) -> None:
    with pytest.raises(GridError) as caught:
        Study.from_yaml(write_grid(f"{{study: s, dataset: {dataset}}}"))
    assert f"dataset: {message}." in str(caught.value)


def pictures(folder: Path, count: int = 6, channels: int = 3, side: int = 7) -> np.ndarray:
    """Write pictures of two classes, and return them as they should be read."""
    generator = np.random.default_rng(0)
    found = generator.integers(0, 256, (2 * count, side, side + 1, channels), np.uint8)
    for number, picture in enumerate(found):
        file = folder / ("cat" if number < count else "dog") / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture if channels == 3 else picture[..., 0]).save(file)
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_read_to_the_pixel_with_their_folders_as_classes(channels: int, tmp_path: Path) -> None:
    written = pictures(tmp_path / "pets", channels=channels)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "pets" / "empty").mkdir()
    found = read_source(DatasetSettings(name="folder", path=str(tmp_path / "pets")))
    np.testing.assert_array_equal(found.images, written)
    assert found.labels.tolist() == [0] * 6 + [1] * 6
    assert (found.class_names, found.test_images, found.origin) == (("cat", "dog"), None, "pets")


def test_a_test_part_is_taken_where_there_is_one_and_pictures_are_resized(tmp_path: Path) -> None:
    pictures(tmp_path / "train", count=20)
    pictures(tmp_path / "test", side=9)
    settings = DatasetSettings(name="folder", path=str(tmp_path), image_size=(4, 5), validation_size=10)
    dataset = prepare_dataset(settings)
    assert dataset.image_shape == (4, 5, 3)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (30, 10, 12)


def test_pictures_of_several_sizes_and_broken_ones_are_told(tmp_path: Path) -> None:
    pictures(tmp_path)
    settings = DatasetSettings(name="folder", path=str(tmp_path))
    odd = tmp_path / "cat" / "x.png"
    Image.new("RGB", (3, 3)).save(odd)
    with pytest.raises(DatasetError) as caught:
        read_source(settings)
    assert str(caught.value) == (
        f"{odd} has 3 × 3 pixels, but {tmp_path / 'cat' / '000.png'} has 7 × 8; set dataset.image_size to resize all "
        "images to one size."
    )
    odd.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=f"{odd} cannot be read as an image: "):
        read_source(settings)
    with pytest.raises(
        DatasetError, match="is not a folder; expected one that has one folder of images per class"
    ):
        read_source(DatasetSettings(name="folder", path=str(tmp_path / "none")))
    with pytest.raises(
        DatasetError, match="contains no folder of images of a class; expected two or more folders of images"
    ):
        read_source(DatasetSettings(name="folder", path=str(tmp_path / "cat")))
