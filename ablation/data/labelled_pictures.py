"""Read labelled pictures, from folders or from the rows of a CSV file, as images with labels."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ablation.data.arrays import RawImages, raw_images
from ablation.data.folders import LabelledFile, Listing, list_folder
from ablation.data.labels import sorted_names
from ablation.data.part_names import IN_WORDS, PartName, part_of, words
from ablation.data.pictures import PictureReader, Pixels, listed
from ablation.errors import DatasetError, did_you_mean
from ablation.grid.dataset_settings import DatasetSettings

_FILE_COLUMNS = {
    "file",
    "filename",
    "filepath",
    "path",
    "image",
    "imagefile",
    "imagename",
    "imagepath",
    "picture",
}
_LABEL_COLUMNS = {"label", "labels", "class", "classname", "category", "target", "y"}
_PART_COLUMNS = {"split", "part", "partition", "subset"}


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
    return _read(_list_csv(file), settings, file)


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
    for name in sorted(every - trained):
        count = Counter(IN_WORDS[p.part] for p in pictures if p.label == name)
        found = " and ".join(f"{n:,} {part}" for part, n in count.items())
        alike = [other for other in trained if other.casefold() == name.casefold()]
        raise DatasetError(
            f"{where}: the class '{name}' has {found} pictures, but no training pictures."
            f"{did_you_mean(name, alike)} To leave it out, list the other classes under dataset.class_names."
        )
    return sorted(trained) if where.is_dir() else sorted_names(trained)


def _list_csv(file: Path) -> Listing:
    """Return the pictures in the order of a CSV file's rows; files are relative to its folder.

    Raises:
        DatasetError: The file cannot be read, has no columns of files and labels, or a row has no label or a
            part of an unknown name.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DatasetError(f"{file} cannot be read: {reason}.") from None
    lines = text.splitlines()
    separator = max(",;\t", key=(lines or [""])[0].count)
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    header = next(rows, [])
    columns = ["".join(words(name)) for name in header]
    of_file, of_label, of_part = (_column(columns, k) for k in (_FILE_COLUMNS, _LABEL_COLUMNS, _PART_COLUMNS))
    unread = [name for k, name in enumerate(header) if k not in (of_file, of_label, of_part)]
    if of_file is None or of_label is None:
        raise DatasetError(
            f"{file}, line 1: the columns are {', '.join(header) or 'missing'}; expected a column `file`, a "
            "column `label` and, if the parts are fixed, a column `split` of train, val and test."
        )
    pictures = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{file}, line {rows.line_num}"
        cells = [
            row[k].strip() if k is not None and k < len(row) else "" for k in (of_file, of_label, of_part)
        ]
        if not cells[0] or not cells[1]:
            raise DatasetError(f"{where}: the row has no {'label' if cells[0] else 'file'}.")
        part = part_of(cells[2]) if of_part is not None else "train"
        if part is None:
            raise DatasetError(f"{where}: '{cells[2]}' is not a part; expected train, val or test.")
        pictures.append(LabelledFile(file.parent / cells[0], f"{where}: {cells[0]}", cells[1], part))
    if not pictures:
        raise DatasetError(f"{file} lists no pictures.")
    if not unread:
        return Listing(pictures, ())
    note = (
        f"Columns of {file.name} that are not read: {listed(unread, 10)}. The labels are those of the column "
        f"{header[of_label]}. If a column says which part of the data an image belongs to, name it `split`."
    )
    return Listing(pictures, (note,))


def _column(columns: Sequence[str], names: Collection[str]) -> int | None:
    """Return the place of the first column that has one of the names, or None."""
    return next((k for k, name in enumerate(columns) if name in names), None)
