"""A run folder consists of files and folders, so that one from somebody else leads nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ablation.errors import RunError, reading

_READ_OR_WRITTEN = ("figures", "logs", "paper", "progress", "tensorboard")


def require_plain_files(folder: Path) -> None:
    """Refuse a run folder in which something that would be read or written is a link, a pipe or a device.

    The folder itself may be reached by a link. What a user's callbacks wrote is neither read nor written.

    Raises:
        RunError: There is such a thing, or a folder cannot be read.
    """
    for entry in _entries(folder):
        if entry.is_symlink():
            raise RunError(
                f"{entry.path} is a link, which may lead out of the run folder. Put what it leads to in its "
                "place, or remove it."
            )
        if not (entry.is_file() or entry.is_dir()):
            raise RunError(f"{entry.path} is neither a file nor a folder. Remove it.")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a run folder and in the folders that belong to it."""
    yield from _inside(folder)
    for name in _READ_OR_WRITTEN:
        yield from _inside(folder / name)
    for trials in (folder / "trials", folder / "trials" / ".running"):
        for trial in _inside(trials):
            yield trial
            if trial.is_dir(follow_symlinks=False):
                yield from _inside(trial.path)


def _inside(folder: str | Path) -> list[os.DirEntry[str]]:
    with (
        suppress(FileNotFoundError, NotADirectoryError),
        reading(Path(folder)),
        os.scandir(folder) as entries,
    ):
        return list(entries)
    return []
