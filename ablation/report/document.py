"""The content of a report, independent of its format: sections of text, tables and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ablation.figures.style import Picture

_CODE = "\x02", "\x03"  # no name can hold them, so that a name is never taken for markup


def code(text: str) -> str:
    """Mark text to be set as code."""
    return f"{_CODE[0]}{text}{_CODE[1]}"


def with_code(text: str) -> str:
    """Mark what stands between backticks to be set as code."""
    return re.sub("`([^`]+)`", lambda found: code(found[1]), text)


@dataclass(frozen=True)
class Cell:
    """A cell of a table, as it is shown.

    Attributes:
        text: Its text.
        note: Small print below the text.
        value: The number that it is sorted by, if that is not its text.
        trials: The trials behind it, by their place in the list of trials.
        kind: The verdict that it gives, or ``row`` for the heading of a row.
    """

    text: str
    note: str = ""
    value: float | None = None
    trials: tuple[int, ...] = ()
    kind: str = ""

    @property
    def sources(self) -> str:
        """The trials in short form: ``0-4 10``."""
        return ranges(self.trials)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        headings: One heading per column.
        rows: The cells of each row.
        caption: The table's caption.
        highlighted: The index of the baseline's row.
        sortable: Whether a reader may sort the table.
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
        """The trials in short form: ``0-4 10``."""
        return ranges(self.trials)


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        id: Its anchor.
        title: Its heading.
        text: Paragraphs above figures and tables.
        pictures: Figures.
        findings: Sentences with the trials behind them, below the paragraphs.
        further: Figures that stay closed until a reader opens them.
        tables: Tables, below the figures.
        notes: Small print below the tables.
        lines: A list below the small print.
        folded: Whether the section is closed until a reader opens it.
    """

    id: str
    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    lines: Sequence[str] = ()
    folded: bool = False
    findings: Sequence[Finding] = ()
    further: Sequence[Picture] = ()


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        name: The name of the study.
        question: The question of the study.
        lead: Its size, in one line.
        facts: Further facts, in one line.
        warnings: What to know before relying on the findings, the most important first.
        findings: The answer to the question, in a few sentences, what is resolved first.
        picture: The first figure.
        sections: The sections, in their order.
        trials: The trials that the numbers come from, in the order in which they are numbered.
        drawn: The trials behind the figures, by their place in that list.
        charts: The data of the interactive charts, as `chart_data` returned them; empty for none.
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
    charts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def drawn_sources(self) -> str:
        """The trials behind its figures in short form: ``0-4 10``."""
        return ranges(self.drawn)


def ranges(numbers: Iterable[int]) -> str:
    """Write whole numbers in short form: 0, 1, 2, 5 as ``0-2 5``."""
    runs = groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return " ".join(f"{s[0]}-{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def plain(*texts: object) -> list[Cell]:
    """Return cells that hold only text."""
    return [Cell(str(text)) for text in texts]
