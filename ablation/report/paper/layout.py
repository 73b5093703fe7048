"""The layout of a table that fits one column of a two-column paper, whatever it holds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from ablation.report.paper.latex import breakable, tex

COLUMN = 229.0  # points of width, 8.05 cm: the column of LaTeX's own two-column style, the narrowest usual
_SEPARATION = 6.0  # points between two columns, twice \tabcolsep
_SIZES = {"footnotesize": 8.0, "scriptsize": 7.0}  # in points
_LETTER = 0.55  # the width of a usual letter, as a share of the size, of Computer Modern at 7 points
_WIDTHS = {letter: width for letters, width in (
    (".,:;[]()|!'ijl", 0.34), (" ", 0.4), ("+±=<>\N{MINUS SIGN}", 0.93), ("0123456789", 0.58), ("mwMW", 0.95),
    ("ABCDEFGHIJKLNOPQRSTUVXYZ▲▼✓✗", 0.82),
) for letter in letters}  # fmt: skip
_LEAST_NAME = 8  # letters in a line of the first column
_WANTED_NAME = 16
_LINES = 45  # of a table, which leave room on a page for its caption
_HEADING = 11  # letters in a line of a heading


@dataclass(frozen=True)
class Column:
    """A column beside the names.

    Attributes:
        heading: Its heading; LaTeX.
        cells: One cell per row; LaTeX.
        width: The width of the widest cell, as a multiple of the size of the letters; see `text_width`.
        kind: Its alignment: ``c``, ``l`` or ``r``.
        is_component: Whether it says what a variant is made of, so that its heading may be turned.
    """

    heading: str
    cells: Sequence[str]
    width: float
    kind: str = "r"
    is_component: bool = False


@dataclass(frozen=True)
class Names:
    """The first column, whose lines are broken where they are too long.

    Attributes:
        heading: Its heading.
        texts: One name per row.
        notes: Small print behind each name, or empty strings.
    """

    heading: str
    texts: Sequence[str]
    notes: Sequence[str]

    @property
    def letters(self) -> list[int]:
        """The length of each name with its note, in letters."""
        return [
            len(f"{text} ({note})" if note else text)
            for text, note in zip(self.texts, self.notes, strict=True)
        ]

    def cell(self, row: int, letters: int) -> str:
        """Return a cell as LaTeX, which can be broken into lines of so many letters."""
        text, note = self.texts[row], self.notes[row]
        return breakable(text, letters) + (f" ({breakable(note, letters)})" if note else "")


@dataclass(frozen=True)
class Layout:
    """A choice of columns that fits.

    Attributes:
        size: The size of the letters, ``footnotesize`` or ``scriptsize``.
        names: The first column, or None where the components tell the variants apart.
        columns: The others.
        is_turned: Whether the headings of the components are turned by 90 degrees.
        name_letters: The letters in a line of the first column.
    """

    size: str
    names: Names | None
    columns: Sequence[Column]
    is_turned: bool
    name_letters: int


def text_width(text: str) -> float:
    """Return about how wide a text is, as a multiple of the size of its letters."""
    return sum(_WIDTHS.get(letter, _LETTER) for letter in text)


def fitting(
    names: Names, parts: Sequence[Column], numbers: Sequence[Column], nameless: bool
) -> Layout | None:
    """Return the best layout that fits one column of a paper: with names, large letters, upright headings.

    Args:
        names: The first column.
        parts: The components.
        numbers: The other columns.
        nameless: Whether the names may be left out.

    Returns:
        The layout; None if the components are too many for the width.
    """
    wanted = min(max(names.letters), _WANTED_NAME)
    for with_names, least in ((True, wanted), *(((False, 0),) if nameless else ()), (True, _LEAST_NAME)):
        for size in _SIZES:
            for turned in (False, True) if parts else (False,):
                room = _room([*parts, *numbers], size, turned)
                if room >= least:
                    chosen = names if with_names else None
                    return Layout(size, chosen, [*parts, *numbers], turned, max(room, 1))
    return None


def without_components(names: Names, numbers: Sequence[Column]) -> Layout:
    """Return the layout without columns of components, in the smallest letters."""
    size = list(_SIZES)[-1]
    return Layout(size, names, numbers, False, max(_room(numbers, size, False), _LEAST_NAME))


def _room(columns: Sequence[Column], size: str, turned: bool) -> int:
    """Return how many letters of a name fit a line beside columns; negative if these are too wide."""
    used = sum(_SIZES[size] * _width(column, turned) + _SEPARATION for column in columns)
    return math.floor((COLUMN - used) / (_SIZES[size] * _LETTER))


def _width(column: Column, turned: bool) -> float:
    if not column.is_component:
        return column.width  # which knows of its heading
    heading = 1.2 if turned else max(map(text_width, heading_lines(column.heading)))
    return max(column.width, heading)


def heading_lines(heading: str) -> list[str]:
    """Return the lines of a heading, each as short as its words are."""
    return textwrap.wrap(heading, _HEADING, break_long_words=False) or [""]


def stacked(heading: str, kind: str = "c") -> str:
    """Return a heading as LaTeX, in as many lines as it needs."""
    lines = [tex(line) for line in heading_lines(heading)]
    if len(lines) == 1:
        return lines[0]
    broken = r"\\".join(lines)
    return rf"\shortstack[{kind}]{{{broken}}}"


def parts_of(layout: Layout) -> list[range]:
    """Return the rows of each part of the table, none of which is longer than a column of a page."""
    count = len(layout.columns[0].cells)
    lines = [1] * count
    if layout.names:
        lines = [max(1, math.ceil(1.2 * letters / layout.name_letters)) for letters in layout.names.letters]
    ranges, start, used = [], 0, 0
    for row, needed in enumerate(lines):
        if used + needed > _LINES and row > start:
            ranges.append(range(start, row))
            start, used = row, 0
        used += needed
    return [*ranges, range(start, count)]


def table_text(layout: Layout, rows: range, caption: str, label: str, is_continued: bool) -> str:
    """Return a part of a table as a LaTeX float, as wide as a column.

    Args:
        layout: Its layout.
        rows: The rows of the part.
        caption: Its caption; LaTeX.
        label: What it is referred to by.
        is_continued: Whether it continues the table before it, whose number it has.
    """
    kinds = "".join(column.kind for column in layout.columns)
    headings = [_heading(column, layout.is_turned) for column in layout.columns]
    lines = [
        r"\begin{table}[t]",
        *([r"\addtocounter{table}{-1}"] if is_continued else []),
        rf"\caption{{{caption}}}",
        *([] if is_continued else [rf"\label{{{label}}}"]),
        r"\vspace{4pt}",
        r"\centering",
        rf"\{layout.size}",
        r"\setlength{\tabcolsep}{3pt}",
    ]
    if layout.names:
        lines.append(
            rf"\begin{{tabularx}}{{\columnwidth}}{{@{{}}>{{\raggedright\arraybackslash}}X{kinds}@{{}}}}"
        )
        headings.insert(0, tex(layout.names.heading))
        end = r"\end{tabularx}"
    else:
        lines.append(rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}")
        end = r"\end{tabular}"
    lines += [r"\toprule", " & ".join(headings) + r" \\", r"\midrule"]
    for row in rows:
        cells = [column.cells[row] for column in layout.columns]
        if layout.names:
            cells.insert(0, layout.names.cell(row, layout.name_letters))
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", end, r"\end{table}", ""])


def _heading(column: Column, turned: bool) -> str:
    if not column.is_component:
        return column.heading
    return rf"\rotatebox{{90}}{{{tex(column.heading)}}}" if turned else stacked(column.heading)
