"""The files of a new study, which the user fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ablation.errors import RunError, writing
from ablation.workflow.schema import SCHEMA, write_schema

GRID, MODELS = "grid.yaml", "my_models.py"


def write_scaffold(folder: str | Path, builder: bool = False) -> list[Path]:
    """Write a commented grid file, its schema for editors and, if asked, a module with a custom model.

    Args:
        folder: The folder to write to, which need not exist yet.
        builder: Whether to write the module, and a grid that uses it.

    Returns:
        The files that were written.

    Raises:
        RunError: One of the files already exists, and nothing was written, or the folder cannot be written
            to.
    """
    folder = Path(folder)
    files = [folder / name for name in (GRID, *([MODELS] if builder else []))]
    for file in files:
        if file.exists():
            raise RunError(f"{file} already exists; choose another folder, or move the file away.")
    schema = write_schema(folder / SCHEMA)
    with writing(folder):
        for file in files:
            text = rendered(file.name, builder=builder, name=GRID, schema=SCHEMA)
            file.write_text(text, "utf-8")
    return [*files, schema]


def rendered(template: str, **values: Any) -> str:
    """Return the text of a template of the package with values filled in."""
    environment = Environment(
        loader=PackageLoader("ablation"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(f"{template}.jinja").render(**values)
