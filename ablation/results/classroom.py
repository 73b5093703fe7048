"""What a run that was collected from a class knows of its students, and what each of them alone would say."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from ablation.analysis.estimates import Measurements
from ablation.analysis.sign_errors import SIGN_COLUMNS, sign_errors
from ablation.files import DAMAGED, json_text, read_json
from ablation.grid.value_text import counted
from ablation.results.run import Run
from ablation.store.restoring import CLASS
from ablation.store.run_folder import Store

CLASS_FILE = CLASS
CLASS_PAGE = "class.html"
STUDENT_COLUMNS = ["student", "variant", "n", "difference"]


@dataclass(frozen=True)
class Student:
    """A student whose hand-in counts, with the seeds of the trials that it brought."""

    name: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class SetAside:
    """A hand-in that does not count, and why, as a sentence without its first word: the name."""

    name: str
    reason: str

    def __str__(self) -> str:
        """The name and the reason, as they are shown."""
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Classroom:
    """The hand-ins of a class: those that count, in the order in which they were given, and the others."""

    students: tuple[Student, ...]
    set_aside: tuple[SetAside, ...] = ()

    def write(self, store: Store) -> None:
        """Write the record to a run folder.

        Raises:
            RunError: It cannot be written.
        """
        store.write(CLASS_FILE, json_text(asdict(self)))

    @classmethod
    def read(cls, store: Store) -> Classroom | None:
        """Read the record of a run folder; None if the run was not collected from a class."""
        try:
            record = read_json(store.folder / CLASS_FILE)
            students = tuple(
                Student(str(s["name"]), tuple(int(seed) for seed in s["seeds"])) for s in record["students"]
            )
            aside = tuple(SetAside(str(s["name"]), str(s["reason"])) for s in record["set_aside"])
            return cls(students, aside)
        except DAMAGED:
            return None


def differences_by_student(run: Run, classroom: Classroom) -> pd.DataFrame:
    """Return what each student alone would say of each variant.

    Returns:
        `STUDENT_COLUMNS`, one row per student and variant other than the baseline: the mean ``difference``,
        variant minus baseline, over the ``n`` seeds of the student whose two trials completed in one
        environment; NaN if there are none.
    """
    measured, baseline = Measurements(run.results, run.compare.metric), run.study.baseline
    rows = []
    for variant in (v.name for v in run.study.variants if v.name != baseline):
        by_seed = _by_seed(measured, variant, baseline)
        for student in classroom.students:
            own = [by_seed[seed] for seed in student.seeds if seed in by_seed]
            rows.append((student.name, variant, len(own), float(np.mean(own)) if own else np.nan))
    return pd.DataFrame(rows, columns=STUDENT_COLUMNS)


def signs_of_few(run: Run) -> pd.DataFrame:
    """Return how often a few seeds give a variant another sign than all seeds; see `sign_errors`.

    Returns:
        One row per variant other than the baseline and number of pairs: ``variant`` and the columns of
        `sign_errors`.
    """
    measured, baseline = Measurements(run.results, run.compare.metric), run.study.baseline
    tables = [pd.DataFrame(columns=["variant", *SIGN_COLUMNS])]
    for variant in (v.name for v in run.study.variants if v.name != baseline):
        table = sign_errors(np.array(list(_by_seed(measured, variant, baseline).values()), np.float64))
        tables.append(table.assign(variant=variant)[["variant", *SIGN_COLUMNS]])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def environments(run: Run) -> int:
    """Return the number of environments that the completed trials ran in."""
    completed = run.results[run.results["status"] == "completed"]
    return int(completed["provenance"].nunique())


def class_notes(run: Run) -> list[str]:
    """Say that a run was collected from a class, and how many hand-ins were set aside; nobody is named."""
    classroom = Classroom.read(run.store)
    if classroom is None:
        return []
    aside = len(classroom.set_aside)
    verb = "was" if aside == 1 else "were"
    rest = f"; {counted(aside, 'hand-in')} {verb} set aside, with the reason in {CLASS_FILE}" if aside else ""
    return [
        f"The trials were collected from {counted(len(classroom.students), 'hand-in')} of a class{rest}. "
        "class.html shows what each student alone would have concluded."
    ]


def _by_seed(measured: Measurements, variant: str, baseline: str) -> dict[int, float]:
    """Return the difference from the baseline, by seed."""
    pair = (variant, baseline)
    values = measured.values(pair)
    return dict(zip(measured.seeds(pair), (values[:, 0] - values[:, 1]).tolist(), strict=True))
