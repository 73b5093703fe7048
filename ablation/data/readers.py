"""Read images: the digits of scikit-learn, Keras downloads, the files of CIFAR, and .npz files."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import RawImages, raw_images
from ablation.data.hubs import read_hub
from ablation.data.labelled_pictures import read_csv, read_folder
from ablation.data.user_images import read_loader, read_plugin
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DATASETS, DatasetSettings
from ablation.plugins import Plugin, plugins
from ablation.tensorflow_setup import quiet_stderr

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR100_CLASSES = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
    pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
    worm""".split()
)
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
        return _cifar10(Path(settings.path))
    if settings.name == "cifar100":
        return _cifar100(Path(settings.path))
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


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles containers, text, numbers and NumPy arrays, and rejects everything else."""

    _allowed = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which an image file does not need")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickle(content: bytes, file: str) -> dict[str, Any]:
    try:
        data = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in data.items()}
    except Exception as error:
        raise DatasetError(f"{file} is not a CIFAR batch: {error}.") from None


def _reader(path: Path, marker: str) -> Callable[[str], dict[str, Any]]:
    """Return a function that reads a batch by its name, from a folder or a tar archive.

    Args:
        path: The folder that contains the batches, its parent folder, or the archive.
        marker: The name of a file that every such folder contains.

    Raises:
        DatasetError: The path is neither such a folder nor an archive that can be read.
    """
    if path.is_file():
        try:
            with tarfile.open(path) as archive:
                members = {Path(m.name).name: m for m in archive.getmembers() if m.isfile()}
                contents = {
                    name: stream.read() for name, m in members.items() if (stream := archive.extractfile(m))
                }
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DatasetError(f"{path} cannot be read as a tar archive: {error}.") from None

        def read_member(name: str) -> dict[str, Any]:
            if name not in contents:
                raise DatasetError(f"{path} contains no file named {name}.")
            return _unpickle(contents[name], f"{path}:{name}")

        return read_member

    folders = [path, *sorted(p for p in path.glob("*") if p.is_dir())] if path.is_dir() else []
    folder = next((f for f in folders if (f / marker).is_file()), None)
    if folder is None:
        raise DatasetError(
            f"{path} contains no file named {marker}; expected a CIFAR python folder or archive."
        )

    def read_file(name: str) -> dict[str, Any]:
        try:
            return _unpickle((folder / name).read_bytes(), str(folder / name))
        except OSError as error:
            raise DatasetError(f"{folder / name} cannot be read: {error.strerror}.") from None

    return read_file


def _cifar10(path: Path) -> RawImages:
    read = _reader(path, "data_batch_1")
    batches = [read(f"data_batch_{k}") for k in range(1, 6)]
    x, y = _cifar_rows(batches, "labels", path)
    x_test, y_test = _cifar_rows([read("test_batch")], "labels", path)
    names = tuple(name.decode() for name in read("batches.meta").get("label_names", ()))
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    origin = _cifar_origin("CIFAR-10", x, x_test)
    return raw_images({**arrays, "class_names": names or CIFAR10_CLASSES}, origin, path)


def _cifar100(path: Path) -> RawImages:
    read = _reader(path, "meta")
    x, y = _cifar_rows([read("train")], "fine_labels", path)
    x_test, y_test = _cifar_rows([read("test")], "fine_labels", path)
    names = tuple(name.decode() for name in read("meta").get("fine_label_names", ()))
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    origin = _cifar_origin("CIFAR-100", x, x_test)
    return raw_images({**arrays, "class_names": names or CIFAR100_CLASSES}, origin, path)


def _cifar_origin(title: str, train: NDArray[Any], test: NDArray[Any]) -> str:
    if (len(train), len(test)) == (50_000, 10_000):
        return title
    return f"A part of {title} ({len(train):,} of 50,000 training and {len(test):,} of 10,000 test images)"


def _cifar_rows(batches: list[dict[str, Any]], key: str, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images, (n, 32, 32, 3), from rows of 3,072 values, channel by channel; and labels, (n,)."""
    try:
        rows = np.concatenate([batch["data"] for batch in batches])
        labels = np.concatenate([np.asarray(batch[key], np.int64) for batch in batches])
        return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(f"{path} is not a CIFAR python folder: {error}.") from None


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
    with np.load(path, allow_pickle=False) as file:
        arrays = {}
        for name in file.files:
            try:
                arrays[name] = file[name]
            except ValueError as error:
                if "Object" not in str(error):
                    raise
                raise ValueError(
                    f"the array {name} contains Python objects. Save labels that are names as text, with "
                    "y.astype(str), and images as one array of numbers, all of the same size"
                ) from None
            if not isinstance(arrays[name], np.ndarray):
                raise ValueError(f"it contains {name}, which is no array; use numpy.savez")
        return arrays
