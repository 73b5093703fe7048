"""What a report is made of, whatever it is written in: sections of text, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ablation.figures.style import Picture

_CODE = "\x02", "\x03"  # no name can hold them, so that a name is never taken for markup


def code(text: str) -> str:
    """Mark text to be set as code."""
    return f"{_CODE[0]}{text}{_CODE[1]}"


@dataclass(frozen=True)
class Cell:
    """A cell of a table, as it is shown.

    Attributes:
        text: What it says.
        note: Small print below it.
        value: What it is sorted by, where that is not its text.
        trials: The trials behind it, by their place in the list of trials.
        kind: The verdict that it gives, or ``row`` for a heading of its row.
    """

    text: str
    note: str = ""
    value: float | None = None
    trials: tuple[int, ...] = ()
    kind: str = ""

    @property
    def sources(self) -> str:
        """The trials, shortly: ``0-4 10``."""
        return ranges(self.trials)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headings: One a column.
        rows: Their cells.
        caption: What it is.
        highlighted: The row of the baseline.
        sortable: A reader may sort it.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    highlighted: int | None = None
    sortable: bool = False


@dataclass(frozen=True)
class Finding:
    """A sentence with its verdict, if it has one, and the trials behind it."""

    text: str
    verdict: str = ""
    trials: tuple[int, ...] = ()

    @property
    def sources(self) -> str:
        """The trials, shortly: ``0-4 10``."""
        return ranges(self.trials)


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        id: Its anchor.
        title: Its heading.
        text: Paragraphs above what it shows.
        pictures: Figures.
        tables: Tables, below the figures.
        notes: Small print below the tables.
        lines: A list below the small print.
        folded: Closed until a reader opens it.
    """

    id: str
    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    lines: Sequence[str] = ()
    folded: bool = False


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        name: The study.
        question: What it asks.
        lead: Its size in a line.
        facts: Further facts in a line.
        warnings: What to know before believing it.
        findings: What it says, the most important first.
        picture: The first figure.
        sections: All that follows.
        trials: The trials that its numbers come from, in the order in which they are numbered.
        drawn: Those behind its figures, by their place in that list.
    """

    name: str
    question: str
    lead: str
    facts: str
    warnings: Sequence[Finding] = ()
    findings: Sequence[Finding] = ()
    picture: Picture | None = None
    sections: Sequence[Section] = ()
    trials: Sequence[str] = field(default_factory=list)
    drawn: tuple[int, ...] = ()

    @property
    def drawn_sources(self) -> str:
        """The trials behind its figures, shortly: ``0-4 10``."""
        return ranges(self.drawn)


def ranges(numbers: Iterable[int]) -> str:
    """Write whole numbers shortly: 0, 1, 2, 5 as ``0-2 5``."""
    runs = groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return " ".join(f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def plain(*texts: object) -> list[Cell]:
    """Return cells of nothing but text."""
    return [Cell(str(text)) for text in texts]
