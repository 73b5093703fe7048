"""Find pictures and their labels: in one folder per class, or in such folders per part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation.data.part_names import IN_WORDS, PartName, are_parts, differing_in_part, part_in, part_of
from ablation.data.picture_files import PictureFile, find_pictures
from ablation.data.pictures import listed
from ablation.errors import DatasetError
from ablation.grid.value_text import counted

_Meant = Callable[[str], PartName | None]


@dataclass(frozen=True)
class LabelledFile:
    """A picture: its file, its name in errors, its class, its part, and the folders inside its class."""

    file: Path
    title: str
    label: str
    part: PartName
    inner: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The labelled pictures of a source, and what should be known about how they were found."""

    pictures: Sequence[LabelledFile]
    notes: Sequence[str]


def list_folder(root: Path, class_names: Sequence[str] = ()) -> Listing:
    """Find the pictures below a folder by the names of their folders, sorted by class and name.

    The folders of the classes may be in folders of the parts, like ``train`` and ``test``, or the other way
    round, and all of them may be some folders deeper. Hidden files and those of the system are ignored.

    Args:
        root: The folder.
        class_names: Names that are those of classes, even where they could be those of parts.

    Raises:
        DatasetError: The root is no folder; or some folders are named like parts, and the others do not say
            how this is meant.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; expected one that has one folder of images per class.")
    found, notes = find_pictures(root)
    outside = [picture for picture in found if not picture.folders]
    found = _unwrapped([picture for picture in found if picture.folders])
    tops = {picture.folders[0] for picture in found} - set(class_names)
    are_nested = all(len(picture.folders) > 1 for picture in found)
    meant = part_in if are_nested and all(map(part_in, tops)) and not are_parts(tops) else part_of
    if are_parts(tops, meant):
        pictures, further, more = _by_part(found, root, meant)
        outside += further
        notes += more
    else:
        read = [p for p in found if p.folders[0] in class_names] if class_names else found
        if not _are_classes_of_parts(read):
            _refuse_parts_among_classes(read, class_names)
            notes += _note_on_likely_parts(read)
        pictures = [_labelled(p, part_of("".join(p.folders[1:2]))) for p in found]
    if not class_names:
        _refuse_likely_names(pictures, root)
    if not any("folders of the same names" in note for note in notes):
        notes += _note_on_inner_folders(pictures, root)
    if outside:
        names = listed(str(picture.file.relative_to(root)) for picture in outside)
        verb = "is" if len(outside) == 1 else "are"
        notes.append(
            f"{counted(len(outside), 'picture')} outside the class folders {verb} not read: {names}."
        )
    return Listing(sorted(pictures, key=lambda p: (p.label, p.file)), notes)


def _unwrapped(
    found: list[PictureFile], name: PartName | None = None, meant: _Meant = part_of
) -> list[PictureFile]:
    """Remove outer folders that all pictures share, as long as there are folders in them.

    Args:
        found: The pictures.
        name: If given, only folders that are named like this part are removed.
        meant: Returns the part that a name stands for.
    """
    while found and len({p.folders[0] for p in found}) == 1 and all(len(p.folders) > 1 for p in found):
        if name and meant(found[0].folders[0]) != name:
            break
        found = [picture.inner for picture in found]
    return found


def _by_part(
    found: list[PictureFile], root: Path, meant: _Meant
) -> tuple[list[LabelledFile], list[PictureFile], list[str]]:
    """Return the pictures in the folders of parts, those outside of folders of classes, and notes.

    Raises:
        DatasetError: Two folders are named like the same part, or one contains no folders of classes.
    """
    tops = sorted({picture.folders[0] for picture in found})
    named: dict[PartName, str] = {}
    for top in tops:
        if part := meant(top):
            if part in named:
                raise DatasetError(
                    f"{root} contains the folders {named[part]} and {top}, whose names both mean "
                    f"{IN_WORDS[part]} images; rename or remove one of them."
                )
            named[part] = top
    pictures: list[LabelledFile] = []
    outside: list[PictureFile] = []
    for part, top in named.items():
        of_part = [picture.inner for picture in found if picture.folders[0] == top]
        in_classes = [picture for picture in of_part if picture.folders]
        if not in_classes:
            has_rest = any(p.folders[0] != top and len(p.folders) > 1 for p in found)
            remedy = f" Move {top} out of {root}, or sort its pictures into classes." if has_rest else ""
            raise DatasetError(
                f"{root / top} contains pictures, but no folder per class, so they have no labels.{remedy} "
                f"If the folders in {root} are classes, list them under dataset.class_names; a file of "
                "labels needs `name: csv`."
            )
        outside += [picture for picture in of_part if not picture.folders]
        pictures += [_labelled(p, part, is_outer=True) for p in _unwrapped(in_classes, part, meant)]
    others = [top for top in tops if top not in named.values()]
    note = f"Beside the parts ({', '.join(named.values())}), these folders are not read: {listed(others)}."
    return pictures, outside, [note] if others else []


def _are_classes_of_parts(found: list[PictureFile]) -> bool:
    """Return whether the folder of every class contains the folders of the parts and nothing else."""
    parts = {part_of("".join(picture.folders[1:2])) for picture in found}
    return "train" in parts and None not in parts


def _refuse_parts_among_classes(found: list[PictureFile], class_names: Sequence[str]) -> None:
    """Raise an error if classes are named like parts and contain folders, or contain folders of parts."""
    tops = sorted({picture.folders[0] for picture in found})
    for picture in found:
        top = picture.folders[0]
        if len(picture.folders) > 1 and part_in(top) and top not in class_names:
            raise DatasetError(
                f"{picture.folder(0).parent} contains the folders {listed(tops, 10)}, and {top} is named "
                "like a part of a dataset. Expected the folders train and val, test or both, each with one "
                "folder per class. Rename or remove folders accordingly; or, if all are classes, list them "
                "under dataset.class_names."
            )
        _refuse_part_below(picture, 1)


def _refuse_part_below(picture: PictureFile, depth: int, part: PartName | None = None) -> None:
    """Raise an error if a folder of the picture, from this depth on, is named like another part."""
    for place, name in enumerate(picture.folders[depth:], depth):
        named = part_of(name)
        if named and named != part:
            folder = picture.folder(place)
            is_outer = place + 1 < len(picture.folders)
            whole = (
                f" If {folder.parent} contains the whole dataset, set dataset.path to it." if is_outer else ""
            )
            raise DatasetError(
                f"The folder {folder} is named like {IN_WORDS[named]} images, but the folders around it are "
                "not arranged accordingly. Expected folders of the parts (train, val, test) that contain the "
                f"classes, or classes that contain nothing but such folders. Rename or move it.{whole}"
            )


def _note_on_likely_parts(found: list[PictureFile]) -> list[str]:
    """Say that classes contain folders of the same names, as parts of other names would."""
    inner: dict[str, set[str]] = {}
    for picture in found:
        inner.setdefault(picture.folders[0], set()).add("".join(picture.folders[1:2]))
    first = next(iter(inner.values()), set())
    if len(inner) < 2 or len(first) < 2 or "" in first or any(names != first for names in inner.values()):
        return []
    return [
        f"The classes {listed(inner)} contain folders of the same names ({listed(sorted(first))}). If these "
        "are the classes, rename the folders around them to train, val and test."
    ]


def _labelled(picture: PictureFile, part: PartName | None, is_outer: bool = False) -> LabelledFile:
    """Return a picture whose first folder is its class.

    Args:
        picture: The picture.
        part: Its part; without one, it is a training picture.
        is_outer: Whether the folder of the part is outside of the class, and not the first one inside.
    """
    inner = picture.folders[1 if is_outer or not part else 2 :]
    _refuse_part_below(picture, len(picture.folders) - len(inner), part)
    return LabelledFile(picture.file, str(picture.file), picture.folders[0], part or "train", inner)


def _refuse_likely_names(pictures: Sequence[LabelledFile], root: Path) -> None:
    """Raise an error if names of folders differ in the part alone, or a class contains another."""
    siblings: dict[str, set[str]] = {"": {picture.label for picture in pictures}}
    for picture in pictures:
        siblings.setdefault(picture.label, set()).update(picture.inner[:1])
        if other := next((n for n in picture.inner if n in siblings[""] and n != picture.label), None):
            folder = picture.file.parent.relative_to(root)
            raise DatasetError(
                f"{root}: '{picture.label}' and '{other}' are classes, and the folder {folder} belongs to "
                "both. Move or rename it; or, if it is meant, list all classes under dataset.class_names."
            )
    for names in siblings.values():
        if pair := differing_in_part(names):
            raise DatasetError(
                f"{root} contains the folders {pair[0]} and {pair[1]}, whose names differ in the part alone. "
                "Expected folders train and test, with one folder per class in each. Move the folders "
                "accordingly; or, if they are classes, list all classes under dataset.class_names."
            )


def _note_on_inner_folders(pictures: Sequence[LabelledFile], root: Path) -> list[str]:
    folders = sorted({str(p.file.parent.relative_to(root)) for p in pictures if p.inner})
    if not folders:
        return []
    return [f"Pictures in folders inside a class are read as pictures of that class: {listed(folders, 5)}."]
