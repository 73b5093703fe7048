"""The folders into which the trials of a run are exported, one each, so that nothing is exported twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.export.records import Scalar, parameters
from ablation.files import DAMAGED, read_json
from ablation.grid.trial import Trial, slug
from ablation.results.run import Run

_ABOUT = "trial.json"  # says which trial a folder holds, and in which state


@dataclass(frozen=True)
class Place:
    """The folder into which a trial is exported, and its parameters.

    Attributes:
        folder: The folder.
        trial: The trial.
        parameters: The trial's values of the settings that vary in the study.
    """

    folder: Path
    trial: Trial
    parameters: Mapping[str, Scalar]

    def about(self, fingerprint: str = "") -> dict[str, Any]:
        """Return the record about the folder; without a fingerprint, it says that the trial has not ended."""
        return {"trial": self.trial.id, "fingerprint": fingerprint, "parameters": dict(self.parameters)}

    def holds(self, fingerprint: str) -> bool:
        """Return whether the trial was written there whole, in the state of this fingerprint."""
        return _read_about(self.folder) == self.about(fingerprint)

    def write_about(self, fingerprint: str) -> None:
        """Write the record about the folder; a fingerprint says that the trial has ended."""
        (self.folder / _ABOUT).write_text(json.dumps(self.about(fingerprint)), "utf-8")

    def clear(self) -> None:
        """Remove what was written there, so that the trial can be written from the start."""
        _remove(self.folder)
        self.folder.mkdir(parents=True)
        self.write_about("")


def trial_places(run: Run, root: Path) -> dict[str, Place]:
    """Return the place of every trial below a folder, ``<variant>/s<seed>``, by the trial's id.

    Variants whose names would be the same folder get a number.
    """
    by_variant, folders = parameters(run.study), dict[str, str]()
    for variant in run.study.variants:
        name = slug(variant.name)
        taken = {folder.lower() for folder in folders.values()}
        folders[variant.name] = f"{name}_{len(taken) + 1}" if name.lower() in taken else name
    return {
        t.id: Place(root / folders[t.variant] / f"s{t.seed}", t, by_variant[t.variant]) for t in run.trials
    }


def forget_others(root: Path, places: Mapping[str, Place]) -> None:
    """Remove from a folder the trials that are no longer part of the study."""
    trial_ids = {place.folder: trial_id for trial_id, place in places.items()}
    for about in root.glob(f"*/s*/{_ABOUT}"):
        if trial_ids.get(about.parent) != _read_about(about.parent).get("trial"):
            _remove(about.parent)


def _remove(folder: Path) -> None:
    """Remove the folder of a trial, its record last, by which what is left by an interruption is found."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _ABOUT:
            entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _read_about(folder: Path) -> dict[str, Any]:
    """Return the record about a trial's folder; empty if it is missing or damaged."""
    try:
        return dict(read_json(folder / _ABOUT))
    except DAMAGED:
        return {}
