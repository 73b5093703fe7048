"""The folder of a paper: its pieces, and one small document that takes all of them in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablation.errors import RunError, writing
from ablation.figures.catalogue import texts_of
from ablation.figures.column import COLUMN_FIGURES, column_drawings, write_pdf
from ablation.figures.fonts import warn_of_missing_characters
from ablation.figures.style import Drawing
from ablation.files import write_atomically
from ablation.report.paper.checklist import checklist_markdown, checklist_tex
from ablation.report.paper.latex import breakable, tex
from ablation.report.paper.methods import methods
from ablation.report.paper.references import bibliography, cited
from ablation.report.paper.tables import effects_table, variants_table
from ablation.report.render import drawing_software, render_paper
from ablation.results.run import Run

FOLDER = "paper"
PAPER_VERSION = 1
"""Raised whenever the wording of a paper changes: one of another version is not compared."""
NAMES = (
    "paper.tex", "methods.tex", "table.tex", "effects.tex", "figures.tex", "checklist.tex", "checklist.md",
    "references.bib", *(f"figures/{name}.pdf" for name in COLUMN_FIGURES),
)  # fmt: skip
"""All files that a paper can have, in its folder."""


def write_paper(run: Run, folder: Path | None = None) -> Path:
    """Write what a paper takes of a run into a folder named ``paper``.

    Args:
        run: The run. If trials are pending, the pieces say so.
        folder: The folder in which to write it; by default the run folder.

    Returns:
        The path of ``paper.tex``.

    Raises:
        RunError: No trial is completed, or the folder cannot be written to.
    """
    if not run.completed_trials:
        raise RunError(f"{run.folder}: no trial is completed yet, so there is nothing to write a paper from.")
    target = (folder or run.folder) / FOLDER
    warn_of_missing_characters(texts_of(run))
    drawings = column_drawings(run)
    texts = paper_texts(run, drawings, drawing_software())
    with writing(target), run.store.deriving():
        target.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_atomically(target / name, text)
        written = [*texts, *(file.relative_to(target).as_posix() for file in write_figures(drawings, target))]
        for name in NAMES:  # of an earlier state of the study
            if name not in written:
                (target / name).unlink(missing_ok=True)
    return target / "paper.tex"


def write_figures(drawings: Sequence[Drawing], folder: Path) -> list[Path]:
    """Write the figures of a paper as PDF into the subfolder ``figures``; return their paths."""
    return [write_pdf(drawing, folder / "figures") for drawing in drawings]


def paper_texts(run: Run, drawings: Sequence[Drawing], drawn_with: str) -> dict[str, str]:
    """Return the text files of a paper by name.

    Args:
        run: The run.
        drawings: Its figures, of which the captions are used.
        drawn_with: The software that draws them; it is recorded.
    """
    pieces = {
        "table.tex": variants_table(run),
        "effects.tex": effects_table(run),
        "methods.tex": methods(run),
        "figures.tex": "\n".join(map(_figure, drawings)),
        "checklist.tex": checklist_tex(run),
    }
    pieces = {name: text for name, text in pieces.items() if text or name == "figures.tex"}
    tables = ["tab:ablation", *(["tab:effects"] if "effects.tex" in pieces else [])]
    title = breakable(run.study.question or run.study.name)
    return pieces | {
        "checklist.md": checklist_markdown(run),
        "references.bib": bibliography(cited(pieces.values())),
        "paper.tex": render_paper(
            title=title, tables=tables, version=PAPER_VERSION, drawn_with=tex(drawn_with)
        ),
    }


def _figure(drawing: Drawing) -> str:
    lines = [
        r"\begin{figure}[t]",
        r"\centering",
        rf"\includegraphics[width=\columnwidth]{{figures/{drawing.name}.pdf}}",
        rf"\caption{{{breakable(drawing.caption)}}}",
        rf"\label{{fig:{drawing.name.replace('_', '-')}}}",
        r"\end{figure}",
        "",
    ]
    return "\n".join(lines)
