"""What a process that trains says of its trials, line by line, for whoever watches the run from outside.

Each part of a run has a file of its own, ``progress/run.jsonl`` or ``progress/shard-2-of-8.jsonl``, because
several machines cannot append to one file of a shared folder. A line is a JSON object with the time ``at``,
in seconds since 1970, and one of these:

- ``planned``: the trials that the process is about to train, with an estimate of the seconds of each;
- ``trial`` and ``epoch``: the trial has started (epoch 0), or has ended an epoch, with what was measured;
- ``trial`` and ``ended``: the trial has a result with this status.

The results are in ``trials/``; this file only shortens the wait for them. Nothing is read from it to train.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ablation.files import write_atomically
from ablation.grid.trial import EpochRecord
from ablation.store.lock import RUN

FOLDER = "progress"


class ProgressLine(NamedTuple):
    """A line of the file.

    Attributes:
        at: When it was written, in seconds since 1970.
        trial: The id of the trial; empty if ``planned`` is given.
        epoch: The number of the epoch that has ended; 0 if the trial has started.
        seconds: The wall time of the epoch.
        train_accuracy, val_accuracy: Measured after the epoch in inference mode.
        ended: The status with which the trial has ended; empty if it goes on.
        planned: The seconds of each trial that is about to be trained, by id; else None.
    """

    at: float
    trial: str = ""
    epoch: int = 0
    seconds: float = 0.0
    train_accuracy: float = 0.0
    val_accuracy: float = 0.0
    ended: str = ""
    planned: Mapping[str, float] | None = None


class ProgressLog:
    """Writes the lines of one process.

    A line that cannot be written is left out, because no training should end for it. If the disk is full, the
    next result that cannot be kept says so.

    Args:
        folder: The run folder.
        part: ``run``, or the name of a shard, which the process holds.
    """

    def __init__(self, folder: Path, part: str = RUN) -> None:
        self._file = progress_file(folder, part)

    def planned(self, seconds: Mapping[str, float]) -> None:
        """Begin with the trials that are about to be trained.

        What an earlier attempt wrote of these trials is kept, because training resumes from its checkpoint.
        """
        with suppress(OSError):
            self._file.parent.mkdir(exist_ok=True)
            earlier = self._file.read_bytes().splitlines() if self._file.is_file() else []
            kept = [
                line for line in earlier if (read := parsed(line)) and read.epoch and read.trial in seconds
            ]
            lines = [*kept, _line({"planned": dict(seconds)})]
            write_atomically(self._file, b"".join(line + b"\n" for line in lines))

    def started(self, trial_id: str) -> None:
        """Say that a trial has started, possibly for another time."""
        self._append({"trial": trial_id, "epoch": 0})

    def epoch(self, trial_id: str, record: EpochRecord) -> None:
        """Say that a trial has ended an epoch."""
        self._append({
            "trial": trial_id, "epoch": record.epoch, "seconds": record.seconds,
            "train_accuracy": record.train_accuracy, "val_accuracy": record.val_accuracy,
        })  # fmt: skip

    def ended(self, trial_id: str, status: str) -> None:
        """Say that the result of a trial has been kept."""
        self._append({"trial": trial_id, "ended": status})

    def _append(self, what: Mapping[str, Any]) -> None:
        # Opened for each line: only a closed file shows its lines to other machines at once.
        with suppress(OSError), self._file.open("ab") as stream:
            stream.write(_line(what) + b"\n")


class ProgressTail:
    """Reads the lines of a file as they are added.

    Args:
        file: The file, which need not exist yet.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._inode = self._offset = 0

    def read(self) -> tuple[bool, list[ProgressLine]]:
        """Return whether the file has been replaced since the last time, and its new lines.

        A line is read once it is whole. Lines that make no sense are left out.
        """
        try:
            with self._file.open("rb") as stream:
                about = os.fstat(stream.fileno())
                is_another = about.st_ino != self._inode or about.st_size < self._offset
                self._inode, self._offset = about.st_ino, 0 if is_another else self._offset
                stream.seek(self._offset)
                text = stream.read()
        except OSError:
            return False, []
        whole = text.rfind(b"\n") + 1
        self._offset += whole
        return is_another, list(filter(None, map(parsed, text[:whole].splitlines())))


def progress_file(folder: Path, part: str) -> Path:
    """Return the file of a part of a run."""
    return folder / FOLDER / f"{part}.jsonl"


def progress_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of each part that has been trained in a run folder, and its file."""
    yield from ((file.stem, file) for file in sorted((folder / FOLDER).glob("*.jsonl")))


def parsed(line: bytes) -> ProgressLine | None:
    """Return a line of the file; None if it makes no sense, such as the end of a process that was killed."""
    try:
        given = json.loads(line)
        if "planned" in given:
            seconds = {str(name): float(value) for name, value in given["planned"].items()}
            return ProgressLine(float(given["at"]), planned=seconds)
        return ProgressLine(
            float(given["at"]),
            str(given["trial"]),
            int(given.get("epoch", 0)),
            float(given.get("seconds", 0.0)),
            float(given.get("train_accuracy", 0.0)),
            float(given.get("val_accuracy", 0.0)),
            str(given.get("ended", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _line(what: Mapping[str, Any]) -> bytes:
    return json.dumps({"at": round(time.time(), 3), **what}).encode()
