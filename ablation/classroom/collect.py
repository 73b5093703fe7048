"""Collecting what a class handed in: each hand-in is checked, and those that are sound become one run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ablation.classroom.checks import images_of, open_hand_in, require_sound
from ablation.classroom.comparison import Reasons, other_models, other_studies, repeated
from ablation.classroom.hand_ins import Fault, HandIn, find_hand_ins, run_folder_of
from ablation.data.datasets import Dataset
from ablation.errors import RunError, writing
from ablation.grid.user_code import error_summary
from ablation.grid.value_text import counted
from ablation.results.classroom import CLASS_FILE, Classroom, SetAside, Student
from ablation.results.run import Run
from ablation.store.run_folder import Store
from ablation.workflow.merge import merge_runs

_T = TypeVar("_T")


def collect(hand_ins: Sequence[str | Path], out: str | Path) -> Run:
    """Check what students handed in, merge what is sound into one run, and write its report.

    A hand-in with a fault is set aside as a whole, with its reason, which ``class.json`` keeps.
    Hand-ins are only read. Collecting into the same folder again reads all of them again.

    Args:
        hand_ins: Folders of students, run folders, zip files, or folders that hold these.
        out: The run folder to write: a new one, or one that was collected before.

    Returns:
        The merged run.

    Raises:
        RunError: No hand-in is sound, there is none, or the folder cannot be written to or holds another run.
    """
    found = find_hand_ins(hand_ins)
    store = Store(out)
    _refuse_other_run(store, found)
    with tempfile.TemporaryDirectory() as scratch:
        kept, reasons = _sound(found, Path(scratch))
        aside = tuple(SetAside(one.name, reasons[one.name]) for one in found if one.name in reasons)
        if not kept:
            lines = "".join(f"\n  {one}" for one in aside)
            raise RunError(f"none of {counted(len(found), 'hand-in')} can be used:{lines}")
        students = tuple(Student(one.name, kept[one.name].study.seeds) for one in found if one.name in kept)
        _forget_earlier(store)
        with store.exclusive():
            Classroom(students, aside).write(store)
        merged = merge_runs([run.folder for run in _images_first(kept)], store.folder)
    return Run(merged.folder)


def _sound(found: Sequence[HandIn], scratch: Path) -> tuple[dict[str, Run], Reasons]:
    """Return the hand-ins without a fault, by name, and why the others are set aside."""
    reasons: Reasons = {}
    runs: dict[str, Run] = {}

    def attempt(name: str, step: Callable[..., _T], *arguments: Any) -> _T | None:
        try:
            return step(*arguments)
        except Fault as fault:
            reasons[name] = str(fault)
        except Exception as error:  # whatever a file does to its reader, the others are collected
            reasons[name] = f"it cannot be read ({error_summary(error)})."
        return None

    def drop(others: Reasons) -> None:
        reasons.update(others)
        for name in reasons:
            runs.pop(name, None)

    for number, one in enumerate(found):
        folder = attempt(one.name, run_folder_of, one, scratch / str(number))
        if folder and (opened := attempt(one.name, open_hand_in, folder)):
            runs[one.name] = opened
    if not runs:
        return {}, reasons
    drop(other_studies(runs))
    images: Dataset | None = None
    for name, run in list(runs.items()):
        own = attempt(name, images_of, run)
        images = images or own
    drop({})
    if images is None and runs:
        raise RunError(
            "no hand-in has the images, dataset.npz; name a run of your own of the same grid beside them."
        )
    for name, run in list(runs.items()):
        attempt(name, require_sound, run, images)
    drop({})
    drop(other_models(runs))
    drop(repeated(runs))
    return runs, reasons


def _images_first(runs: dict[str, Run]) -> list[Run]:
    """Return the runs, one that has the images in front."""
    return sorted(runs.values(), key=lambda run: not run.store.dataset_file.is_file())


def _refuse_other_run(store: Store, found: Sequence[HandIn]) -> None:
    """Raise an error if a folder holds a run, or trials, that were not collected from a class."""
    if any(one.path.resolve().is_relative_to(store.folder.resolve()) for one in found):
        raise RunError(f"{store.folder} holds hand-ins; collect into another folder.")
    if not store.study_file.is_file():
        return
    earlier = Classroom.read(store)
    try:
        study, _ = store.study()
    except RunError:
        if earlier:
            return  # its record is damaged, and is written again
        raise
    seeds = {seed for student in earlier.students for seed in student.seeds} if earlier else set()
    if not set(study.seeds) <= seeds:
        raise RunError(
            f"{store.folder} holds a run that was not collected from a class; name a new folder, and collect "
            "that run with the others if it belongs to them."
        )


def _forget_earlier(store: Store) -> None:
    """Remove what was collected before: it is read again from the hand-ins."""
    with writing(store.folder):
        store.folder.mkdir(parents=True, exist_ok=True)
        if (store.folder / CLASS_FILE).is_file():
            shutil.rmtree(store.folder / "trials", ignore_errors=True)
            for name in ("study.json", "declared.json", "models.json", "dataset.npz"):
                (store.folder / name).unlink(missing_ok=True)
