"""Write from the code: the reference of the grid file and of the commands, and the grid's JSON Schema.

    python ablation/docs/generate.py

A key's meaning is the text below its field, an option's is its help; `grid_page` has the examples.
"""

from __future__ import annotations

from pathlib import Path

from commands_page import commands_page
from grid_page import grid_page
from grid_schema import schema_text

from ablation.workflow.schema import SCHEMA

COMMAND = "python ablation/docs/generate.py"


def pages() -> dict[str, str]:
    """Return each page by its file's name."""
    note = f"<!-- Written from the code by `{COMMAND}`: change the code. -->\n\n"
    return {"grid.md": note + grid_page(), "commands.md": note + commands_page()}


if __name__ == "__main__":
    folder = Path(__file__).parent
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")
    (folder.parent / "templates" / SCHEMA).write_text(schema_text(), "utf-8")
