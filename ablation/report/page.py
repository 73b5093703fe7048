"""A report as it is read back: its pieces of text and its pictures, each with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from ablation.charts.library import unpacked
from ablation.digest import short_digest

Pieces = list[tuple[str, str]]
"""What a file says, piece by piece: the place, and the text that is there."""

_SHOWN = ("alt", "content", "data-trials", "data-value", "href", "id")
_NUMBERS = ("data-trials", "data-value")
_VOID = ("br", "img", "link", "meta")
_CHARTS, _LIBRARY = "chart-data", "chart-library"  # scripts of the page


class Page(HTMLParser):
    """All that a page shows, piece by piece, each with its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: Pieces = []
        self.meta: dict[str, str] = {}
        self._cells: Pieces = []
        self._open: list[str] = []
        self._section = "summary"
        self._headings: list[str] = []
        self._row: list[str] = []
        self._script = ""  # the id of the script that one is in
        self.feed(text)
        self.close()

    @property
    def without_pictures(self) -> Pieces:
        """All but the bitmaps."""
        return [(place, what) for place, what in self.pieces if not what.startswith("bitmap ")]

    @property
    def trial_facts(self) -> Pieces:
        """The numbers in the table of the trials, which depend on no rule and no wording."""
        return only_facts([(place, text) for place, text in self._cells if place.startswith("Trials,")])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep what an element's attributes tell a reader."""
        given = {name: value or "" for name, value in attributes}
        if tag not in _VOID:
            self._open.append(tag)
        self._script = given.get("id", "") if tag == "script" else ""
        if tag == "meta" and "name" in given:
            self.meta[given["name"]] = given.get("content", "")
        if tag == "thead":
            self._headings = []
        if tag == "tr":
            self._row = []
        if tag in ("td", "th"):
            self._row.append("")
        source = given.get("src", "")
        if source:
            digest = short_digest(source, 12)
            what = given.get("alt", "").split(":")[0][:40]
            self.pieces.append((f"{self._place()}, the figure '{what}'", f"bitmap {digest}"))
        self.pieces += [(self._place(), given[name]) for name in _SHOWN if given.get(name)]
        if tag == "td":
            self._cells += [(self._place(), given[name]) for name in _NUMBERS if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        """Step out of an element."""
        self._script = ""
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Keep text, and what of it says where one is."""
        if self._script == _LIBRARY:
            digest = short_digest(unpacked(data.strip()), 12)
            self.pieces.append(("the charting library", f"bitmap {digest}"))
            return
        if self._script == _CHARTS:
            self.pieces += chart_pieces(data)
            return
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
        if "tbody" in self._open and "td" in self._open:
            self._cells.append((self._place(), text))

    def _place(self) -> str:
        """Say where one is: the section, and in a table row and column."""
        if "tbody" not in self._open or not self._row:
            return self._section
        column = len(self._row) - 1
        heading = self._headings[column] if column < len(self._headings) else f"column {column + 1}"
        return f"{self._section}, row {self._row[0] or '?'}, {heading}"


def chart_pieces(text: str) -> Pieces:
    """Return the data of the charts row by row, each with its place: the chart, the variant, the column."""
    try:
        return list(_rows(json.loads(text), "the data of the charts"))
    except ValueError:
        return [("the data of the charts", "what is not JSON")]


def _rows(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _rows(inner, f"{place}, {key.replace('_', ' ')}")
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for k, inner in enumerate(value):
            name = inner.get("variant", k) if isinstance(inner, dict) else k
            yield from _rows(inner, f"{place}, {name}")
    else:
        yield place, " ".join(map(str, value)) if isinstance(value, list) else str(value)


_FACT = re.compile(r"[+\N{MINUS SIGN}-]?\d(?:[\d,.]*\d)?%?|\b(?:better|worse|equivalent|unresolved)\b")


def only_facts(pieces: Pieces) -> Pieces:
    """Reduce pieces of text to their numbers and verdicts; pieces without any are left out."""
    in_each = [(place, _FACT.findall(text)) for place, text in pieces]
    return [(place, " ".join(facts)) for place, facts in in_each if facts]


def numbered(text: str) -> Pieces:
    """Return the lines of a text, each with its number as its place."""
    return [(f"line {number}", line) for number, line in enumerate(text.splitlines(), 1)]
