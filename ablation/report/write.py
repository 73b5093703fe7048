"""The report: what was compared, what came out, and how it was measured, as HTML, Markdown and LaTeX."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.grid.trial import slug
from ablation.report.render import drawing_software, render_html, render_markdown, render_tex
from ablation.report.sections import study_report
from ablation.report.side_by_side import side_by_side_report
from ablation.results.run import Run


def write_report(run: Run, pictures: Sequence[Picture] | None = None) -> Path:
    """Write ``report.html``, its pictures inside, ``report.md`` and ``report.tex``.

    Args:
        run: The run to report.
        pictures: Its figures, as `draw_figures` returned them; by default they are drawn.

    Returns:
        The path of the first.
    """
    if pictures is None:
        pictures = draw_figures(run) if run.completed_trials else []
    report = study_report(run, pictures)
    run.store.write("report.md", render_markdown(report, run.folder))
    run.store.write("report.tex", render_tex(report, run.folder))
    return run.store.write("report.html", render_html(report, drawing_software()))


def write_side_by_side(run: Run, other: Run) -> Path:
    """Write a page that puts another run beside this one into this run's folder; return its path.

    Args:
        run: The first run.
        other: The second.

    Raises:
        RunError: No trial of the first run is completed.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_figures(run, folder=Path(folder, "first"))
        report = side_by_side_report(run, other, pictures, Path(folder, "second"))
        page = render_html(report, drawing_software(), str(other.folder.absolute()))
    return run.store.write(f"report_vs_{slug(other.study.name)}.html", page)
