"""The console that commands print to: its colours and its width follow what shells and scripts agree on."""

from __future__ import annotations

import os
import shutil
import sys

from rich.console import Console
from rich.text import Text

_UNLIMITED = 10_000  # columns, where no terminal cuts lines off


def new_console() -> Console:
    """Return a console on the standard output.

    A terminal gets colours and its own width. A pipe or a file gets plain text, whose tables are as wide as
    they need to be. COLUMNS sets the width of both. NO_COLOR, CLICOLOR=0 and TERM=dumb leave out colours;
    FORCE_COLOR and CLICOLOR_FORCE write them into a pipe, too, where nothing is redrawn in place.
    """
    if not sys.stdout.isatty():
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() else _UNLIMITED
        return Console(force_terminal=False, color_system="standard" if _is_forced() else None, width=width)
    size = shutil.get_terminal_size()
    is_plain = os.environ.get("CLICOLOR") == "0" and not _is_forced()
    is_dumb = os.environ.get("TERM") == "dumb"  # which rich takes to have 80 columns, whatever COLUMNS says
    return Console(
        no_color=True if is_plain else None,
        width=size.columns if is_dumb else None,
        height=size.lines if is_dumb else None,
    )


def print_item(console: Console, mark: str, sentence: str) -> None:
    """Print a sentence behind its mark; on a terminal, broken between words, with aligned lines."""
    text = Text(sentence)
    lines = text.wrap(console, max(20, console.width - 4)) if console.is_terminal else [text]
    for k, line in enumerate(lines):
        line.rstrip()
        console.print(Text(f"  {' ' if k else mark} ") + line, soft_wrap=True)


def _is_forced() -> bool:
    """Return whether the environment asks for colours wherever the output goes."""
    is_asked = any(os.environ.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
    return is_asked and not os.environ.get("NO_COLOR")
