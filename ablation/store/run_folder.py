"""The run folder on disk: the study, its dataset, and its trials, for one process at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ablation.control_characters import control_in
from ablation.data.datasets import Dataset
from ablation.errors import RunError, refuse_file, unreadable, writing
from ablation.files import DAMAGED, newer_keys, write_atomically
from ablation.grid.code_folders import with_code_folders
from ablation.grid.dataset_settings import DATASETS, DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, IMAGE_STREAMS, Stream
from ablation.grid.settings_group import STORED
from ablation.grid.study import Study
from ablation.grid.trial import Trial
from ablation.operating_system import longest_path
from ablation.store.checked_record import checked_text, require_unchanged
from ablation.store.lock import RUN, deriving, exclusive, locked
from ablation.store.manifest import MANIFEST
from ablation.store.plain_files import require_plain_files
from ablation.store.restoring import SEARCH, maker_of
from ablation.store.trial_store import TrialStore
from ablation.training.checkpoint import CHECKPOINT

RUNS = Path("experiments/runs")
_DECLARED = "declared.json"  # the study as it was before its first trial
_LONGEST_BELOW = 120  # characters of the longest path below a run folder, unless callbacks write longer ones


class Store(TrialStore):
    """A run folder on disk, which need not exist yet."""

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
        require_plain_files(self.folder)
        self._refuse_long_paths()
        digest = dataset.digest
        record = {"study": study.model_dump(mode="json"), "dataset_digest": digest}
        text = checked_text(record)
        with writing(self.folder):
            is_new = not self.study_file.is_file()
            changed = is_new or self.study_file.read_bytes() != text.encode()
            if changed and beside and not is_new:
                raise RunError(
                    f"{self.folder}: {beside[0].replace('-', ' ')} is running another version of the study. "
                    "Wait until it ends, or choose another folder with --out."
                )
            self._running.mkdir(parents=True, exist_ok=True)
            for leftover in () if beside else self._running.iterdir():
                if not (leftover / CHECKPOINT).is_file():
                    shutil.rmtree(leftover)
            saved = self._saved_dataset()
            described = digest, dataset.origin, dataset.notes
            if not saved or (saved.digest, saved.origin, saved.notes) != described:
                dataset.save(self.dataset_file)
            if changed:
                self.write(self.study_file.name, text)
            self.rename(study.trials(digest))
            if not any(self._trials.glob("*/trial.json")):
                self.write(_DECLARED, text)

    def _refuse_long_paths(self) -> None:
        """Refuse a folder where paths of trials are longer than the system allows, before any is trained."""
        folder, longest = str(self.folder.absolute()), longest_path()
        if longest is not None and len(folder) + _LONGEST_BELOW > longest:
            raise RunError(
                f"{folder} has {len(folder)} characters, and the files of trials have up to {_LONGEST_BELOW} "
                f"more, but Windows allows {longest} in all. Choose a folder of at most "
                f"{longest - _LONGEST_BELOW} characters with --out, or enable long paths in Windows."
            )

    @contextmanager
    def locked(
        self, part: str = RUN, opening: Callable[[list[str]], None] = lambda _: None
    ) -> Iterator[None]:
        """Hold the folder, or a shard, for this process; see `ablation.store.lock.locked`.

        Raises:
            RunError: Another process holds it, or the folder cannot be written to.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        require_plain_files(self.folder)
        with locked(self.folder, part, opening):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Do what only one process may do in the folder at a time; see `ablation.store.lock.exclusive`.

        Raises:
            RunError: The folder cannot be written to, or other processes held it for too long.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        require_plain_files(self.folder)
        with exclusive(self.folder):
            yield

    @contextmanager
    def deriving(self) -> Iterator[None]:
        """Write what follows from the trials; see `ablation.store.lock.deriving`.

        Raises:
            RunError: Another process held the folder for ten minutes.
        """
        with deriving(self.folder):
            yield

    def declare(self, declared: tuple[Study, str] | None) -> None:
        """Record what was declared before the first trial, in the form in which `declared` returns it."""
        if declared is None:
            (self.folder / _DECLARED).unlink(missing_ok=True)
            return
        record = {"study": declared[0].model_dump(mode="json"), "dataset_digest": declared[1]}
        self.write(_DECLARED, checked_text(record))

    def declared(self) -> tuple[Study, str] | None:
        """Return study and dataset digest as they were when the first trial started; None if not known."""
        try:
            return self._read_study(self.folder / _DECLARED)
        except RunError:
            return None

    def study(self) -> tuple[Study, str]:
        """Return the study that was last run here, and the digest of its dataset.

        Raises:
            RunError: The folder is not a run folder, it contains a link, or its study file is damaged or
                cannot be read.
        """
        require_plain_files(self.folder)
        return self._read_study(self.study_file)

    def _read_study(self, file: Path) -> tuple[Study, str]:
        refuse_file(self.folder)
        try:
            content = file.read_bytes()
            record = json.loads(content)
            if control_in(record):
                raise ValueError("control characters, which no grid file may contain")
            settings = with_code_folders(record["study"], self._in_folder)
            study = Study.model_validate_json(json.dumps(settings), strict=True, context=STORED)
            require_unchanged(content)
            return study, str(record["dataset_digest"])
        except FileNotFoundError:
            message = f"{self.folder} is not a run folder: it has no {file.name}."
            if is_search(self.folder):
                message = (
                    f"{self.folder} is the folder of a search; its runs are in the subfolders search/ and "
                    "confirmation/."
                )
            raise RunError(message) from None
        except OSError as error:
            raise RunError(unreadable(file, error)) from None
        except DAMAGED as error:
            newer = newer_keys(error)
            because = f"has {newer}, perhaps from a newer version of ablation" if newer else "is damaged"
            maker = maker_of(self.folder)
            raise RunError(f"{file} {because}; the same `{maker}` command restores it.") from None

    def _in_folder(self, code: str) -> str:
        """Return where the user's code lies; that of a packed run is named relative to the run folder."""
        return os.path.normpath(self.folder.absolute() / code)

    def prepared_dataset(
        self, settings: DatasetSettings, vary: tuple[Stream, ...] = DEFAULT_VARY
    ) -> Dataset | None:
        """Return the dataset that was prepared here, if `prepare_dataset` is known to give the same again.

        Otherwise return None: images at a path, or a plug-in that reads them, may have been changed since,
        and are read again.
        """
        if settings.path is not None or settings.name not in DATASETS:
            return None
        try:
            study, digest = self.study()
        except RunError:
            return None
        same_pool = all((stream in study.vary) == (stream in vary) for stream in IMAGE_STREAMS)
        saved = self._saved_dataset() if study.dataset == settings and same_pool else None
        return saved if saved and saved.digest == digest else None

    def changed_at(self, trials: Sequence[Trial]) -> int:
        """Return when the study or one of these trials was last written, in nanoseconds since 1970."""
        files = [self.study_file, *(self.place(trial) / "trial.json" for trial in trials)]
        return max(file.stat().st_mtime_ns for file in files if file.exists())

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
        except (OSError, ValueError):
            return None


def is_search(folder: Path) -> bool:
    """Return whether a folder is the folder of a search, which contains run folders."""
    return (folder / SEARCH).is_file()


def runs_below(folder: Path) -> Iterator[Path]:
    """Yield the run folders directly in ``folder``, the newest first."""
    records = sorted(folder.glob("*/study.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    yield from (record.parent for record in records)


def figures_folder(folder: Path) -> Path:
    """Return where a run's or a search's figures go.

    For a folder in the usual place, ``experiments/runs``, they go to ``figures/<name>`` beside
    ``experiments/``; for a folder elsewhere, and for a packed run, to its subfolder ``figures``.
    """
    full = folder.absolute()
    if (full / MANIFEST).is_file():
        return folder / "figures"
    if full.parent.name == RUNS.name and full.parent.parent.name == RUNS.parent.name:
        root = folder.parent.parent.parent if len(folder.parts) > 2 else full.parents[2]
        return root / "figures" / full.name
    return folder / "figures"
