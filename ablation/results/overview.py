"""Which runs a folder holds, and how far each is, from their folders alone and at a glance."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ablation.errors import RunError, reading, refuse_file
from ablation.store.lock import running_parts
from ablation.store.progress_log import progress_file
from ablation.store.run_folder import RUNS, Store, is_search, runs_below

RunState = Literal["running", "complete", "failed", "incomplete", "damaged"]
_RECENT = 300.0  # seconds: as in `ablation.results.live`, for runs of other machines


@dataclass(frozen=True)
class RunOverview:
    """A run folder at a glance; the checksums of its trials are left to those who judge them.

    Attributes:
        folder: The run folder.
        study: The name of its study; empty if the folder is damaged.
        started: When the study was last changed or first run here.
        trials: The number of planned trials.
        completed: How many of them completed.
        failed: How many of them failed, diverged or were stopped.
        is_running: Whether a process trains it now.
    """

    folder: Path
    study: str
    started: datetime
    trials: int = 0
    completed: int = 0
    failed: int = 0
    is_running: bool = False

    @property
    def state(self) -> RunState:
        """The state in a word: ``failed`` if no trial is pending, and not all of them completed."""
        if not self.study:
            return "damaged"
        if self.is_running:
            return "running"
        if self.completed == self.trials:
            return "complete"
        return "failed" if self.completed + self.failed == self.trials else "incomplete"


def list_runs(folder: str | Path = RUNS) -> list[RunOverview]:
    """Return the runs in a folder, the newest first; of a search, those that it consists of.

    Args:
        folder: The folder that holds run folders.

    Raises:
        RunError: The folder does not exist, unless it is the usual one, or cannot be read.
    """
    folder = Path(folder)
    refuse_file(folder)
    if not folder.is_dir() and folder != RUNS:
        raise RunError(f"there is no folder {folder}.")
    runs = [_overview(run_folder) for run_folder in _run_folders(folder)]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def newest_run(folder: Path = RUNS) -> Path:
    """Return the run folder that was started last.

    Raises:
        RunError: There is no run.
    """
    for run_folder in runs_below(folder):
        return run_folder
    raise RunError(
        f"there is no run in {folder}; start one with `ablation run --grid FILE`, or name a run folder."
    )


def _run_folders(folder: Path) -> Iterator[Path]:
    with reading(folder):
        below = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in below:
        with suppress(PermissionError):  # of another user, so that it cannot be known whether it is a run
            yield from _runs_at(path)


def _runs_at(path: Path) -> list[Path]:
    """Return a path if it is a run folder, or the run folders of the search that it is; else nothing."""
    if (path / "study.json").exists():  # a folder of this name is damage
        return [path]
    is_of_search = is_search(path) or (path / "search" / "study.json").exists()  # its record may be gone
    return [record.parent for record in sorted(path.glob("*/study.json"))] if is_of_search else []


def _overview(folder: Path) -> RunOverview:
    store = Store(folder)
    started = datetime.fromtimestamp(store.study_file.stat().st_mtime)
    try:
        study, digest = store.study()
    except RunError:
        return RunOverview(folder, "", started)
    trials = study.trials(digest)
    counts = Counter(store.status(trial) for trial in trials)
    completed, pending = counts["completed"], counts["pending"]
    running = running_parts(folder, lambda part: _is_recent(folder, part))
    failed = len(trials) - completed - pending
    return RunOverview(folder, study.name, started, len(trials), completed, failed, bool(running))


def _is_recent(folder: Path, part: str) -> bool:
    with suppress(OSError):
        return time.time() - progress_file(folder, part).stat().st_mtime < _RECENT
    return False
