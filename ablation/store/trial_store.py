"""The trials of a run folder, and how a finished trial gets there whole.

A trial's files are written to ``trials/.running/<id>/`` and reach ``trials/<id>/`` by one rename, so that
a folder of that name is always complete, whatever happens to the machine. ``trial.json`` holds a checksum of
each file and of itself, so that a file that was damaged or edited afterwards does not count as a result.

A trial is found by its seed and the hash of its settings, which its id ends with: a variant may be renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.array_files import load_npy
from ablation.errors import writing
from ablation.files import DAMAGED, files_below, newer_keys, read_json, write_atomically
from ablation.grid.study import SaveModels
from ablation.grid.trial import Trial, TrialResult, content_of
from ablation.grid.user_files import changed_files
from ablation.operating_system import move
from ablation.store.checked_record import checked_text, require_unchanged
from ablation.store.restoring import maker_of
from ablation.training.checkpoint import CHECKPOINT

MODEL = "model.keras"
_RESULT = "result.json"
_PART = 2**20  # bytes of a file that are read at once


class TrialStore:
    """The trials of a run folder.

    Args:
        folder: The run folder, which need not exist yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._trials = self.folder / "trials"
        self._running = self._trials / ".running"
        self._index: tuple[int, dict[str, Path]] = (0, {})  # the time of ``trials/``, and its folders

    def place(self, trial: Trial) -> Path:
        """Return the folder of a trial, which need not exist; it may have the trial's former name."""
        own = self._trials / trial.id
        return own if own.is_dir() else self._folders().get(content_of(trial.id), own)

    def _folders(self) -> dict[str, Path]:
        """Return the folders of all kept trials, by seed and hash of settings."""
        changed = self._trials.stat().st_mtime_ns if self._trials.is_dir() else 0
        if changed != self._index[0]:
            self._index = changed, {content_of(f.name): f for f in _folders_in(self._trials)}
        return self._index[1]

    def rename(self, trials: Sequence[Trial]) -> None:
        """Give the folders of trials that were kept or interrupted under other names the trials' names.

        Raises:
            RunError: The folder cannot be written to.
        """
        planned = {trial.id for trial in trials}
        with writing(self.folder):
            for parent in (self._trials, self._running):
                former = {content_of(f.name): f for f in _folders_in(parent) if f.name not in planned}
                for trial in trials if former else ():
                    if (folder := former.get(content_of(trial.id))) and not (parent / trial.id).exists():
                        move(folder, parent / trial.id)

    def running_folder(self, trial: Trial) -> Path:
        """Return the folder for the files of a trial while it runs, which need not exist."""
        return self._running / trial.id

    def scratch(self, trial: Trial) -> Path:
        """Return the folder for the files of a running trial, empty except for an earlier checkpoint."""
        folder = self.running_folder(trial)
        with writing(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                if file.name != CHECKPOINT:
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        return folder

    def copy_checkpoint(self, shorter: str, trial: Trial) -> None:
        """Let a trial begin where a shorter training of the same model ended, if its state was kept.

        Args:
            shorter: The id of the shorter training.
            trial: The trial.
        """
        source, target = (self._running / name / CHECKPOINT for name in (shorter, trial.id))
        if source.is_file() and not target.exists() and not self.place(trial).exists():
            with writing(self.folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target, source.read_bytes())

    def has_checkpoint(self, trial_id: str) -> bool:
        """Return whether the state of a training is kept."""
        return (self._running / trial_id / CHECKPOINT).is_file()

    def other_settings(self, trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
        """Return the settings of the kept trials that are not among these, by id."""
        known, settings = {self.place(trial) for trial in trials}, {}
        for folder in (f for f in _folders_in(self._trials) if f not in known):
            with suppress(*DAMAGED):
                settings[folder.name] = dict(read_json(folder / "trial.json")["settings"])
        return settings

    def files_read(self, trial_id: str) -> dict[str, str]:
        """Return the hashes of the user's files that a kept trial was built from; empty if not known."""
        with suppress(*DAMAGED):
            return dict(read_json(self._trials / trial_id / _RESULT)["files"])
        return {}

    def forget_states(self) -> None:
        """Remove the states that were kept for longer trainings."""
        with writing(self.folder):
            shutil.rmtree(self._running, ignore_errors=True)

    def commit(self, trial: Trial, result: TrialResult) -> None:
        """Keep a trial's result and files: all of them or, if interrupted, none.

        A checkpoint that the trial left is kept, too, for another attempt or a longer training. A former
        result from files of the user that have changed since stays beside it, as ``<id>.<8 hex>``.

        Raises:
            RunError: The folder cannot be written to, or has vanished.
        """
        scratch, final = self._running / trial.id, self._trials / trial.id
        with writing(self.folder):
            (scratch / _RESULT).write_text(result.model_dump_json(indent=2) + "\n", "utf-8")
            below = files_below(scratch)
            files = {name: _checksum(file) for name, file in below.items() if name != CHECKPOINT}
            record = {"trial": trial.model_dump(mode="json"), "settings": trial.settings, "files": files}
            (scratch / "trial.json").write_bytes(checked_text(record).encode())
            former = self.result(trial) if final.is_dir() else None  # `rename` gave it its name
            if former and former.is_completed and former.files != result.files:
                move(final, final.with_name(f"{final.name}.{self.fingerprint(trial)[:8]}"))
            self._put_in_place(scratch, final)
            if (final / CHECKPOINT).exists():
                scratch.mkdir()
                move(final / CHECKPOINT, scratch / CHECKPOINT)

    def adopt(self, other: TrialStore, trial: Trial) -> None:
        """Copy a trial of another run folder into this one: all of it or, if interrupted, nothing.

        Raises:
            RunError: The folder cannot be written to.
        """
        source, final = other.place(trial), self._trials / trial.id
        if source.resolve() == final.resolve():
            return
        copied = self._running / f"{trial.id}.adopted"
        with writing(self.folder):
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(source, copied)
            self._put_in_place(copied, final)

    def _put_in_place(self, scratch: Path, final: Path) -> None:
        """Move a trial's folder to its final place, once all of its files are on the disk."""
        for file in files_below(scratch).values():
            with file.open("r+b") as stream:  # for writing, without which Windows writes nothing to the disk
                os.fsync(stream.fileno())
        replaced = self._running / f"{final.name}.replaced"
        shutil.rmtree(replaced, ignore_errors=True)  # left by a process that was killed
        if final.exists():
            move(final, replaced)
        move(scratch, final)
        shutil.rmtree(replaced, ignore_errors=True)

    def result(self, trial: Trial) -> TrialResult | None:
        """Return a trial's result, or None if it has none; if its files were changed, a failed result."""
        folder = self.place(trial)
        if not folder.is_dir():
            return None
        damage, content = _read(folder)
        why = "it was damaged or edited after it was written"
        if not damage:
            try:
                result = TrialResult.model_validate_json(content)
                if result.trial_id == trial.id:
                    return result
                if content_of(result.trial_id) == content_of(trial.id):
                    return result.model_copy(update={"trial_id": trial.id})
                damage = f"result.json belongs to {result.trial_id}"
            except DAMAGED as error:
                newer = newer_keys(error)
                damage = f"result.json has {newer}" if newer else "result.json is no result"
                why = "it may be from a newer version of ablation" if newer else why
        maker = maker_of(self.folder)
        verb = "collects" if "collect" in maker else "trains"
        cause = f"{damage}: {why}; the same `{maker}` command {verb} the trial again"
        return TrialResult(trial_id=trial.id, status="failed", cause=cause)

    def status(self, trial: Trial) -> str:
        """Return how a trial ended, or ``pending``, at a glance: nothing is compared with its checksum."""
        try:
            return str(read_json(self.place(trial) / _RESULT)["status"])
        except FileNotFoundError:
            return "failed" if self.place(trial).is_dir() else "pending"
        except DAMAGED:
            return "failed"

    def damage(self, trial: Trial) -> str:
        """Say which of a trial's files is not what was written; empty if all are.

        Its model is checked, too, if it is there: a packed run may have been packed without models.
        """
        folder = self.place(trial)
        return _read(folder, with_model=True)[0] if folder.is_dir() else ""

    def fingerprint(self, trial: Trial) -> str:
        """Return a short hash of all the files of a trial; empty if it has none."""
        return self.checksum(trial)[:12]

    def checksum(self, trial: Trial) -> str:
        """Return the SHA-256 of all the files of a trial; empty if it has none."""
        record = self.place(trial) / "trial.json"  # holds a checksum of each other file
        return _checksum(record) if record.is_file() else ""

    def is_finished(self, trial: Trial, result: TrialResult | None, save_models: SaveModels = False) -> bool:
        """Return whether a trial need not be run again.

        Args:
            trial: The trial.
            result: Its result, if it has one.
            save_models: Whether a completed trial also needs its saved model, and which one.
        """
        if result is None or result.status not in ("completed", "diverged"):
            return False  # training a diverged one again would diverge again
        return not self.outdated(trial, result, save_models)

    def outdated(self, trial: Trial, result: TrialResult, save_models: SaveModels = False) -> str:
        """Say why a trial that completed or diverged has to be trained again; empty if it has not.

        Args:
            trial: The trial.
            result: Its result.
            save_models: Whether a completed trial also needs its saved model, and which one.
        """
        if (folder := trial.code_folder) and (changed := changed_files(result.files, folder)):
            verb = "has" if len(changed) == 1 else "have"
            return f"{', '.join(changed)}, from which the model was built, {verb} changed since"
        if not save_models or not result.is_completed or result.unsaved:
            return ""
        if not self.model_file(trial).exists():
            return "save_models is set, and the model was not saved"
        wanted = "raw" if save_models == "raw" else "normalised"
        if (result.model or "normalised") != wanted:  # earlier versions saved no other models
            return f"the saved model does not take {wanted} images"
        return ""

    def count_others(self, trials: Sequence[Trial]) -> int:
        """Count the kept trials that are not among these: those of earlier settings, images or modules."""
        known = {self.place(trial) for trial in trials}
        return sum(folder not in known for folder in _folders_in(self._trials))

    def ended_at(self, trial: Trial) -> float:
        """Return when a trial ended, in seconds since 1970; the trial must have ended."""
        return (self.place(trial) / "trial.json").stat().st_mtime

    def model_file(self, trial: Trial) -> Path:
        """Return the file of a trial's model, which exists if the model was saved."""
        return self.place(trial) / MODEL

    def test_probabilities(self, trial: Trial) -> NDArray[np.float32] | None:
        """Return a trial's probabilities of shape (test images, classes), or None if it has none."""
        try:
            return load_npy(self.place(trial) / "test_probabilities.npy")
        except Exception:  # a damaged file raises whatever reading its header raises
            return None


def _folders_in(folder: Path) -> Iterator[Path]:
    """Yield the folders in a folder that are named like trials, sorted by name."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()) if folder.is_dir() else []
    yield from (folder / name for name in names if content_of(name))


@lru_cache(256)  # the same few names in each trial
def _leads_out(name: str) -> bool:
    """Return whether the name of a file is one of another folder, on any system."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


def _content(file: str) -> bytes:
    with open(file, "rb") as stream:  # noqa: PTH123 - text is opened in two thirds of the time
        return stream.read()


def _checksum(file: str | Path) -> str:
    """Return the SHA-256 of a file, which may be larger than the memory."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:  # noqa: PTH123 - as above
        while part := stream.read(_PART):
            digest.update(part)
    return digest.hexdigest()


def _read(folder: Path, with_model: bool = False) -> tuple[str, bytes]:
    """Compare a trial's files with their checksums.

    Returns:
        Which file is not what was written, the first of several; empty if all are. And the content of
        result.json, from the same reading as its checksum.
    """
    result, place = b"", folder.as_posix()
    try:
        record = _content(f"{place}/trial.json")
        require_unchanged(record)
        files = json.loads(record)["files"]
        for name, checksum in files.items():
            if _leads_out(name):
                return f"trial.json names {name!r}, which is no file of the trial", b""
            if name == MODEL and not (with_model and (folder / name).exists()):  # it is large, or not packed
                continue
            file = f"{place}/{name}"
            if name == _RESULT:
                result = _content(file)
            found = hashlib.sha256(result).hexdigest() if name == _RESULT else _checksum(file)
            if found != checksum:
                return f"{name} does not match its checksum", b""
    except OSError as error:
        return f"{Path(error.filename or folder / 'trial.json').name} cannot be read", b""
    except DAMAGED:
        return "trial.json does not contain what was written", b""
    return ("", result) if _RESULT in files else ("trial.json does not list a result.json", b"")
