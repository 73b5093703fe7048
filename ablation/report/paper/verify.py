"""Is every number of a paper what the trials say? Its files are written once more, and compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ablation.digest import short_digest
from ablation.figures.column import column_drawings
from ablation.report.page import Pieces, numbered
from ablation.report.paper.write import FOLDER, NAMES, PAPER_VERSION, paper_texts, write_figures
from ablation.report.render import drawing_software
from ablation.results.run import Run

_OLDER = (
    "the paper is not compared, because another version of ablation wrote it; `ablation report --paper` "
    "writes it again"
)


def paper_files(run_folder: Path) -> list[Path]:
    """Return the files of a run's paper that exist; others that lie beside them are not among them."""
    return [file for name in NAMES if (file := run_folder / FOLDER / name).is_file()]


def paper_pieces(run: Run, files: Sequence[Path], scratch: Path) -> dict[str, tuple[Pieces, Pieces, str]]:
    """Return what the files of a paper say, what they should say, and what of them is not compared, by name.

    Args:
        run: The run.
        files: The files, as `paper_files` returned them.
        scratch: A folder that may be written to.
    """
    folder = run.folder / FOLDER
    document = folder / "paper.tex"
    head = document.read_text("utf-8", errors="replace")[:1000] if document.is_file() else ""
    version = re.search(r"Paper version (\d+)\.", head)
    if version and version[1] != str(PAPER_VERSION):
        return {FOLDER: ([], [], _OLDER)}
    recorded = re.search(r"Figures drawn with (.+)\.$", head, re.MULTILINE)
    drawn_with = recorded[1] if recorded else drawing_software()
    drawings = column_drawings(run) if run.completed_trials else []
    texts = paper_texts(run, drawings, drawn_with) if run.completed_trials else {}
    figures = {file.name: file for file in write_figures(drawings, scratch / FOLDER)}
    pieces: dict[str, tuple[Pieces, Pieces, str]] = {}
    for file in files:
        name = f"{FOLDER}/{file.relative_to(folder).as_posix()}"
        if file.suffix != ".pdf":
            found = file.read_text("utf-8", errors="replace")
            pieces[name] = numbered(found), numbered(texts.get(file.name, "")), ""
        elif drawn_with == drawing_software():
            pieces[name] = _drawing(file), _drawing(figures.get(file.name)), ""
        else:
            here = drawing_software()
            note = f"figures of the paper are not compared: drawn with {drawn_with}, and this is {here}"
            pieces[name] = [], [], note
    return pieces


def _drawing(file: Path | None) -> Pieces:
    return [("the figure", f"drawing {short_digest(file.read_bytes(), 12)}")] if file else []
