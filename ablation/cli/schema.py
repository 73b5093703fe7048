"""The command that writes the JSON Schema of the grid file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The file to write; by default, it is printed.")
    ] = None,
) -> None:
    """Print or write the JSON Schema of the grid file, for editors that complete keys and show errors."""
    from ablation.workflow.schema import schema_text, write_schema

    if file:
        print(write_schema(file))
    else:
        sys.stdout.write(schema_text())
