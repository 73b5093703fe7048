"""The interface for Python and notebooks: a study that runs, and a run that draws and reports itself.

Each method is a thin wrapper around a function of another module, which accepts these objects, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ablation.classroom import collect as classroom_collect
from ablation.classroom.deal import deal as deal
from ablation.export.formats import export_run
from ablation.export.tables import write_tables
from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.grid import study as grid_study
from ablation.grid.grid_file import read_study
from ablation.grid.overrides import overrides_of
from ablation.interchange.pack import pack_run as pack_run
from ablation.report.paper.write import write_paper
from ablation.report.verify import Verification, verify_run
from ablation.report.write import write_report, write_side_by_side
from ablation.results import run as results_run
from ablation.results.gate import Gate as Gate
from ablation.results.notes import run_notes
from ablation.results.overview import list_runs as list_runs
from ablation.results.seal import seal_of
from ablation.results.summary import study_html, summary_html
from ablation.search import results as search_results
from ablation.search import run as search_run
from ablation.search.settings import Search
from ablation.tuning.plan import plan_run
from ablation.tuning.run import run_and_tune
from ablation.workflow import live, merge
from ablation.workflow.audit import audit_pairing
from ablation.workflow.check import check_study
from ablation.workflow.clean import clean_run as clean_run
from ablation.workflow.follow import follow_run as follow_run
from ablation.workflow.gate import run_gate as run_gate
from ablation.workflow.progress import LiveProgress
from ablation.workflow.records import check_record, dry_run_record, run_record
from ablation.workflow.repeat import Repetition, repeat_trial


class Study(grid_study.Study):
    """A study that can be read from a grid file and run."""

    @classmethod
    def from_yaml(
        cls,
        path: str | Path,
        data_dir: str | Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Study:
        """Read and validate a grid file.

        Args:
            path: The grid file.
            data_dir: The folder, archive or .npz file to read the images from, instead of the grid's.
            settings: Settings to put in the place of those of the file, like ``{"training.epochs": 5}``.

        Raises:
            GridError: The file is not a valid grid; the message says where, and what was expected.
        """
        study = read_study(Path(path), data_dir is None, overrides_of(settings))
        return cls.of(study.with_overrides(data_dir=data_dir) if data_dir else study)

    @classmethod
    def of(cls, study: grid_study.Study) -> Study:
        """Return a study as an object of this class."""
        return study if isinstance(study, cls) else cls.model_construct(**dict(study))

    def run(self, out: str | Path | None = None, **options: Any) -> Run:
        """Run what is not finished yet, and show the progress.

        Args:
            out: The run folder; by default ``experiments/runs/<study>``.
            options: The options of `run_study`; an ``observer`` replaces the display of the progress.
        """
        with LiveProgress() as progress:
            return run_study(self, out, **{"observer": progress, **options})

    def check_record(self) -> dict[str, Any]:
        """Return what ``ablation check FILE --json`` prints: sizes, and layers that differ.

        Raises:
            AblationError: The images are missing or not usable, or the study does not fit them.
        """
        return check_record(check_study(self))

    def plan_record(self, out: str | Path | None = None, **options: Any) -> dict[str, Any]:
        """Return what ``ablation run FILE --dry-run --json`` prints: what `run` would train.

        Args:
            out: The run folder; by default ``experiments/runs/<study>``.
            options: The options of `ablation.tuning.plan.plan_run`.
        """
        return dry_run_record(plan_run(self, out, **options))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the question, and how each variant differs from the baseline."""
        return study_html(self)


class Run(results_run.Run):
    """A run folder, finished or not: its tables as DataFrames, its figures and its report.

    Args:
        folder: The run folder, as `run_study` wrote it.

    Raises:
        RunError: The folder is not a run folder.
    """

    study: Study

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self.study = Study.of(self.study)

    @property
    def notes(self) -> list[str]:
        """What to know before trusting the numbers, as notes of one or two sentences each."""
        return run_notes(self)

    def audit(self, trust: bool = False) -> pd.DataFrame:
        """Return `pairing` with the trials that are not trained yet, whose models are built for it.

        Building them runs code that the run names; ``trust`` allows it.
        """
        return audit_pairing(self, trust)

    def write_tables(self) -> None:
        """Write every table as a file; see `ablation.export.tables.write_tables`."""
        write_tables(self)

    def draw_figures(self, only: Sequence[str] = (), folder: str | Path | None = None) -> list[Picture]:
        """Draw the figures as PNG and SVG; see `ablation.figures.drawing.draw_figures`."""
        return draw_figures(self, only, folder)

    def figure(self, name: str) -> Picture:
        """Draw one figure, the first one of that name; a notebook shows it.

        Raises:
            RunError: There is no such figure, or it cannot be drawn; see `draw_figures`.
        """
        return draw_figures(self, [name])[0]

    def write_report(self, pictures: Sequence[Picture] | None = None) -> Path:
        """Write ``report.html`` and ``report.md``; return the path of ``report.html``.

        Args:
            pictures: What `draw_figures` returned; by default, the figures are drawn.
        """
        return write_report(self, pictures)

    def write_paper(self, folder: str | Path | None = None) -> Path:
        """Write the pieces of a paper into ``paper/``; return the path of ``paper.tex``.

        Args:
            folder: The folder in which ``paper/`` is written; by default the run folder.
        """
        return write_paper(self, Path(folder) if folder else None)

    def write_side_by_side(self, other: results_run.Run) -> Path:
        """Write a page that puts another run beside this one; return its path."""
        return write_side_by_side(self, other)

    def export(self, *formats: str, tracking_uri: str | None = None) -> list[str]:
        """Write the run for other tools; see `ablation.export.formats.export_run`."""
        return export_run(self, formats, tracking_uri)

    def verify(self, report: str | Path | None = None, seal: str = "") -> Verification:
        """Compare tables and reports with the trials; see `ablation.report.verify.verify_run`."""
        return verify_run(self, Path(report) if report else None, seal)

    def seal(self) -> str:
        """Return one digest of all trials and the declared study; see `ablation.results.seal.seal_of`."""
        return seal_of(self)

    def record(self, command: str = "status") -> dict[str, Any]:
        """Return what ``ablation COMMAND RUN --json`` prints; see `ablation.workflow.records`.

        Args:
            command: ``status``, ``compare``, ``plan``, ``audit`` or ``verify``.

        Raises:
            RunError: There is no such record, or no report to verify.
        """
        return run_record(self, command)

    def pack(self, out: str | Path | None = None, models: bool = False) -> Path:
        """Write the run as a pack for others; see `ablation.interchange.pack.pack_run`."""
        return pack_run(self, out, models)

    def repeat(self, trial_id: str | None = None, executor: str = "local") -> Repetition:
        """Train a trial again and compare every bit; see `ablation.workflow.repeat.repeat_trial`."""
        return repeat_trial(self, trial_id, executor)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the accuracies of each variant and the verdicts."""
        return summary_html(self)


def run_study(study: grid_study.Study, out: str | Path | None = None, **options: Any) -> Run:
    """Train what is not finished, write the tables, draw the figures and write the report.

    Arguments and errors are those of `ablation.tuning.run.run_and_tune`.
    """
    return Run(run_and_tune(study, out, **options).folder)


class SearchRun(search_results.SearchRun):
    """The folder of a search, whose runs draw and report themselves.

    Args:
        folder: The folder, as `run_search` wrote it.

    Raises:
        RunError: The folder is not the folder of a search, or its record is damaged.
    """

    run_class = Run


def run_search(search: Search, out: str | Path | None = None, **options: Any) -> SearchRun:
    """Search, confirm the best settings with fresh seeds, and write the report.

    Arguments and errors are those of `ablation.search.run.run_search`.
    """
    return SearchRun(search_run.run_search(search, out, **options).folder)


def merge_runs(folders: Sequence[str | Path], out: str | Path) -> Run:
    """Merge runs of one study into one folder.

    Arguments and errors are those of `ablation.workflow.merge.merge_runs`.
    """
    return Run(merge.merge_runs(folders, out).folder)


def watch_run(folder: str | Path, on_page: Callable[[Path], object] | None = None) -> Path:
    """Follow a run that any process trains: write its ``live.html``, and renew it until the run has ended.

    Arguments, result and errors are those of `ablation.workflow.live.watch_run`.
    """
    return live.watch_run(folder, on_page)


def collect(hand_ins: Sequence[str | Path], out: str | Path) -> Run:
    """Check what the students of a class handed in, and merge what is sound into one run.

    Arguments and errors are those of `ablation.classroom.collect.collect`.
    """
    return Run(classroom_collect.collect(hand_ins, out).folder)
