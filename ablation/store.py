"""The run folder: what was asked, what is finished, and how a finished trial gets there whole.

A trial's files are written to ``trials/.running/<id>/`` and reach ``trials/<id>/`` by one rename, so that
a folder of that name is always complete, whatever happened to the machine.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ablation.datasets import Dataset
from ablation.errors import RunError
from ablation.grid import Study
from ablation.trial import Trial, TrialResult

RUNS = Path("experiments/runs")


class Store:
    """A run folder on disk.

    Args:
        folder: The run folder; need not exist yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._trials = self.folder / "trials"

    @property
    def dataset_file(self) -> Path:
        """Where the prepared dataset lies, for workers and figures."""
        return self.folder / "dataset.npz"

    def open(self, study: Study, dataset: Dataset) -> None:
        """Make the folder ready for a run of the study; what is finished stays.

        Raises:
            RunError: The folder cannot be written to.
        """
        digest = dataset.digest
        try:
            shutil.rmtree(self._trials / ".running", ignore_errors=True)
            (self._trials / ".running").mkdir(parents=True)
            if self._saved_dataset() != (digest, dataset.describe()):
                dataset.save(self.dataset_file)
            record = {"study": study.model_dump(mode="json"), "dataset_digest": digest}
            self.write_text("study.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RunError(f"{self.folder} cannot be written to: {error.strerror}.") from None

    def study(self) -> tuple[Study, str]:
        """Return the study that was last run here, and its dataset's digest.

        Raises:
            RunError: The folder is no run folder.
        """
        try:
            record = json.loads((self.folder / "study.json").read_text("utf-8"))
            study = Study.model_validate_json(json.dumps(record["study"]), strict=True)
            return study, str(record["dataset_digest"])
        except FileNotFoundError:
            raise RunError(f"{self.folder} is not a run folder: it has no study.json.") from None
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{self.folder / 'study.json'} is damaged; run the grid again to restore it."
            ) from None

    def scratch(self, trial: Trial) -> Path:
        """Return an empty folder for the files of a running trial."""
        folder = self._trials / ".running" / trial.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def commit(self, trial: Trial, result: TrialResult) -> None:
        """Keep a trial's result and files: all of them or, if interrupted, none."""
        scratch = self._trials / ".running" / trial.id
        scratch.mkdir(parents=True, exist_ok=True)
        record = {"trial": trial.model_dump(mode="json"), "settings": trial.settings}
        (scratch / "trial.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (scratch / "result.json").write_text(result.model_dump_json(indent=2) + "\n", "utf-8")
        for file in scratch.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        final = self._trials / trial.id
        if final.exists():  # a failed attempt, which this one replaces
            final.rename(self._trials / ".running" / f"{trial.id}.replaced")
        scratch.rename(final)

    def result(self, trial: Trial) -> TrialResult | None:
        """Return a trial's result, or None where it has none that can be read."""
        try:
            content = (self._trials / trial.id / "result.json").read_text("utf-8")
            result = TrialResult.model_validate_json(content)
        except (OSError, ValidationError, UnicodeDecodeError):
            return None
        return result if result.trial_id == trial.id else None

    def is_finished(self, trial: Trial, with_model: bool = False) -> bool:
        """Tell whether a trial needs no further run; a failed one does, and one whose model is missing."""
        result = self.result(trial)
        if result is None or result.status not in ("completed", "diverged"):
            return False
        return result.status == "diverged" or not with_model or self.model_file(trial).exists()

    def model_file(self, trial: Trial) -> Path:
        """Where a trial's model lies, if it was saved."""
        return self._trials / trial.id / "model.keras"

    def test_probabilities(self, trial: Trial) -> NDArray[np.float32] | None:
        """Return a trial's (test images, classes) probabilities, or None where it has none."""
        try:
            probabilities: NDArray[np.float32] = np.load(
                self._trials / trial.id / "test_probabilities.npy", allow_pickle=False
            )
        except (OSError, ValueError, EOFError):
            return None
        return probabilities

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the run folder, whole or not at all."""
        file = self.folder / name
        partial = file.with_name(f".{name}.partial")
        partial.write_text(text, "utf-8")
        os.replace(partial, file)
        return file

    def _saved_dataset(self) -> tuple[str, str] | None:
        try:
            saved = Dataset.load(self.dataset_file)
            return saved.digest, saved.describe()
        except (OSError, ValueError, KeyError):
            return None


def runs_below(folder: Path) -> Iterator[Path]:
    """Yield the run folders in ``folder``, the newest first."""
    records = sorted(folder.glob("*/study.json"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    yield from (record.parent for record in records)
