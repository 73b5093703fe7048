"""Find pictures, their labels and their parts in the rows of a CSV file."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ablation.data.folders import LabelledFile, Listing
from ablation.data.labels import is_missing
from ablation.data.part_names import are_parts, part_in, part_of, words
from ablation.data.pictures import listed
from ablation.errors import DatasetError
from ablation.grid.value_text import counted
from ablation.operating_system import written_here

_FILE_COLUMNS = {
    "file", "filename", "filepath", "path", "image", "imagefile", "imagename", "imagepath", "picture",
}  # fmt: skip
_LABEL_COLUMNS = {"label", "labels", "class", "classname", "category", "target", "y"}
_PART_COLUMNS = ("split", "partition", "part", "subset", "set", "phase", "usage")
_SEPARATORS = ",;\t|"
_SWITCH = {"", "0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "x"}
_MOST_PARTS = 10  # a column of more values does not name parts

_Rows = Sequence[tuple[str, Sequence[str]]]
"""The place of each row, for errors, and its cells."""


def list_csv(file: Path, class_names: Sequence[str] = ()) -> Listing:
    """Return the pictures in the order of a CSV file's rows; files are relative to its folder.

    Args:
        file: The CSV file, in UTF-8 or UTF-16, separated by commas, semicolons, tabs or vertical bars.
        class_names: Names that are those of classes, even where they look like missing values.

    Raises:
        DatasetError: The file cannot be read, has no columns of files and labels, or a row has no label or a
            part of an unknown name.
    """
    header, rows = _table(file)
    of_file, of_label, of_part = _columns(header, file)
    unread = [k for k, name in enumerate(header) if name and k not in (of_file, of_label, of_part)]
    if of_part is None:
        _refuse_likely_parts(header, rows, unread, file)
    pictures = []
    for where, cells in rows:
        name, label = cells[of_file], cells[of_label]
        if not name or not label:
            raise DatasetError(f"{where}: the row has no {'label' if name else 'file'}.")
        if is_missing(label) and label not in class_names:
            raise DatasetError(
                f"{where}: the label '{label}' stands for a missing value. Correct it, or remove the row; "
                "or, if it is a class, list all classes under dataset.class_names."
            )
        part = "train" if of_part is None else part_of(cells[of_part])
        if part is None:
            assert of_part is not None
            column = header[of_part]
            hint = "" if column == "split" else f" If the column {column} does not name parts, rename it."
            raise DatasetError(
                f"{where}: '{cells[of_part]}' is not a part; expected train, val or test.{hint}"
            )
        pictures.append(LabelledFile(written_here(name, file.parent), f"{where}: {name}", label, part))
    if not pictures:
        raise DatasetError(f"{file} lists no pictures.")
    _refuse_several_labels({picture.label for picture in pictures}, class_names, file)
    if not unread:
        return Listing(pictures, ())
    note = (
        f"Columns of {file.name} that are not read: {listed((header[k] for k in unread), 10)}. The labels "
        f"are those of the column {header[of_label]}. If a column says which part of the data an image "
        "belongs to, name it `split`."
    )
    return Listing(pictures, (note,))


def _table(file: Path) -> tuple[list[str], _Rows]:
    """Return the header and the rows that are not empty, all of them as long as the header."""
    try:
        content = file.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        lines = content.decode("utf-16" if is_utf16 else "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DatasetError(f"{file} cannot be read: {reason}.") from None
    if any("\0" in line for line in lines):
        raise DatasetError(f"{file} cannot be read: it is not UTF-8 text.")
    separator = max(_SEPARATORS, key=next(filter(str.strip, lines), "").count)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows = []
    try:
        header = next((row for row in reader if any(map(str.strip, row))), [])
        for row in reader:
            cells, where = [cell.strip() for cell in row], f"{file}, line {reader.line_num}"
            if any(cells[len(header) :]):
                raise DatasetError(
                    f"{where}: the row has {counted(len(cells), 'value')}, and the header has {len(header)}. "
                    f"Put a value that contains '{separator}' in quotation marks."
                )
            if any(cells):
                rows.append((where, [*cells, *[""] * (len(header) - len(cells))]))
    except csv.Error as error:
        raise DatasetError(f"{file}, line {reader.line_num}: the row is not CSV: {error}.") from None
    return header, rows


def _columns(header: Sequence[str], file: Path) -> tuple[int, int, int | None]:
    """Return the places of the columns of files and of labels, and of that of parts if there is one."""
    names = ["".join(words(name)) for name in header]
    of_file, of_label = _first(names, _FILE_COLUMNS), _first(names, _LABEL_COLUMNS)
    of_part = next((names.index(name) for name in _PART_COLUMNS if name in names), None)
    if of_file is None or of_label is None:
        raise DatasetError(
            f"{file}, line 1: the columns are {', '.join(header) or 'missing'}; expected a column `file`, a "
            "column `label` and, if the parts are fixed, a column `split` of train, val and test."
        )
    for k in (of_file, of_label, of_part):
        if k is not None and names.count(names[k]) > 1:
            raise DatasetError(
                f"{file}, line 1: two columns are named {header[k]}; rename or remove one of them."
            )
    return of_file, of_label, of_part


def _first(columns: Sequence[str], names: Collection[str]) -> int | None:
    """Return the place of the first column that has one of the names, or None."""
    return next((k for k, name in enumerate(columns) if name in names), None)


def _refuse_likely_parts(header: Sequence[str], rows: _Rows, unread: Sequence[int], file: Path) -> None:
    """Raise an error if the values of a column that is not read are names of parts."""
    for k in unread:
        values = {cells[k] for _, cells in rows}
        few = sorted(values) if len(values) <= _MOST_PARTS else []
        is_switch = part_in(header[k]) and {value.lower() for value in values} <= _SWITCH
        if few and (is_switch or (all(map(part_in, few)) and are_parts(few, part_in))):
            raise DatasetError(
                f"{file}, line 1: the column {header[k]}, with the values {listed(few, 10)}, seems to say "
                "which part of the data an image belongs to. Name it `split`, with the values train, val and "
                "test; or remove it, and the images are split at random."
            )


def _refuse_several_labels(labels: Collection[str], class_names: Sequence[str], file: Path) -> None:
    """Raise an error if a label is a list of others."""
    for label in sorted(set(labels) - set(class_names)):
        parts = [part.strip() for part in re.split(r"[,;|]", label)]
        if len(parts) > 1 and any(part in labels for part in parts):
            raise DatasetError(
                f"{file}: the label '{label}' seems to be several labels. A CSV file has one label per "
                "image; for several, use `name: npz` or a `loader`, with one row of 0 and 1 per image. If it "
                "is one class, list all classes under dataset.class_names."
            )
