"""The files of a run that other tools keep as they are: its report, its tables and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ablation.digest import short_digest
from ablation.results.run import TABLES, Run


@dataclass(frozen=True)
class ResultsFiles:
    """The files that exist.

    Attributes:
        documents: The reports and the tables.
        pictures: The figures as bitmaps.
    """

    documents: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """A hash of the names and the contents of all files."""
        contents = (f"{f.name} {short_digest(f.read_bytes())}" for f in (*self.documents, *self.pictures))
        return short_digest("\n".join(contents), 16)


def results_files(run: Run) -> ResultsFiles:
    """Return the report, the tables and the figures of a run, as far as they are written."""
    names = ("report.html", "report.md", *(f"{table}.csv" for table in TABLES))
    documents = (run.folder / name for name in names)
    return ResultsFiles(
        tuple(file for file in documents if file.is_file()), tuple(sorted(run.figures_folder.glob("*.png")))
    )
