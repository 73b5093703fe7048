"""The report: what was compared, what came out, and how it was measured, as HTML and Markdown."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ablation.errors import writing
from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.grid.trial import slug
from ablation.report.class_page import class_page
from ablation.report.render import drawing_software, render_html, render_markdown
from ablation.report.sections import study_report
from ablation.report.side_by_side import side_by_side_report
from ablation.results.classroom import CLASS_PAGE, Classroom
from ablation.results.derived import record_derived
from ablation.results.left_out import refuse_outdated
from ablation.results.run import Run
from ablation.store.run_folder import Store

_OLD_TEX = "% The same report for a paper"


def write_report(run: Run, pictures: Sequence[Picture] | None = None, folder: Path | None = None) -> Path:
    """Write ``report.html``, its pictures inside, and ``report.md``; of a class, its page, too.

    A ``report.tex`` that an earlier version wrote beside them is removed, because it would be out of date.

    Args:
        run: The run to report.
        pictures: Its figures, as `draw_figures` returned them; by default they are drawn.
        folder: The folder to write to; by default the run folder.

    Returns:
        The path of the first.

    Raises:
        RunError: The folder cannot be written to.
    """
    with run.store.deriving():
        return _written(run, pictures, folder)


def _written(run: Run, pictures: Sequence[Picture] | None, folder: Path | None) -> Path:
    if pictures is None:
        pictures = draw_figures(run) if run.completed_trials else []
    report = study_report(run, pictures)
    store = _store(run, folder)
    store.write("report.md", render_markdown(report, store.folder))
    if classroom := Classroom.read(run.store):
        store.write(CLASS_PAGE, class_page(run, classroom))
    _remove_old_tex(store.folder)
    written = store.write("report.html", render_html(report, drawing_software()))
    if folder is None:
        record_derived(run)
    return written


def _remove_old_tex(folder: Path) -> None:
    """Remove the LaTeX form of a report, which earlier versions wrote; another file of its name stays."""
    file = folder / "report.tex"
    with writing(folder):
        if file.is_file() and file.read_text("utf-8", errors="replace").startswith(_OLD_TEX):
            file.unlink()


def write_side_by_side(run: Run, other: Run, folder: Path | None = None) -> Path:
    """Write a page that puts another run beside this one; return its path.

    Args:
        run: The first run.
        other: The second.
        folder: The folder to write to; by default the folder of the first run.

    Raises:
        RunError: No trial of the first run is completed, no trial of one of them counts any more, or the
            folder cannot be written to.
    """
    refuse_outdated(other)
    with tempfile.TemporaryDirectory() as drawn:
        pictures = draw_figures(run, folder=Path(drawn, "first"))
        report = side_by_side_report(run, other, pictures, Path(drawn, "second"))
        page = render_html(report, drawing_software(), str(other.folder.resolve()))
    return _store(run, folder).write(f"report_vs_{slug(other.study.name)}.html", page)


def _store(run: Run, folder: Path | None) -> Store:
    """Return where to write: another folder, which is created, or the run's own."""
    if folder is None:
        return run.store
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return Store(folder)
