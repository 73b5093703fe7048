"""Find the files of pictures below a folder, and say which files and folders are not read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation.data.pictures import listed, suffixes
from ablation.errors import DatasetError
from ablation.grid.value_text import counted

# What systems and programs put beside pictures, besides names that begin with a dot or a tilde.
_SYSTEM = {
    "__macosx", "__pycache__", "$recycle.bin", "@eadir", "desktop.ini", "ehthumbs.db", "icon\r", "lost+found",
    "node_modules", "system volume information", "thumbs.db",
}  # fmt: skip


@dataclass(frozen=True)
class PictureFile:
    """A picture, and the names of the folders between the root and it."""

    file: Path
    folders: tuple[str, ...]

    @property
    def inner(self) -> PictureFile:
        """The same picture, seen from the first of its folders."""
        return PictureFile(self.file, self.folders[1:])

    def folder(self, depth: int) -> Path:
        """Return the path of the folder with the name ``folders[depth]``."""
        return self.file.parents[len(self.folders) - 1 - depth]


def find_pictures(root: Path) -> tuple[list[PictureFile], list[str]]:
    """Return the pictures below a folder, and notes on files and folders that are not read.

    Hidden files and folders, and those of the system, are ignored.

    Raises:
        DatasetError: A folder cannot be read.
    """
    pictures: list[PictureFile] = []
    strangers: list[Path] = []
    empty: list[Path] = []
    visited: set[Path] = set()
    for name, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        folder = Path(name)
        visited.add(folder.resolve())
        folders[:] = sorted(f for f in folders if _is_visible(f) and (folder / f).resolve() not in visited)
        visible = sorted(filter(_is_visible, files))
        here = [file for file in visible if Path(file).suffix.lower() in suffixes()]
        pictures += [PictureFile(folder / file, folder.relative_to(root).parts) for file in here]
        if folder != root:  # beside the folders, a file describes them
            strangers += [folder / file for file in visible if file not in here]
            empty += [folder] if not (here or folders) else []
    notes = [_strangers_note(strangers, root)] if strangers else []
    return pictures, [*notes, *([_empty_note(empty, root)] if empty else [])]


def _refuse(error: OSError) -> None:
    raise DatasetError(f"The folder {error.filename} cannot be read: {error.strerror}.") from None


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "~")) and name.lower() not in _SYSTEM


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


def _empty_note(folders: Sequence[Path], root: Path) -> str:
    verbs = ("contains", "is") if len(folders) == 1 else ("contain", "are")
    names = listed((str(folder.relative_to(root)) for folder in sorted(folders)), 10)
    return f"{counted(len(folders), 'folder')} {verbs[0]} no pictures and {verbs[1]} not read: {names}."
