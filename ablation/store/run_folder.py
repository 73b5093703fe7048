"""The run folder on disk: the study, the finished trials, and how a finished trial gets there whole.

A trial's files are written to ``trials/.running/<id>/`` and reach ``trials/<id>/`` by one rename, so that
a folder of that name is always complete, whatever happens to the machine. ``trial.json`` holds a checksum of
each file, so that a file that was damaged or edited afterwards does not count as a result.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Dataset
from ablation.errors import RunError, refuse_file, writing
from ablation.files import files_below, json_text, write_atomically
from ablation.grid.seeding import DEFAULT_VARY, IMAGE_STREAMS, Stream
from ablation.grid.settings import DatasetSettings
from ablation.grid.study import Study
from ablation.grid.trial import Trial, TrialResult
from ablation.store.lock import RUN, exclusive, locked
from ablation.training.checkpoint import CHECKPOINT

RUNS = Path("experiments/runs")
SEARCH = "search.json"
MODEL = "model.keras"
_DECLARED = "declared.json"  # the study as it was before its first trial


class Store:
    """A run folder on disk.

    Args:
        folder: The run folder, which need not exist yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._trials = self.folder / "trials"
        self._running = self._trials / ".running"

    @property
    def dataset_file(self) -> Path:
        """The file that holds the prepared dataset, for workers and figures."""
        return self.folder / "dataset.npz"

    @property
    def study_file(self) -> Path:
        """The file that holds the study that was last run here."""
        return self.folder / "study.json"

    def open(self, study: Study, dataset: Dataset, beside: Sequence[str] = ()) -> None:
        """Make the folder ready for a run of the study; finished trials stay.

        Args:
            study: The study to run.
            dataset: The images of the study.
            beside: The names of the run's other shards that are running now.

        Raises:
            RunError: The folder cannot be written to, or other shards are running another study.
        """
        digest = dataset.digest
        record = {"study": study.model_dump(mode="json"), "dataset_digest": digest}
        text = json_text(record)
        with writing(self.folder):
            changed = not self.study_file.is_file() or self.study_file.read_text("utf-8") != text
            if changed and beside:
                raise RunError(
                    f"{self.folder}: {beside[0].replace('-', ' ')} is running another version of the study. "
                    "Wait until it ends, or choose another folder with --out."
                )
            self._running.mkdir(parents=True, exist_ok=True)
            for leftover in () if beside else self._running.iterdir():
                if not (leftover / CHECKPOINT).is_file():
                    shutil.rmtree(leftover)
            saved = self._saved_dataset()
            if not saved or (saved.digest, saved.origin) != (digest, dataset.origin):
                dataset.save(self.dataset_file)
            if changed:
                self.write(self.study_file.name, text)
            if not any(self._trials.glob("*/trial.json")):
                self.write(_DECLARED, text)

    @contextmanager
    def locked(self, part: str = RUN) -> Iterator[None]:
        """Hold the folder, or a shard, for this process; see `ablation.store.lock.locked`.

        Raises:
            RunError: Another process holds it, or the folder cannot be written to.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder, part):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Do what only one process may do in the folder at a time; see `ablation.store.lock.exclusive`.

        Raises:
            RunError: The folder cannot be written to, or other processes held it for too long.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder):
            yield

    def declare(self, declared: tuple[Study, str] | None) -> None:
        """Record what was declared before the first trial, in the form in which `declared` returns it."""
        if declared is None:
            (self.folder / _DECLARED).unlink(missing_ok=True)
            return
        record = {"study": declared[0].model_dump(mode="json"), "dataset_digest": declared[1]}
        self.write(_DECLARED, json_text(record))

    def declared(self) -> tuple[Study, str] | None:
        """Return study and dataset digest as they were when the first trial started; None if not known."""
        try:
            return self._read_study(self.folder / _DECLARED)
        except RunError:
            return None

    def study(self) -> tuple[Study, str]:
        """Return the study that was last run here, and the digest of its dataset.

        Raises:
            RunError: The folder is not a run folder, or its study file is damaged.
        """
        return self._read_study(self.study_file)

    def _read_study(self, file: Path) -> tuple[Study, str]:
        refuse_file(self.folder)
        try:
            record = json.loads(file.read_text("utf-8"))
            study = Study.model_validate_json(json.dumps(record["study"]), strict=True)
            return study, str(record["dataset_digest"])
        except FileNotFoundError:
            message = f"{self.folder} is not a run folder: it has no {file.name}."
            if is_search(self.folder):
                message = (
                    f"{self.folder} is the folder of a search; its runs are in the subfolders search/ and "
                    "confirmation/."
                )
            raise RunError(message) from None
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{file} is damaged; run the grid again to restore it.") from None

    def prepared_dataset(
        self, settings: DatasetSettings, vary: tuple[Stream, ...] = DEFAULT_VARY
    ) -> Dataset | None:
        """Return the dataset that was prepared here, if `prepare_dataset` is known to give the same again.

        Otherwise return None: images at a path may have been changed since, and are read again.
        """
        if settings.path is not None:
            return None
        try:
            study, digest = self.study()
        except RunError:
            return None
        same_pool = all((stream in study.vary) == (stream in vary) for stream in IMAGE_STREAMS)
        saved = self._saved_dataset() if study.dataset == settings and same_pool else None
        return saved if saved and saved.digest == digest else None

    def scratch(self, trial: Trial) -> Path:
        """Return the folder for the files of a running trial, empty except for an earlier checkpoint."""
        folder = self._running / trial.id
        with writing(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                if file.name != CHECKPOINT:
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        return folder

    def copy_checkpoint(self, shorter: Trial, trial: Trial) -> None:
        """Let a trial begin where a shorter training of the same model ended, if its state was kept."""
        source, target = (self._running / t.id / CHECKPOINT for t in (shorter, trial))
        if source.is_file() and not target.exists() and not (self._trials / trial.id).exists():
            with writing(self.folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target, source.read_bytes())

    def forget_states(self) -> None:
        """Remove the states that were kept for longer trainings."""
        with writing(self.folder):
            shutil.rmtree(self._running, ignore_errors=True)

    def commit(self, trial: Trial, result: TrialResult) -> None:
        """Keep a trial's result and files: all of them or, if interrupted, none.

        A checkpoint that the trial left is kept, too, for another attempt or a longer training.

        Raises:
            RunError: The folder cannot be written to, or has vanished.
        """
        scratch, final = self._running / trial.id, self._trials / trial.id
        with writing(self.folder):
            (scratch / "result.json").write_text(result.model_dump_json(indent=2) + "\n", "utf-8")
            below = files_below(scratch)
            files = {name: _checksum(file) for name, file in below.items() if name != CHECKPOINT}
            record = {"trial": trial.model_dump(mode="json"), "settings": trial.settings, "files": files}
            (scratch / "trial.json").write_text(json_text(record), "utf-8")
            self._put_in_place(scratch, final)
            if (final / CHECKPOINT).exists():
                scratch.mkdir()
                (final / CHECKPOINT).rename(scratch / CHECKPOINT)

    def adopt(self, other: Store, trial: Trial) -> None:
        """Copy a trial of another run folder into this one: all of it or, if interrupted, nothing.

        Raises:
            RunError: The folder cannot be written to.
        """
        source, final = other._trials / trial.id, self._trials / trial.id
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
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if final.exists():  # the result of a failed attempt, which this one replaces
            final.rename(self._running / f"{final.name}.replaced")
        scratch.rename(final)

    def result(self, trial: Trial) -> TrialResult | None:
        """Return a trial's result, or None if it has none; if its files were changed, a failed result."""
        folder = self._trials / trial.id
        if not folder.is_dir():
            return None
        damage = _damage(folder)
        if not damage:
            result = TrialResult.model_validate_json((folder / "result.json").read_text("utf-8"))
            if result.trial_id == trial.id:
                return result
            damage = f"result.json belongs to {result.trial_id}"
        cause = (
            f"{damage}: it was damaged or edited after it was written; the same `ablation run` command "
            "trains the trial again"
        )
        return TrialResult(trial_id=trial.id, status="failed", cause=cause)

    def damage(self, trial: Trial) -> str:
        """Say which of a trial's files, its model included, is not what was written; empty if all are."""
        folder = self._trials / trial.id
        return _damage(folder, with_model=True) if folder.is_dir() else ""

    def fingerprint(self, trial: Trial) -> str:
        """Return a hash of all the files of a trial; empty if it has none."""
        record = self._trials / trial.id / "trial.json"  # holds a checksum of each other file
        return _checksum(record)[:12] if record.is_file() else ""

    def is_finished(self, trial: Trial, result: TrialResult | None, with_model: bool = False) -> bool:
        """Return whether a trial need not be run again.

        Args:
            trial: The trial.
            result: Its result, if it has one.
            with_model: Whether a completed trial also needs its saved model.
        """
        if result is None:
            return False
        if result.status == "diverged":  # training it again would diverge again, and leaves no model
            return True
        return result.is_completed and (not with_model or self.model_file(trial).exists())

    def count_others(self, trials: Sequence[Trial]) -> int:
        """Count the kept trials that are not among these: those of earlier settings, images or modules."""
        known = {trial.id for trial in trials}
        return sum(file.parent.name not in known for file in self._trials.glob("*/trial.json"))

    def changed_at(self, trials: Sequence[Trial]) -> int:
        """Return when the study or one of these trials was last written, in nanoseconds since 1970."""
        files = [self.study_file, *(self._trials / trial.id / "trial.json" for trial in trials)]
        return max(file.stat().st_mtime_ns for file in files if file.exists())

    def ended_at(self, trial: Trial) -> float:
        """Return when a trial ended, in seconds since 1970; the trial must have ended."""
        return (self._trials / trial.id / "trial.json").stat().st_mtime

    def model_file(self, trial: Trial) -> Path:
        """Return the file of a trial's model, which exists if the model was saved."""
        return self._trials / trial.id / MODEL

    def test_probabilities(self, trial: Trial) -> NDArray[np.float32] | None:
        """Return a trial's probabilities of shape (test images, classes), or None if it has none."""
        try:
            probabilities: NDArray[np.float32] = np.load(
                self._trials / trial.id / "test_probabilities.npy", allow_pickle=False
            )
        except (OSError, ValueError, EOFError):
            return None
        return probabilities

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the run folder, whole or not at all; return its path.

        Raises:
            RunError: The file cannot be written.
        """
        with writing(self.folder):
            return write_atomically(self.folder / name, content)

    def _saved_dataset(self) -> Dataset | None:
        try:
            return Dataset.load(self.dataset_file)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def is_search(folder: Path) -> bool:
    """Return whether a folder is the folder of a search, which contains run folders."""
    return (folder / SEARCH).is_file()


def runs_below(folder: Path) -> Iterator[Path]:
    """Yield the run folders directly in ``folder``, the newest first."""
    records = sorted(folder.glob("*/study.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    yield from (record.parent for record in records)


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damage(folder: Path, with_model: bool = False) -> str:
    """Say which file of a trial is not what was written, the first of several; empty if all are."""
    try:
        files = json.loads((folder / "trial.json").read_text("utf-8"))["files"]
        for name, checksum in files.items():
            if name == MODEL and not with_model:  # models are large
                continue
            if _checksum(folder / name) != checksum:
                return f"{name} does not match its checksum"
    except OSError as error:
        return f"{Path(error.filename).name} cannot be read"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "trial.json does not contain what was written"
    return "" if "result.json" in files else "trial.json does not list a result.json"


def figures_folder(folder: Path) -> Path:
    """Return where a run's or a search's figures go.

    For a folder in the usual place, ``experiments/runs``, they go to ``figures/<name>`` beside
    ``experiments/``; for a folder elsewhere, to its subfolder ``figures``.
    """
    full = folder.absolute()
    if full.parent.name == RUNS.name and full.parent.parent.name == RUNS.parent.name:
        root = folder.parent.parent.parent if len(folder.parts) > 2 else full.parents[2]
        return root / "figures" / full.name
    return folder / "figures"
