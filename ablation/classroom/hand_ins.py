"""What students hand in: folders and zip files, opened so that nothing of them runs or leaves its place.

A hand-in is only read: as JSON, as text, and as NumPy arrays without pickles. Of a zip file, only the members
that a run consists of are written, each to a place that is computed here from its checked name.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from ablation.classroom.deal import GRID, RUN
from ablation.errors import RunError
from ablation.grid.value_text import counted

MOST_BYTES = 2 * 2**30
"""The size of the files of a run, unpacked, above which a hand-in is not read."""
MOST_FILES = 50_000
MOST_TEXT = 64 * 2**20
"""The size of a JSON file, in bytes, above which a hand-in is not read."""

_STUDY = "study.json"
_KEPT = re.compile(r"(study\.json|declared\.json|dataset\.npz|models\.json|trials/[^/.][^/]*/.+)$")
_DEEPEST = 4  # folders above a run folder in a zip file
_OF_SYSTEMS = ("__MACOSX", "desktop.ini", "thumbs.db")
_ENCRYPTED = 0x1


class Fault(Exception):  # noqa: N818  # it is no error of the program: a hand-in is set aside
    """Why a hand-in is set aside, as the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class HandIn:
    """A folder or a zip file, and the name by which its student is known."""

    name: str
    path: Path


def find_hand_ins(paths: Sequence[str | Path]) -> list[HandIn]:
    """Return the hand-ins at some paths, in order.

    A path is a zip file, the folder of a student, a run folder, or a folder that holds any of these, as it
    comes from a learning platform.

    Raises:
        RunError: There is nothing at a path, or no hand-in at all.
    """
    found: list[Path] = []
    for path in (Path(path) for path in paths):
        if not path.exists():
            raise RunError(f"{path} does not exist; name folders or zip files that students handed in.")
        inside = _readable(path) if path.is_dir() and not _is_of_student(path) else []
        is_collection = any(_is_of_student(one) or _is_zip(one) for one in inside)
        found += inside if is_collection else [path]
    unique = {path.absolute(): path for path in found}
    if not unique:
        raise RunError("there is no hand-in; name folders or zip files that students handed in.")
    return _named(list(unique.values()))


def run_folder_of(hand_in: HandIn, scratch: Path) -> Path:
    """Return the run folder of a hand-in; of a zip file, it is unpacked first.

    Args:
        hand_in: The hand-in.
        scratch: An empty folder to unpack to, which need not exist.

    Raises:
        Fault: There is not exactly one run folder in it, or it is not safe to read.
    """
    if hand_in.path.is_dir():
        return _in_folder(hand_in.path)
    if not _is_zip(hand_in.path):
        raise Fault("it is neither a folder nor a zip file.")
    try:
        return _unpacked(hand_in.path, scratch)
    except (BadZipFile, EOFError, OSError, NotImplementedError, ValueError, RuntimeError) as error:
        raise Fault(f"the zip file is damaged: {error}.") from None


def _inside(folder: Path) -> Iterator[Path]:
    """Yield what lies in a folder, without what systems put there."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.name.lower() not in map(str.lower, _OF_SYSTEMS):
            yield path


def _readable(folder: Path) -> list[Path]:
    """Return what lies in a folder; nothing if it cannot be read, so that it is a hand-in with a fault."""
    try:
        return list(_inside(folder))
    except OSError:
        return []


def _is_of_student(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (_STUDY, GRID, f"{RUN}/{_STUDY}"))


def _is_zip(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".zip"


def _named(paths: Sequence[Path]) -> list[HandIn]:
    """Name each hand-in by its folder or file; by more of its path where two would have one name."""

    def short(path: Path) -> str:
        full = path.absolute()
        full = full.parent if full.name == RUN else full
        return full.stem if _is_zip(path) else full.name

    names = [short(path) for path in paths]
    return [
        HandIn(name if names.count(name) == 1 else str(path), path)
        for name, path in zip(names, paths, strict=True)
    ]


def _in_folder(folder: Path) -> Path:
    """Return the run folder in a folder, all of whose files are files.

    Raises:
        Fault: There is not exactly one, it is too large, or it contains a link.
    """
    if not any(_inside(folder)):
        raise Fault("the folder is empty.")
    candidates = [
        folder,
        folder / RUN,
        *(path for path in _inside(folder) if path.is_dir() and path.name != RUN),
    ]
    runs = [path for path in candidates if (path / _STUDY).is_file()]
    run = _only(runs, [path.name for path in runs])
    sizes = {}
    for path in _below(run):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            name = path.relative_to(run).as_posix()
            raise Fault(f"{name} is a link or no ordinary file, which could lead out of the folder.")
        sizes[path.as_posix()] = path.stat().st_size
    _require_size(sizes)
    return run


def _below(run: Path) -> Iterator[Path]:
    """Yield all that is below a run folder, without following links."""
    yield run
    for parent, folders, files in os.walk(run):
        yield from (Path(parent, name) for name in (*folders, *files))


def _only(runs: Sequence[Path] | Sequence[str], names: Sequence[str]) -> Path:
    if not runs:
        raise Fault(f"there is no run in it: no {_STUDY}, which `ablation run` writes.")
    if len(runs) > 1:
        raise Fault(f"there are {len(runs)} runs in it, {' and '.join(names[:2])}; hand in one.")
    return Path(runs[0])


def _require_size(sizes: Mapping[str, int]) -> None:
    """Refuse more than anybody needs to hand in, by the size of each file in bytes."""
    if len(sizes) > MOST_FILES or sum(sizes.values()) > MOST_BYTES:
        raise Fault(f"it has more than {counted(MOST_FILES, 'file')} or {MOST_BYTES / 2**30:.0f} GiB.")
    large = [name for name, size in sizes.items() if name.endswith(".json") and size > MOST_TEXT]
    if large:
        raise Fault(f"{large[0].rpartition('/')[2]} has more than {MOST_TEXT // 2**20} MiB.")


def _unpacked(file: Path, scratch: Path) -> Path:
    """Unpack what a run consists of.

    Raises:
        Fault: A member leads out of the archive, or is a link, or the rest is too large.
        BadZipFile: The file is damaged.
    """
    with ZipFile(file) as archive:
        members = {_safe(member): member for member in archive.infolist() if not member.is_dir()}
        studies = [name for name in members if name.name == _STUDY and len(name.parts) <= _DEEPEST]
        top = min((len(name.parts) for name in studies), default=0)
        roots = [name.parent for name in studies if len(name.parts) == top]
        root = _only([str(r) for r in roots], [str(r) for r in roots]).as_posix()
        of_run = {name.relative_to(root): one for name, one in members.items() if name.is_relative_to(root)}
        kept = {name: one for name, one in of_run.items() if _KEPT.match(name.as_posix())}
        _require_size({name.as_posix(): one.file_size for name, one in kept.items()})
        for name, member in kept.items():
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                raise Fault(f"{name} is a link or no ordinary file, which could lead out of the folder.")
            if member.flag_bits & _ENCRYPTED:
                raise Fault(f"{name} is encrypted; hand in a zip file without a password.")
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, target.open("wb") as written:
                shutil.copyfileobj(packed, written)  # at most the declared size, which zipfile enforces
    return scratch


def _safe(member: ZipInfo) -> PurePosixPath:
    """Return the name of a member as a path below the root of the archive.

    Raises:
        Fault: It leads out of it.
    """
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", str(name)):
        raise Fault(
            f"the zip file has a member that leads out of it, {member.filename!r}; it was not unpacked."
        )
    return name
