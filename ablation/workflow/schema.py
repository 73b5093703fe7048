"""The JSON Schema of the grid file, by which an editor completes keys and shows errors while one types.

It comes with the package; ``ablation/docs/grid_schema.py`` makes it of the classes of the settings.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from ablation.errors import RunError, writing
from ablation.files import write_atomically

SCHEMA = "grid.schema.json"
"""The file's name in the package and beside a grid, in whose first line an editor finds it."""


def schema_text() -> str:
    """Return the JSON Schema of the grid file as text."""
    return (files("ablation.templates") / SCHEMA).read_text("utf-8")


def grid_schema() -> dict[str, Any]:
    """Return the JSON Schema of the grid file, in draft-07."""
    schema: dict[str, Any] = json.loads(schema_text())
    return schema


def write_schema(file: str | Path = SCHEMA) -> Path:
    """Write the JSON Schema of the grid file, and return its path; an earlier one is replaced.

    Args:
        file: Where to write it, by default to the current folder.

    Raises:
        RunError: The file exists and is no such schema, or cannot be written.
    """
    file = Path(file)
    if file.is_dir():
        file = file / SCHEMA
    if file.exists() and not _is_schema(file):
        raise RunError(f"{file} already exists and is not the schema of a grid; choose another name.")
    with writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        return write_atomically(file, schema_text())


def _is_schema(file: Path) -> bool:
    """Return whether a file is a schema of the grid, of this or of another version."""
    try:
        return bool(json.loads(file.read_text("utf-8")).get("$id") == grid_schema()["$id"])
    except (OSError, ValueError, AttributeError):
        return False
