"""Read labelled pictures, from folders or from the rows of a CSV file, as images with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ablation.data.arrays import RawImages, raw_images
from ablation.data.csv_listing import list_csv
from ablation.data.folders import LabelledFile, Listing, list_folder
from ablation.data.labels import refuse_alike, sorted_names
from ablation.data.part_names import IN_WORDS, PartName
from ablation.data.pictures import PictureReader, Pixels, listed
from ablation.errors import DatasetError, did_you_mean
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.value_text import counted


def read_folder(settings: DatasetSettings) -> RawImages:
    """Read pictures from one folder per class, or from such folders per part; see `list_folder`.

    Raises:
        DatasetError: There are no pictures of two classes, one cannot be read, or they differ in size.
    """
    root = Path(str(settings.path))
    listing = list_folder(root, settings.class_names or ())
    classes = sorted({picture.label for picture in listing.pictures if picture.part == "train"})
    if len(classes) < 2:
        found = f"images of 1 class, {classes[0]}" if classes else "no folder of images of a class"
        raise DatasetError(
            f"{root} contains {found}; expected two or more folders of images, one per class."
            + "".join(f" {note}" for note in listing.notes)
        )
    return _read(listing, settings, root)


def read_csv(settings: DatasetSettings) -> RawImages:
    """Read the pictures that a CSV file lists in columns of files, labels and, optionally, parts.

    Raises:
        DatasetError: The file has no such columns, a picture is missing or cannot be read, or pictures differ
            in size.
    """
    file = Path(str(settings.path))
    return _read(list_csv(file, settings.class_names or ()), settings, file)


def _read(listing: Listing, settings: DatasetSettings, where: Path) -> RawImages:
    """Read the pictures of a listing, those of classes that the settings do not list left out."""
    names = _class_names(listing.pictures, settings.class_names or (), where)
    numbers, notes = {name: k for k, name in enumerate(names)}, list(listing.notes)
    left_out = Counter(p.label for p in listing.pictures if p.label not in numbers)
    if left_out:
        counts = listed((f"{name} ({count:,})" for name, count in sorted(left_out.items())), 10)
        notes.append(f"Pictures of classes that class_names does not list are left out: {counts}.")
    reader = PictureReader(settings)
    pixels: dict[PartName, list[Pixels]] = {}
    labels: dict[PartName, list[int]] = {}
    kept = [picture for picture in listing.pictures if picture.label in numbers]
    for picture in sorted(kept, key=lambda picture: numbers[picture.label]):
        if (read := reader.read(picture.title, picture.file)) is not None:
            pixels.setdefault(picture.part, []).append(read)
            labels.setdefault(picture.part, []).append(numbers[picture.label])
    if "train" not in pixels:
        raise DatasetError(f"{where} contains no training picture that can be read.")
    for part in sorted({picture.part for picture in listing.pictures} - set(pixels)):
        why = "can be read" if any(p.part == part for p in kept) else "has a class of class_names"
        raise DatasetError(
            f"{where}: of the {IN_WORDS[part]} pictures, none {why}, so that {IN_WORDS[part]} images would "
            "be split from the training images. If that is what you want, remove these pictures."
        )
    trained = set(labels["train"])
    for name in names:
        if numbers[name] not in trained and any(p.label == name and p.part == "train" for p in kept):
            raise DatasetError(f"{where}: of the training pictures of the class '{name}', none can be read.")
    arrays = {f"x_{part}": images for part, images in reader.stack(pixels).items()}
    arrays |= {f"y_{part}": np.array(of_part) for part, of_part in labels.items()}
    return raw_images(arrays, where.name, where, names, (*notes, *reader.notes))


def _class_names(pictures: Sequence[LabelledFile], asked: Sequence[str], where: Path) -> Sequence[str]:
    """Return the names of the classes in their order.

    Raises:
        DatasetError: A name that is asked for does not exist, or a class has no training pictures.
    """
    every, trained = {p.label for p in pictures}, {p.label for p in pictures if p.part == "train"}
    for name in asked:
        if name not in every:
            raise DatasetError(
                f"dataset.class_names: {where} has no class '{name}'.{did_you_mean(name, every)}"
            )
    if asked:
        return asked
    if not trained:
        raise DatasetError(f"{where} contains no training pictures; its pictures are of other parts.")
    for name in sorted(every - trained):
        count = Counter(IN_WORDS[p.part] for p in pictures if p.label == name)
        found = " and ".join(counted(n, f"{part} picture") for part, n in count.items())
        alike = [other for other in trained if other.casefold() == name.casefold()]
        raise DatasetError(
            f"{where}: the class '{name}' has {found}, but no training pictures."
            f"{did_you_mean(name, alike)} To leave it out, list the other classes under dataset.class_names."
        )
    refuse_alike(trained, where)
    return sorted(trained) if where.is_dir() else sorted_names(trained)
