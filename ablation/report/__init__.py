"""The report: what was compared, what came out, and how it was measured, as HTML, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.figures import Picture
from ablation.report.render import drawing_software, render_html, render_markdown, render_tex
from ablation.report.sections import study_report
from ablation.report.side_by_side import side_by_side_report
from ablation.report.verify import Difference, Verification, verify_run
from ablation.trial import slug

if TYPE_CHECKING:
    from ablation.run import Run

__all__ = [
    "Difference", "Verification", "study_report", "verify_run", "write_report", "write_side_by_side",
]  # fmt: skip


def write_report(run: Run, pictures: Sequence[Picture]) -> Path:
    """Write ``report.html``, which contains its pictures, ``report.md`` and ``report.tex``.

    Args:
        run: The run to report.
        pictures: Its figures, as `ablation.figures.draw_figures` returned them.

    Returns:
        The path of ``report.html``.
    """
    report = study_report(run, pictures)
    run.store.write_text("report.md", render_markdown(report, run.folder))
    run.store.write_text("report.tex", render_tex(report, run.folder))
    return run.store.write_text("report.html", render_html(report, drawing_software()))


def write_side_by_side(run: Run, other: Run, pictures: Sequence[Picture], folder: Path) -> Path:
    """Write a page that shows two runs side by side into the first run's folder.

    Args:
        run: The first run.
        other: The second run.
        pictures: The first run's figures.
        folder: The folder in which the second run's figures are drawn.

    Returns:
        The path of the page.
    """
    report = side_by_side_report(run, other, pictures, folder)
    page = render_html(report, drawing_software(), str(other.folder.absolute()))
    return run.store.write_text(f"report_vs_{slug(other.study.name)}.html", page)
