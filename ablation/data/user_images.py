"""Read custom images: returned by a function, or as image files in one folder per class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ablation.data.arrays import RawImages, raw_images
from ablation.errors import AblationError, DatasetError
from ablation.grid.settings import DatasetSettings
from ablation.grid.user_code import error_summary, load_object

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
_EXPECTED = (
    "expected (x, y), or ((x_train, y_train), (x_test, y_test)), or a dictionary with these keys and, "
    "optionally, class_names"
)


def read_loader(settings: DatasetSettings) -> RawImages:
    """Call the custom loader.

    Raises:
        DatasetError: The loader does not exist, raises an error, or returns no images with labels.
    """
    name = str(settings.loader)
    try:
        function, _ = load_object(name, Path(settings.path or "."), "loader")
    except AblationError as error:
        raise DatasetError(f"dataset.loader: {error}") from None
    if not callable(function):
        raise DatasetError(f"dataset.loader: {name} is not a function.")
    try:
        returned = function()
    except Exception as error:
        raise DatasetError(f"dataset.loader: {name} raised {error_summary(error)}") from error
    return raw_images(_arrays_by_name(returned, name), name, name)


def _arrays_by_name(returned: Any, name: str) -> Mapping[str, Any]:
    """Convert the return value of a loader to arrays by name."""
    if isinstance(returned, Mapping):
        return {k: v if k == "class_names" else np.asarray(v) for k, v in returned.items()}
    match returned:
        case ((x_train, y_train), (x_test, y_test)):
            parts = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        case (x, y):
            parts = {"x": x, "y": y}
        case _:
            size = f" with {len(returned)} items" if isinstance(returned, tuple) else ""
            kind = type(returned).__name__
            raise DatasetError(f"dataset.loader: {name} returned a value of type {kind}{size}; {_EXPECTED}.")
    return {key: np.asarray(value) for key, value in parts.items()}


def read_folder(settings: DatasetSettings) -> RawImages:
    """Read pictures from one folder per class, or from such folders in ``train/`` and ``test/``.

    The images have one channel if all pictures are grey, and three otherwise.

    Raises:
        DatasetError: There are no pictures, one cannot be read, or they differ in size.
    """
    folder = Path(str(settings.path))
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; expected one that has one folder of images per class.")
    split = (folder / "train").is_dir() and (folder / "test").is_dir()
    roots = {"train": folder / "train", "test": folder / "test"} if split else {"": folder}
    first = next(iter(roots.values()))
    names = sorted(f.name for f in first.iterdir() if f.is_dir() and next(_pictures(f), None))
    if len(names) < 2:
        raise DatasetError(
            f"{first} contains images of {len(names)} classes; expected two or more folders, one per class."
        )
    arrays: dict[str, Any] = {"class_names": tuple(names)}
    files = {
        part: [(f, k) for k, n in enumerate(names) for f in _pictures(r / n)] for part, r in roots.items()
    }
    if split and not files["test"]:
        raise DatasetError(f"{roots['test']} contains no images of the classes in {roots['train']}.")
    grey = all(_is_grey_file(file) for labelled_files in files.values() for file, _ in labelled_files)
    for part, labelled_files in files.items():
        suffix = f"_{part}" if part else ""
        pictures = ((str(file), _open_picture(file)) for file, _ in labelled_files)
        arrays[f"x{suffix}"] = stacked(pictures, grey, settings.image_size)
        arrays[f"y{suffix}"] = np.array([label for _, label in labelled_files])
    return raw_images(arrays, folder.name, folder)


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield the pictures below a folder, sorted by name so that their order is the same everywhere."""
    if folder.is_dir():
        yield from sorted(f for f in folder.rglob("*") if f.suffix.lower() in _PICTURES and f.is_file())


def is_grey(picture: Image.Image) -> bool:
    """Return whether a picture is grey."""
    return picture.mode in ("1", "L", "LA", "I;16")


def stacked(
    pictures: Iterable[tuple[str, Image.Image]], grey: bool, size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """Return pictures as (n, height, width, channels), uint8.

    Args:
        pictures: The pictures, each with its name for errors. They are closed after they have been read.
        grey: Whether images have one channel rather than three.
        size: The height and width to which all pictures are resized, or None to keep their size.

    Raises:
        DatasetError: A picture cannot be read, or the pictures differ in size.
    """
    arrays: list[NDArray[np.uint8]] = []
    first = ""
    for name, unread in pictures:
        with unread as picture:
            try:
                converted = picture.convert("L" if grey else "RGB")
            except OSError as error:
                raise DatasetError(f"{name} cannot be read as an image: {error}.") from None
        if size is not None and converted.size != size[::-1]:
            converted = converted.resize(size[::-1], Image.Resampling.BILINEAR)
        arrays.append(np.asarray(converted, np.uint8).reshape(*converted.size[::-1], 1 if grey else 3))
        first = first or name
        if arrays[-1].shape != arrays[0].shape:
            sizes = [" × ".join(map(str, array.shape[:2])) for array in (arrays[0], arrays[-1])]
            raise DatasetError(
                f"{name} has {sizes[1]} pixels, but {first} has {sizes[0]}; set dataset.image_size to resize "
                "all images to one size."
            )
    return np.stack(arrays)


def _is_grey_file(file: Path) -> bool:
    with _open_picture(file) as picture:
        return is_grey(picture)


def _open_picture(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as an image: {error}.") from None
