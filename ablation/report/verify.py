"""Is every number of a report what the trials say? Recomputed from the run folder, and compared."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from shlex import quote

import pandas as pd

from ablation.analysis.trial_tables import table_text
from ablation.errors import RunError
from ablation.export.parquet import PARQUET, has_parquet
from ablation.figures.drawing import draw_figures
from ablation.figures.style import DrawnPictures
from ablation.grid.value_text import several
from ablation.report.class_page import class_page
from ablation.report.document import Report
from ablation.report.page import Page, Pieces, numbered, only_facts
from ablation.report.paper.verify import paper_files, paper_pieces
from ablation.report.record_sections import lists_all_trials
from ablation.report.render import REPORT_VERSION, drawing_software, render_html, render_markdown
from ablation.report.sections import study_report
from ablation.report.side_by_side import side_by_side_report
from ablation.results.classroom import CLASS_FILE, CLASS_PAGE, Classroom
from ablation.results.contradictions import contradiction
from ablation.results.derived import missing_derived
from ablation.results.left_out import refuse_outdated
from ablation.results.run import TABLES, Run
from ablation.results.seal import require_seal, seal_of
from ablation.store.manifest import MANIFEST, changed_since_packed, packed_files

_OF_TRIALS = ("results", "history")  # tables that depend on no rule
_OLDER_VERSIONS = [str(version) for version in range(1, REPORT_VERSION)]
_OLDER = (
    "of reports and tables that an older version of ablation wrote, only the trials are compared, because "
    "comparisons were judged by other rules; `ablation report` writes them again"
)
_NOTHING: tuple[Pieces, Pieces, str] = [], [], _OLDER  # is compared of an older report of very many trials


@dataclass(frozen=True)
class Difference:
    """A place where a report is not what the run folder says.

    Attributes:
        where: The file, and the place in it.
        found: The text that is there; empty if something is missing.
        expected: The text that the run folder gives; empty if nothing should be there.
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
        files: The files that were compared; of a packed run, its manifest is the last one.
        numbers: How many pieces of text and pictures agree, and files with a packed run's manifest.
        skipped: What was not compared, and why; empty if everything was.
    """

    differences: list[Difference]
    files: list[Path]
    numbers: int
    skipped: str


def verify_run(run: Run, report: Path | None = None, seal: str = "") -> Verification:
    """Recompute a run's tables, figures and reports, and compare them with the files.

    Of each trial, the metrics are computed from its kept predictions, and the batch orders from its seed.
    Each file of a packed run is also compared with its hash in the manifest.

    Args:
        run: The run that the files are of.
        report: A report.html to compare, wherever it lies; by default every report and table of the run.
        seal: The digest that `seal_of` gave when the run was sealed, if it was.

    Raises:
        RunError: There is no report, no trial counts any more, the images are missing, or the seal is none.
    """
    files = [report] if report else _written(run)
    paper = [] if report else paper_files(run.folder)
    if not [*files, *paper] or not all(file.is_file() for file in files):
        writes = f"`ablation report {quote(str(run.folder))}` writes one"
        raise RunError(f"{report or run.folder}: there is no report; {writes}.")
    if seal:
        require_seal(seal)
    refuse_outdated(run)
    differences = [*_of_seal(run, seal), *_of_trials(run)]
    packed, of_pack = ({}, {}) if report else (packed_files(run.folder), changed_since_packed(run.folder))
    differences += [Difference(name, change, "") for name, change in of_pack.items()]
    agreed, notes, compared = 0, dict[str, None](), dict[str, tuple[Pieces, Pieces, str]]()
    with tempfile.TemporaryDirectory() as folder:
        is_drawn = run.completed_trials and any(map(_has_pictures, files))
        pictures = draw_figures(run, folder=folder) if is_drawn else DrawnPictures()
        for file in files:
            compare = _class_page if file.name == CLASS_PAGE else _page if file.suffix == ".html" else _lines
            compared[file.name] = compare(run, file, pictures, Path(folder, file.stem))
        compared |= paper_pieces(run, paper, Path(folder)) if paper else {}
    for name, (says, should_say, note) in compared.items():
        of_file = list(_differences(name, says, should_say))
        differences += of_file
        agreed += len(should_say) - len(of_file)
        notes |= {note: None} if note else {}
    notes |= {} if report else dict.fromkeys(_not_there(run))
    manifest = [run.folder / MANIFEST] if packed or of_pack else []
    agreed += len(packed) - len(packed.keys() & of_pack.keys())
    return Verification(differences, [*files, *paper, *manifest], agreed, "; ".join(notes))


def _of_seal(run: Run, seal: str) -> Iterator[Difference]:
    """Yield a difference if a run is no longer what it was when it was sealed."""
    if not seal:
        return
    try:
        now = seal_of(run)
    except RunError as error:
        yield Difference("the seal", str(error).rstrip("."), "")
    else:
        if now != seal:
            yield Difference("the seal", seal, now)


def _of_trials(run: Run) -> Iterator[Difference]:
    """Yield what is wrong with trials: with their files, or with what their predictions and settings say."""
    for trial in run.trials:
        where, result = f"trial {trial.id}", run.trial_results.get(trial.id)
        if damage := run.store.damage(trial):
            yield Difference(where, f"{damage}: damaged or edited since it was written", "")
        elif (
            result
            and result.status in ("completed", "diverged")
            and (problem := contradiction(run.store, trial, result, run.dataset))
        ):
            yield Difference(where, f"{problem}: edited since it was trained", "")


def _has_pictures(file: Path) -> bool:
    return file.suffix in (".html", ".md", ".tex") and file.name != CLASS_PAGE


def _written(run: Run) -> list[Path]:
    names = [*(path.name for path in sorted(run.folder.glob("report*.html"))), "report.md", "report.tex"]
    names += [CLASS_PAGE] if Classroom.read(run.store) else []
    names += [f"{table}.csv" for table in TABLES]
    names += [f"{table}.parquet" for table in PARQUET if has_parquet()]
    return [run.folder / name for name in names if (run.folder / name).is_file()]


def _not_there(run: Run) -> Iterator[str]:
    """Say which files that were written with the report are no longer there."""
    if missing := missing_derived(run.folder):
        writes = f"`ablation report {quote(str(run.folder))}` writes what is missing"
        yield f"not compared, because missing: {several(missing, 'file')}; {writes}"


def _page(run: Run, file: Path, pictures: DrawnPictures, folder: Path) -> tuple[Pieces, Pieces, str]:
    """Return what a page says, what it should say, and what of it is not compared."""
    found = Page(file.read_text("utf-8", errors="replace"))
    drawn_with, other = found.meta.get("drawn-with", ""), found.meta.get("compared-with", "")
    report = side_by_side_report(run, Run(other), pictures, folder) if other else study_report(run, pictures)
    expected = Page(render_html(report, drawn_with, other))
    if found.meta.get("report-version", "1") in _OLDER_VERSIONS:
        return (found.trial_facts, expected.trial_facts, _OLDER) if lists_all_trials(run) else _NOTHING
    if drawn_with != drawing_software():
        note = f"figures are not compared: drawn with {drawn_with or 'unknown software'}, and this is "
        return found.without_pictures, expected.without_pictures, note + drawing_software()
    return found.pieces, expected.pieces, ""


def _class_page(run: Run, file: Path, _: DrawnPictures, __: Path) -> tuple[Pieces, Pieces, str]:
    """Return what the page of a class says, what it should say, and what of it is not compared.

    It is compared line by line, so that the places in its drawing are, too.
    """
    classroom = Classroom.read(run.store)
    if classroom is None:
        raise RunError(f"{file} is the page of a class, and {run.folder} has no {CLASS_FILE}.")
    found = _text_of(file)
    version = Page(found).meta.get("report-version", "")
    if version in _OLDER_VERSIONS:
        return [], [], _OLDER
    return numbered(found), numbered(class_page(run, classroom)), ""


def _lines(run: Run, file: Path, pictures: DrawnPictures, _: Path) -> tuple[Pieces, Pieces, str]:
    """Return what a file of lines says, what it should say, and what of it is not compared."""
    if file.suffix in (".csv", ".parquet"):
        if file.stem not in _OF_TRIALS and _is_older(run):
            return [], [], _OLDER
        return numbered(_text_of(file)), numbered(run.table_text(file.stem)), ""
    report = study_report(run, pictures.moved(run.figures_folder))
    if file.suffix == ".tex" and not lists_all_trials(run):
        return _NOTHING
    if file.suffix == ".tex":
        return _trial_lines(numbered(_text_of(file))), _rows_in_tex(report), _OLDER
    found, expected = numbered(_text_of(file)), numbered(render_markdown(report, run.folder))
    version = re.search(r"report version (\d+)", _text_of(file), re.IGNORECASE)
    if (version[1] if version else "1") not in _OLDER_VERSIONS:
        return found, expected, ""
    return (_trial_lines(found), _trial_lines(expected), _OLDER) if lists_all_trials(run) else _NOTHING


def _rows_in_tex(report: Report) -> Pieces:
    """Return the facts in the table of the trials as earlier versions wrote it to ``report.tex``."""
    (table,) = report.sections[-1].tables
    rows = [table.headings, *([cell.text for cell in row] for row in table.rows)]
    return only_facts([(f"trial {k}", " & ".join(map(_as_old_tex, row))) for k, row in enumerate(rows, 1)])


def _as_old_tex(text: str) -> str:
    """Return a text with the digits and signs that earlier versions wrote for it as LaTeX."""
    letters = (c if ord(c) < 0x250 or c in "−–…★→" else f"U+{ord(c):04X}" for c in text.replace("%", r"\%"))
    return "".join(letters)


def _trial_lines(pieces: Pieces) -> Pieces:
    """Return the facts in the table of the trials, the last one of a report."""
    headings = [
        k for k, (_, line) in enumerate(pieces) if re.fullmatch(r"(## |\\section\*?\{)Trials\}?", line)
    ]
    rows = pieces[headings[-1] :] if headings else []
    return only_facts([(place, line) for place, line in rows if re.search(r"^\| | & ", line)])


def _is_older(run: Run) -> bool:
    """Return whether an older version wrote the tables, whose comparisons had fewer columns."""
    file = run.folder / "comparisons.csv"
    if not file.is_file():
        return False
    found, now = (
        text.partition("\n")[0].split(",") for text in (_text_of(file), run.table_text("comparisons"))
    )
    return set(found) < set(now)


def _text_of(file: Path) -> str:
    """Return a file's text; of a Parquet file that of the table in it, empty where it cannot be read."""
    if file.suffix != ".parquet":
        return file.read_text("utf-8", errors="replace")
    try:
        return table_text(pd.read_parquet(file))
    except (OSError, ValueError):
        return ""


def _differences(file: str, found: Pieces, expected: Pieces) -> Iterator[Difference]:
    """Yield where two sequences of pieces, each a place and what stands there, are not the same."""
    texts = [piece for _, piece in found], [piece for _, piece in expected]
    if len(found) == len(expected):  # nothing is missing or new
        blocks = [(k, k + 1, k, k + 1) for k in range(len(found)) if texts[0][k] != texts[1][k]]
    else:
        codes = SequenceMatcher(None, *texts).get_opcodes()
        blocks = [(a, b, c, d) for kind, a, b, c, d in codes if kind != "equal"]
    for start, end, begin, finish in blocks:
        left, right = found[start:end], expected[begin:finish]
        for k in range(max(len(left), len(right))):
            place = (left[k] if k < len(left) else right[k])[0]
            says, should = (side[k][1] if k < len(side) else "nothing" for side in (left, right))
            yield Difference(f"{file}, {place}", says, should)
