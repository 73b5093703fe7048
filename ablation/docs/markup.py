"""Markdown: tables, and the text of docstrings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells may hold any text."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def prose(text: str) -> str:
    """Return a docstring's text as Markdown, paragraph by paragraph."""
    paragraphs = text.replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()


def code(text: str) -> str:
    """Return a name or a value as it is typed."""
    return f"`{text}`"


def one_of(names: Sequence[str]) -> str:
    """Return ``a, b or c``."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
