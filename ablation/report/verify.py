"""Is every number of a report what the trials say? Recomputed from the run folder, and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from ablation.analysis.trial_tables import table_text
from ablation.digest import short_digest
from ablation.errors import RunError
from ablation.export.parquet import PARQUET, has_parquet
from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.report.render import drawing_software, render_html, render_markdown, render_tex
from ablation.report.sections import study_report
from ablation.report.side_by_side import side_by_side_report
from ablation.results.run import TABLES, Run

_SHOWN = ("alt", "content", "data-trials", "data-value", "href", "id")
_VOID = ("br", "img", "link", "meta")


@dataclass(frozen=True)
class Difference:
    """A place where a report is not what the run folder says.

    Attributes:
        where: The file, and the place in it.
        found: What stands there; empty where something is missing.
        expected: What the run folder says; empty where nothing should be there.
    """

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        """The difference as a sentence."""
        if not self.expected:
            return f"{self.where}: {self.found}"
        return f"{self.where}: says '{self.found}', the trials say '{self.expected}'"


@dataclass(frozen=True)
class Verification:
    """What verifying found.

    Attributes:
        differences: All of them, damaged trials first.
        files: The files that were compared.
        numbers: How many pieces of text and pictures agree.
        skipped: Why pictures were not compared; empty if they were.
    """

    differences: list[Difference]
    files: list[Path]
    numbers: int
    skipped: str


def verify_run(run: Run, report: Path | None = None) -> Verification:
    """Recompute a run's tables, figures and reports, and compare them with the files.

    Args:
        run: The run that the files are of.
        report: A report.html to compare, wherever it lies; by default every report and table of the run.

    Raises:
        RunError: There is no report, or no trial is completed.
    """
    files = [report] if report else _written(run)
    if not files or not all(file.is_file() for file in files):
        raise RunError(f"{report or run.folder}: there is no report; `ablation report` writes one.")
    differences = [
        Difference(f"trial {trial.id}", f"{damage}: damaged or edited since it was written", "")
        for trial in run.trials
        if (damage := run.store.damage(trial))
    ]
    agreed, skipped = 0, ""
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_figures(run, folder=folder) if run.completed_trials else []
        for file in files:
            if file.suffix == ".html":
                found, count, skipped = _compare_page(run, file, pictures, Path(folder, file.stem))
            else:
                found, count = _compare_lines(run, file, pictures)
            differences += found
            agreed += count
    return Verification(differences, files, agreed, skipped)


def _written(run: Run) -> list[Path]:
    names = [*(path.name for path in sorted(run.folder.glob("report*.html"))), "report.md", "report.tex"]
    names += [f"{table}.csv" for table in TABLES]
    names += [f"{table}.parquet" for table in PARQUET if has_parquet()]
    return [run.folder / name for name in names if (run.folder / name).is_file()]


def _compare_page(
    run: Run, file: Path, pictures: Sequence[Picture], folder: Path
) -> tuple[list[Difference], int, str]:
    found = _Page(file.read_text("utf-8", errors="replace"))
    drawn_with, other = found.meta.get("drawn-with", ""), found.meta.get("compared-with", "")
    report = side_by_side_report(run, Run(other), pictures, folder) if other else study_report(run, pictures)
    expected = _Page(render_html(report, drawn_with, other))
    skipped = ""
    if drawn_with != drawing_software():
        skipped = f"pictures are not compared: drawn with {drawn_with or 'nobody knows what'}, "
        skipped += f"and this is {drawing_software()}"
        found.forget_pictures()
        expected.forget_pictures()
    differences = list(_differences(file.name, found.pieces, expected.pieces))
    return differences, len(expected.pieces) - len(differences), skipped


def _compare_lines(run: Run, file: Path, pictures: Sequence[Picture]) -> tuple[list[Difference], int]:
    if file.suffix in (".csv", ".parquet"):
        text = run.table_text(file.stem)
    else:
        report = study_report(run, [replace(picture, folder=run.figures_folder) for picture in pictures])
        text = (render_markdown if file.suffix == ".md" else render_tex)(report, run.folder)
    found, expected = (
        [(f"line {number}", line) for number, line in enumerate(lines.splitlines(), 1)]
        for lines in (_text_of(file), text)
    )
    differences = list(_differences(file.name, found, expected))
    return differences, len(expected) - len(differences)


def _text_of(file: Path) -> str:
    """Return a file's text; of a Parquet file that of the table in it, empty where it cannot be read."""
    if file.suffix != ".parquet":
        return file.read_text("utf-8", errors="replace")
    try:
        return table_text(pd.read_parquet(file))
    except (OSError, ValueError):
        return ""


def _differences(
    file: str, found: Sequence[tuple[str, str]], expected: Sequence[tuple[str, str]]
) -> Iterator[Difference]:
    """Yield where two sequences of pieces, each a place and what stands there, are not the same."""
    texts = [piece for _, piece in found], [piece for _, piece in expected]
    if len(found) == len(expected):  # nothing is missing or new
        blocks = [(k, k + 1, k, k + 1) for k in range(len(found)) if texts[0][k] != texts[1][k]]
    else:
        codes = SequenceMatcher(None, *texts).get_opcodes()
        blocks = [(a, b, c, d) for kind, a, b, c, d in codes if kind != "equal"]
    for start, end, begin, finish in blocks:
        own, other = found[start:end], expected[begin:finish]
        for k in range(max(len(own), len(other))):
            place = (own[k] if k < len(own) else other[k])[0]
            says, should = (side[k][1] if k < len(side) else "nothing" for side in (own, other))
            yield Difference(f"{file}, {place}", says, should)


class _Page(HTMLParser):
    """All that a page shows, piece by piece, each with the place where it stands."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[tuple[str, str]] = []
        self.meta: dict[str, str] = {}
        self._open: list[str] = []
        self._section = "summary"
        self._headings: list[str] = []
        self._row: list[str] = []
        self.feed(text)
        self.close()

    def forget_pictures(self) -> None:
        """Leave the bitmaps out."""
        self.pieces = [(where, what) for where, what in self.pieces if not what.startswith("bitmap ")]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep what an element's attributes tell a reader."""
        own = {name: value or "" for name, value in attributes}
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "meta" and "name" in own:
            self.meta[own["name"]] = own.get("content", "")
        if tag == "thead":
            self._headings = []
        if tag == "tr":
            self._row = []
        if tag in ("td", "th"):
            self._row.append("")
        source = own.get("src", "")
        if source:
            digest = short_digest(source, 12)
            what = own.get("alt", "").split(":")[0][:40]
            self.pieces.append((f"{self._place()}, the picture '{what}'", f"bitmap {digest}"))
        self.pieces += [(self._place(), own[name]) for name in _SHOWN if own.get(name)]

    def handle_endtag(self, tag: str) -> None:
        """Step out of an element."""
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Keep text, and what of it says where one is."""
        text = " ".join(data.split())
        if not text:
            return
        if "h2" in self._open:
            self._section = text
        if self._row and ("td" in self._open or "th" in self._open):
            self._row[-1] = self._row[-1] or text  # the small print below is no part of its name
            if "thead" in self._open:
                self._headings.append(text)
        self.pieces.append((self._place(), text))

    def _place(self) -> str:
        """Say where one is: the section, and in a table row and column."""
        if "tbody" not in self._open or not self._row:
            return self._section
        column = len(self._row) - 1
        heading = self._headings[column] if column < len(self._headings) else f"column {column + 1}"
        return f"{self._section}, row {self._row[0] or '?'}, {heading}"
