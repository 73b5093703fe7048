"""Read the official files of CIFAR-10 and CIFAR-100, from a folder or the archive."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import RawImages, raw_images
from ablation.data.batch_file import MOST_BYTES, read_batch
from ablation.errors import DatasetError

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

_MOST_MEMBERS = 1_000  # of an archive; the official ones have 9 and 5

Batch = dict[str, Any]


def read_cifar10(path: Path) -> RawImages:
    """Read CIFAR-10 from its python folder or archive.

    Raises:
        DatasetError: The path is neither, or a file of it is damaged.
    """
    read = _reader(path, "data_batch_1")
    batches = [read(f"data_batch_{k}") for k in range(1, 6)]
    x, y = _rows(batches, "labels", path)
    x_test, y_test = _rows([read("test_batch")], "labels", path)
    names = _names(read("batches.meta"), "label_names") or CIFAR10_CLASSES
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test, "class_names": names}
    return raw_images(arrays, _origin("CIFAR-10", x, x_test), path)


def read_cifar100(path: Path) -> RawImages:
    """Read CIFAR-100, with its 100 fine classes, from its python folder or archive.

    Raises:
        DatasetError: The path is neither, or a file of it is damaged.
    """
    read = _reader(path, "meta")
    x, y = _rows([read("train")], "fine_labels", path)
    x_test, y_test = _rows([read("test")], "fine_labels", path)
    names = _names(read("meta"), "fine_label_names") or CIFAR100_CLASSES
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test, "class_names": names}
    return raw_images(arrays, _origin("CIFAR-100", x, x_test), path)


def _reader(path: Path, marker: str) -> Callable[[str], Batch]:
    """Return a function that reads a batch by its name, from a folder or a tar archive.

    Args:
        path: The folder that contains the batches, its parent folder, or the archive.
        marker: The name of a file that every such folder contains.

    Raises:
        DatasetError: The path is neither such a folder nor an archive that can be read.
    """
    if path.is_file():
        contents = _archive(path)

        def read_member(name: str) -> Batch:
            if name not in contents:
                raise DatasetError(f"{path} contains no file named {name}.")
            return read_batch(contents[name], f"{path}:{name}")

        return read_member

    folders = [path, *sorted(p for p in path.glob("*") if p.is_dir())] if path.is_dir() else []
    folder = next((f for f in folders if (f / marker).is_file()), None)
    if folder is None:
        raise DatasetError(
            f"{path} contains no file named {marker}; expected a CIFAR python folder or archive."
        )

    def read_file(name: str) -> Batch:
        try:
            with (folder / name).open("rb") as stream:
                return read_batch(stream.read(MOST_BYTES + 1), str(folder / name))
        except OSError as error:
            raise DatasetError(f"{folder / name} cannot be read: {error.strerror}.") from None

    return read_file


def _archive(path: Path) -> dict[str, bytes]:
    """Return the files of an archive by their names, without their folders.

    Raises:
        DatasetError: The archive is damaged, or larger than any of CIFAR.
    """
    contents: dict[str, bytes] = {}
    left = MOST_BYTES
    try:
        with tarfile.open(path) as archive:
            for count, member in enumerate(archive):
                left -= max(member.size, 0)
                if left < 0 or count >= _MOST_MEMBERS:
                    raise DatasetError(
                        f"{path} contains more than {_MOST_MEMBERS:,} files or {MOST_BYTES:,} bytes; "
                        "expected a CIFAR python archive."
                    )
                if member.isreg() and (stream := archive.extractfile(member)):
                    contents[Path(member.name).name] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read as a tar archive: {error}.") from None
    return contents


def _names(batch: Batch, key: str) -> tuple[str, ...]:
    """Return the names of the classes; empty if the file has none."""
    names = batch.get(key)
    if not isinstance(names, list):
        return ()
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names)


def _origin(title: str, train: NDArray[Any], test: NDArray[Any]) -> str:
    if (len(train), len(test)) == (50_000, 10_000):
        return title
    return f"A part of {title} ({len(train):,} of 50,000 training and {len(test):,} of 10,000 test images)"


def _rows(batches: list[Batch], key: str, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images, (n, 32, 32, 3), from rows of 3,072 values, channel by channel; and labels, (n,)."""
    try:
        rows = np.concatenate([batch["data"] for batch in batches])
        labels = np.concatenate([_labels(batch[key], key) for batch in batches])
        return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{path} is not a CIFAR python folder: {error}.") from None


def _labels(values: Any, key: str) -> NDArray[Any]:
    """Return labels of whole numbers, (n,), and look into no list within a list.

    Raises:
        TypeError: They are something else.
        OverflowError: A number is too large.
    """
    if isinstance(values, np.ndarray):
        return values.astype(np.int64).ravel()
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise TypeError(f"{key} is no list of whole numbers")
    return np.array(values, np.int64)
