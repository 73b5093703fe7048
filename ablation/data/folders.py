"""Find pictures and their labels: in one folder per class, or in such folders per part."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation.data.part_names import IN_WORDS, PartName, are_parts, part_in, part_of
from ablation.data.pictures import listed, suffixes
from ablation.errors import DatasetError
from ablation.grid.value_text import counted

# What systems and programs put beside pictures, besides names that begin with a dot.
_SYSTEM = {
    "__macosx", "__pycache__", "$recycle.bin", "@eadir", "desktop.ini", "ehthumbs.db", "icon\r", "lost+found",
    "system volume information", "thumbs.db",
}  # fmt: skip

_Meant = Callable[[str], PartName | None]


@dataclass(frozen=True)
class LabelledFile:
    """A picture: its file, its name in errors, the name of its class, and its part."""

    file: Path
    title: str
    label: str
    part: PartName


@dataclass(frozen=True)
class Listing:
    """The labelled pictures of a source, and what should be known about how they were found."""

    pictures: Sequence[LabelledFile]
    notes: Sequence[str]


@dataclass(frozen=True)
class _Found:
    """A picture, and the names of the folders between the root and it."""

    file: Path
    folders: tuple[str, ...]

    @property
    def inner(self) -> _Found:
        """The same picture, seen from the first of its folders."""
        return _Found(self.file, self.folders[1:])


def list_folder(root: Path, class_names: Sequence[str] = ()) -> Listing:
    """Find the pictures below a folder by the names of their folders, sorted by class and name.

    The folders of the classes may be in folders of the parts, like ``train`` and ``test``, or the other way
    round, and all of them may be some folders deeper. Hidden files and those of the system are ignored.

    Args:
        root: The folder.
        class_names: Names that are those of classes, even where they could be those of parts.

    Raises:
        DatasetError: The root is no folder; or folders that are named like parts contain no folders of
            classes, or two of them are named like the same part.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; expected one that has one folder of images per class.")
    found, strangers = _walk(root)
    notes = [_strangers_note(strangers, root)] if strangers else []
    outside = [picture for picture in found if not picture.folders]
    found = _unwrapped([picture for picture in found if picture.folders])
    tops = {picture.folders[0] for picture in found} - set(class_names)
    are_nested = all(len(picture.folders) > 1 for picture in found)
    meant = part_in if are_nested and all(map(part_in, tops)) and not are_parts(tops) else part_of
    if are_parts(tops, meant):
        pictures, further, more = _by_part(found, root, meant)
        outside += further
        notes += more
    elif _are_classes_of_parts(found):
        pictures = [_labelled(p, p.folders[0], part_of(p.folders[1]) or "train") for p in found]
    else:
        pictures = [_labelled(p, p.folders[0], "train") for p in found]
        notes += _note_on_likely_parts(found)
    if outside and pictures:
        names = listed(str(picture.file.relative_to(root)) for picture in outside)
        verb = "is" if len(outside) == 1 else "are"
        notes.append(
            f"{counted(len(outside), 'picture')} outside the class folders {verb} not read: {names}."
        )
    return Listing(sorted(pictures, key=lambda p: (p.label, p.file)), notes)


def _walk(root: Path) -> tuple[list[_Found], list[Path]]:
    """Return the pictures below a folder, and the files in its folders that are no pictures by name."""
    pictures: list[_Found] = []
    strangers: list[Path] = []
    visited: set[Path] = set()
    for name, folders, files in os.walk(root, followlinks=True):
        folder = Path(name)
        visited.add(folder.resolve())
        folders[:] = sorted(f for f in folders if _is_visible(f) and (folder / f).resolve() not in visited)
        for file in sorted(filter(_is_visible, files)):
            if Path(file).suffix.lower() in suffixes():
                pictures.append(_Found(folder / file, folder.relative_to(root).parts))
            elif folder != root:  # beside the folders, a file describes them
                strangers.append(folder / file)
    return pictures, strangers


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _SYSTEM


def _strangers_note(files: Sequence[Path], root: Path) -> str:
    """Count and name the files that are no pictures, by the ends of their names."""
    counts = Counter(file.suffix for file in files)
    examples = {file.suffix: file.relative_to(root) for file in reversed(files)}
    kinds = (f"{n:,} {kind or 'without an extension'} ({examples[kind]})" for kind, n in counts.most_common())
    one = len(files) == 1
    what = (
        "is not a picture of a known format and is" if one else "are not pictures of a known format and are"
    )
    return f"{counted(len(files), 'file')} {what} not read: {listed(kinds, 5)}."


def _unwrapped(found: list[_Found], name: PartName | None = None, meant: _Meant = part_of) -> list[_Found]:
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
    found: list[_Found], root: Path, meant: _Meant
) -> tuple[list[LabelledFile], list[_Found], list[str]]:
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
    outside: list[_Found] = []
    for part, top in named.items():
        of_part = [picture.inner for picture in found if picture.folders[0] == top]
        in_classes = [picture for picture in of_part if picture.folders]
        if not in_classes:
            raise DatasetError(
                f"{root / top} contains pictures, but no folder per class. If the folders in {root} are "
                "classes, list them under dataset.class_names; a file of labels needs `name: csv`."
            )
        outside += [picture for picture in of_part if not picture.folders]
        pictures += [_labelled(p, p.folders[0], part) for p in _unwrapped(in_classes, part, meant)]
    others = [top for top in tops if top not in named.values()]
    note = f"Beside the parts ({', '.join(named.values())}), these folders are not read: {listed(others)}."
    return pictures, outside, [note] if others else []


def _are_classes_of_parts(found: list[_Found]) -> bool:
    """Return whether the folder of every class contains the folders of the parts and nothing else."""
    if not found or not all(len(p.folders) > 1 and part_of(p.folders[1]) for p in found):
        return False
    return are_parts({p.folders[1] for p in found})


def _note_on_likely_parts(found: list[_Found]) -> list[str]:
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


def _labelled(picture: _Found, label: str, part: PartName) -> LabelledFile:
    return LabelledFile(picture.file, str(picture.file), label, part)
