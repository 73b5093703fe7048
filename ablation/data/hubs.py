"""Read images from TensorFlow Datasets and Hugging Face, whose columns are found by their types."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablation.data.arrays import RawImages, raw_images
from ablation.data.part_names import PartName, part_of
from ablation.data.pictures import PictureReader, Pixels, Source
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.tensorflow_setup import configure_tensorflow, quiet_stderr

_SAVED = ("dataset_dict.json", "state.json")  # files that Hugging Face's save_to_disk writes


@dataclass(frozen=True)
class _Columns:
    """The columns of the images and labels of a dataset.

    Attributes:
        image: The column of images.
        label: The column of labels.
        names: One name per class, or per label.
        note: Which column of labels is used if there are several; otherwise empty.
    """

    image: str
    label: str
    names: tuple[str, ...]
    note: str


def read_hub(settings: DatasetSettings) -> RawImages:
    """Read the dataset that the settings name.

    Raises:
        DatasetError: The library is not installed, the dataset is not on this machine and cannot be
            downloaded, or it contains no images with class labels.
    """
    return _tfds(settings) if settings.name == "tfds" else _huggingface(settings)


def _tfds(settings: DatasetSettings) -> RawImages:
    try:
        with quiet_stderr():
            import tensorflow_datasets as tfds

            configure_tensorflow(1)  # tfds starts TensorFlow, whose first settings are final
    except ImportError as error:
        raise _missing_library("tfds", "tensorflow-datasets", error) from None
    title = str(settings.id)
    try:
        builder = tfds.builder(title, data_dir=settings.path)
        builder.download_and_prepare()
    except Exception as error:
        raise _unavailable(title, error, "the folder in which tfds keeps its datasets") from None
    kinds, preferred = tfds.features, _flat_keys(builder.info.supervised_keys)
    features = dict(
        sorted(builder.info.features.items())
    )  # tfds returns features from disk in no fixed order
    columns = find_columns(features, kinds.Image, kinds.ClassLabel, title, preferred)

    def rows(split: str) -> Iterator[tuple[Image.Image, Any]]:
        for row in tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)):
            array = row[columns.image]
            if array.dtype != np.uint8:
                raise DatasetError(f"{title}: images are {array.dtype}; expected uint8 from 0 to 255.")
            grey = array.shape[-1] == 1
            yield Image.fromarray(array[..., 0] if grey else array), row[columns.label]

    return _read({split: rows(split) for split in builder.info.splits}, columns, title, settings)


def _huggingface(settings: DatasetSettings) -> RawImages:
    try:
        import datasets
    except ImportError as error:
        raise _missing_library("huggingface", "datasets", error) from None
    folder = Path(settings.path or "")
    saved = any((folder / file).is_file() for file in _SAVED) if settings.path else False
    title = folder.name if saved else str(settings.id)
    if not saved and settings.id is None:
        raise DatasetError(
            f"{folder} contains no dataset that `save_to_disk` wrote; set dataset.id to download one from "
            "Hugging Face."
        )
    owner, *rest = title.split("/", 2)
    name, subset = "/".join([owner, *rest[:1]]), (rest[1] if len(rest) > 1 else None)
    try:
        loaded = (
            datasets.load_from_disk(str(folder))
            if saved
            else datasets.load_dataset(name, subset, cache_dir=settings.path)
        )
    except Exception as error:
        raise _unavailable(title, error, "a folder that `save_to_disk` wrote") from None
    splits = {"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)
    features = next(iter(splits.values())).features
    columns = find_columns(features, datasets.Image, datasets.ClassLabel, title)

    def rows(split: str) -> Iterator[tuple[Path | BytesIO, Any]]:
        undecoded = splits[split].select_columns([columns.image, columns.label])
        undecoded = undecoded.cast_column(columns.image, datasets.Image(decode=False))
        for row in undecoded:
            picture, label = row[columns.image], row[columns.label]
            if picture is None or label is None:
                raise DatasetError(f"{title}: a row of the split {split} has no image or no label.")
            yield Path(picture["path"]) if picture["bytes"] is None else BytesIO(picture["bytes"]), label

    return _read({split: rows(split) for split in splits}, columns, title, settings)


def find_columns(
    features: Mapping[str, Any],
    image: type[Any],
    label: type[Any],
    title: str,
    preferred: Collection[str] = (),
) -> _Columns:
    """Find the columns by their types; of several, use those that the library prefers, or the first.

    A label is a class, or a sequence of classes if images have several labels. Classes of the same name are
    told apart by their numbers.
    """
    images = [name for name, kind in features.items() if isinstance(kind, image)]
    labels = [
        name
        for name, kind in features.items()
        if isinstance(kind, label) or isinstance(getattr(kind, "feature", None), label)
    ]
    for content, columns in (("images", images), ("class labels", labels)):
        if not columns:
            raise DatasetError(f"{title} has no column of {content}; its columns are {', '.join(features)}.")
    for columns in (images, labels):
        columns.sort(key=lambda name: name not in preferred)
    kind = features[labels[0]]
    given = tuple((kind if isinstance(kind, label) else kind.feature).names)
    names = tuple(n if given.count(n) == 1 else f"{n} ({k})" for k, n in enumerate(given))
    return _Columns(images[0], labels[0], names, f"labels: {labels[0]}" if len(labels) > 1 else "")


def _read(
    splits: Mapping[str, Iterator[tuple[Source, Any]]],
    columns: _Columns,
    title: str,
    settings: DatasetSettings,
) -> RawImages:
    """Return the images of the splits; without a test split, the validation split is the test set."""
    names: dict[PartName, str] = {}
    for name in sorted(splits, key=lambda name: name not in ("train", "validation", "test")):
        if part := part_of(name):
            names.setdefault(part, name)
    if "train" not in names:
        raise DatasetError(f"{title} has no split named train; its splits are {', '.join(splits)}.")
    origin_notes = []
    if "test" not in names and "val" in names:
        origin_notes.append(f"the {names['val']} split is the test set")
        names["test"] = names.pop("val")
    reader = PictureReader(settings)
    parts: dict[PartName, list[Pixels]] = {}
    arrays: dict[str, Any] = {"class_names": columns.names}
    for part, name in names.items():
        labels = []
        for k, (picture, label) in enumerate(splits[name]):
            if (pixels := reader.read(f"{title}, {name}, image {k}", picture)) is not None:
                parts.setdefault(part, []).append(pixels)
                labels.append(label)
        if not labels:
            raise DatasetError(f"{title}: the split {name} is empty, or none of its images can be read.")
        arrays[f"y_{part}"] = _label_array(labels, len(columns.names))
    arrays |= {f"x_{part}": images for part, images in reader.stack(parts).items()}
    unread = [name for name in splits if name not in names.values()]
    notes = [f"These splits of {title} are not read: {', '.join(unread)}."] if unread else []
    origin_notes += [columns.note] if columns.note else []
    origin = f"{title} ({'; '.join(origin_notes)})" if origin_notes else title
    return raw_images(arrays, origin, title, notes=(*notes, *reader.notes))


def _label_array(labels: Sequence[Any], classes: int) -> NDArray[Any]:
    """Return classes unchanged, (n,), and sequences of classes as rows of 0 and 1, (n, classes)."""
    if np.ndim(labels[0]) == 0:
        return np.array(labels, np.int64)
    rows = np.zeros((len(labels), classes), np.uint8)
    for row, present in zip(rows, labels, strict=True):
        row[np.asarray(present, np.int64)] = 1
    return rows


def _flat_keys(keys: Any) -> set[str]:
    """Return the names in the supervised keys of tfds, which may be nested."""
    if isinstance(keys, str):
        return {keys}
    inner = keys.values() if isinstance(keys, Mapping) else keys or ()
    return {name for key in inner for name in _flat_keys(key)}


def _missing_library(extra: str, library: str, error: ImportError) -> DatasetError:
    return DatasetError(
        f"{extra} needs {library}, which cannot be imported ({error}); "
        f"install it with `pip install 'ablation-harness[{extra}]'`.",
        "dataset.name",
        extra,
    )


def _unavailable(title: str, error: Exception, remedy: str) -> DatasetError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return DatasetError(
        f"{title} is not on this machine and could not be downloaded: {reason}.\n"
        f"Offline, set dataset.path or --data-dir to {remedy}, or use `--dataset digits`, which needs no "
        "download."
    )
