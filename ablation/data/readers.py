"""Read images: the digits of scikit-learn, Keras downloads, the files of CIFAR, and .npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.array_files import load_npz
from ablation.data.arrays import RawImages, raw_images
from ablation.data.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES, read_cifar10, read_cifar100
from ablation.data.hubs import read_hub
from ablation.data.labelled_pictures import read_csv, read_folder
from ablation.data.user_images import read_loader, read_plugin
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DATASETS, DatasetSettings
from ablation.plugins import Plugin, plugins
from ablation.tensorflow_setup import quiet_stderr

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))


def read_source(settings: DatasetSettings) -> RawImages:
    """Read the images that the settings name.

    Raises:
        AblationError: A plug-in that should read them cannot be loaded, or its name is taken.
        DatasetError: The images are missing, cannot be downloaded, or are not images with labels.
    """
    if plugin := _plugin(settings):
        return read_plugin(settings, plugin)
    if settings.name == "digits":
        return _digits()
    if settings.name == "own":
        return read_loader(settings)
    if settings.name == "folder":
        return read_folder(settings)
    if settings.name == "csv":
        return read_csv(settings)
    if settings.name in ("tfds", "huggingface"):
        return read_hub(settings)
    if settings.name == "npz" or (settings.path or "").endswith(".npz"):
        return _npz(Path(settings.path or ""), settings)
    if settings.path is None:
        return _from_keras(settings.name)
    if settings.name == "cifar10":
        return read_cifar10(Path(settings.path))
    if settings.name == "cifar100":
        return read_cifar100(Path(settings.path))
    raise DatasetError(f"{settings.name}: `path` or --data-dir must be an .npz file, not {settings.path}.")


def reader_provenance(settings: DatasetSettings) -> dict[str, str]:
    """Return the package and the version of the plug-in that reads the images; empty without one."""
    plugin = _plugin(settings)
    return {"reader": f"{plugin.package} {plugin.version}"} if plugin else {}


def _plugin(settings: DatasetSettings) -> Plugin | None:
    plugin = plugins("reader", DATASETS).get(settings.name)
    if plugin is None and settings.name not in DATASETS:
        raise DatasetError(
            f"no installed package has a reader named '{settings.name}'.", "dataset.name", settings.name
        )
    return plugin


def has_official_test_set(settings: DatasetSettings) -> bool:
    """Return whether a source is known to have a test set of its own before it is read or downloaded."""
    return settings.name in _KERAS_CLASSES and not (settings.path or "").endswith(".npz")


def _digits() -> RawImages:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    origin = "Handwritten digits (8x8 scans, from scikit-learn)"
    return RawImages(images, bunch.target.astype(np.int64), None, None, DIGIT_CLASSES, origin)


_KERAS_CLASSES = {
    "cifar10": CIFAR10_CLASSES,
    "cifar100": CIFAR100_CLASSES,
    "mnist": DIGIT_CLASSES,
    "fashion_mnist": FASHION_CLASSES,
}

_TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
_OFFLINE = {
    "cifar10": "the official python folder or archive (cifar-10-python.tar.gz)",
    "cifar100": "the official python folder or archive (cifar-100-python.tar.gz)",
    "mnist": "an .npz file with x_train, y_train, x_test and y_test",
    "fashion_mnist": "an .npz file with x_train, y_train, x_test and y_test",
}


def _from_keras(name: str) -> RawImages:
    """Load images with Keras, which downloads them once, verifies the checksum, and caches them."""
    with quiet_stderr():
        import keras

    try:
        (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise DatasetError(
            f"{name} is not on this machine and could not be downloaded: {error}\n"
            f"Offline, set --data-dir to {_OFFLINE[name]}, or use `--dataset digits`, "
            "which needs no download."
        ) from None
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    return raw_images({**arrays, "class_names": _KERAS_CLASSES[name]}, _TITLES[name], name)


def _npz(path: Path, settings: DatasetSettings) -> RawImages:
    """Read x_train, y_train, x_val, ..., y_test, or x and y, and the optional class_names."""
    try:
        arrays = _npz_arrays(path)
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).rstrip(".")
        raise DatasetError(f"{path} cannot be read as an .npz file: {reason}.") from None
    known = {"class_names": _KERAS_CLASSES.get(settings.name, ())}
    return raw_images({**known, **arrays}, path.name, path, settings.class_names or ())


def _npz_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by their names, and run none of the code that pickles may contain.

    Raises:
        OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error: The file cannot be read,
            is damaged, or contains something else than arrays of numbers and text.
    """
    with path.open("rb") as stream:
        start = stream.read(6)
    if start == b"\x93NUMPY":
        raise ValueError("it contains a single array; save images and labels together by numpy.savez")
    if not start.startswith(b"PK") or not zipfile.is_zipfile(path):
        raise ValueError("it is damaged, or another kind of file; use numpy.savez")
    return load_npz(path)
