"""What earlier versions of a study and interrupted processes left in a run folder, and how it is removed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ablation.errors import writing
from ablation.grid.trial import Trial, content_of
from ablation.store.run_folder import Store

LeftoverKind = Literal["unused trial", "earlier result", "unfinished", "kept state"]
_EARLIER = re.compile(r"s\d+-[0-9a-f]{8}\.[0-9a-f]{8}$")  # how `TrialStore.commit` names a former result
_REMOVED = ".removed"


@dataclass(frozen=True)
class Leftover:
    """A file or folder that no trial of the study needs.

    Attributes:
        path: Where it is.
        kind: ``unused trial``, of other settings, seeds or images; ``earlier result``, from files of the user
            that have changed since; ``unfinished``, of a process that was interrupted; ``kept state``, of a
            completed trial, from which a run with more epochs would continue.
        bytes: Its size.
    """

    path: Path
    kind: LeftoverKind
    bytes: int


def find_leftovers(store: Store, trials: Sequence[Trial]) -> list[Leftover]:
    """Return what no trial of the study needs.

    Trials of the study are not among it, nor the state of one that is not completed and would go on from it.

    Args:
        store: The run folder, in which no process trains.
        trials: All trials of the study.
    """
    found = [*_in_trials(store, trials), *_in_running(store, trials)]
    found += [(file, "unfinished") for file in sorted(store.folder.glob(".*.partial"))]
    return [Leftover(path, kind, _size(path)) for path, kind in found]


def remove_leftovers(store: Store, leftovers: Sequence[Leftover]) -> None:
    """Remove what was found; an interrupted removal leaves only what counts as unfinished.

    Raises:
        RunError: Something cannot be removed.
    """
    running = store.folder / "trials" / ".running"
    with writing(store.folder):
        for leftover in leftovers:
            path = leftover.path
            if path.is_dir() and not path.is_symlink():
                running.mkdir(exist_ok=True)
                path = path.rename(running / f"{path.name.removesuffix(_REMOVED)}{_REMOVED}")
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _in_trials(store: Store, trials: Sequence[Trial]) -> Iterator[tuple[Path, LeftoverKind]]:
    used = {store.place(trial) for trial in trials}
    for path in _entries(store.folder / "trials"):
        if _EARLIER.search(path.name):
            yield path, "earlier result"
        elif content_of(path.name) and path not in used:
            yield path, "unused trial"


def _in_running(store: Store, trials: Sequence[Trial]) -> Iterator[tuple[Path, LeftoverKind]]:
    planned = {content_of(trial.id): trial for trial in trials}
    for path in _entries(store.folder / "trials" / ".running"):
        trial = planned.get(content_of(path.name))
        if trial is None or not store.has_checkpoint(path.name):
            yield path, "unfinished"
        elif store.status(trial) == "completed":
            yield path, "kept state"


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; a link counts as itself."""
    below = [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())]
    return sum(one.lstat().st_size for one in below if one.is_symlink() or one.is_file())
