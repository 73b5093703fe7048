"""The files of a new study, to be filled in."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ablation.errors import RunError, writing

GRID, MODELS = "grid.yaml", "my_models.py"


def write_scaffold(folder: str | Path, builder: bool = False) -> list[Path]:
    """Write a commented grid file and, where asked, a module with a model of one's own.

    Args:
        folder: Where to; need not exist yet.
        builder: Write the module, and a grid of it.

    Returns:
        The files.

    Raises:
        RunError: A file of that name is there already; nothing was written.
    """
    folder = Path(folder)
    files = [folder / name for name in (GRID, *([MODELS] if builder else []))]
    for file in files:
        if file.exists():
            raise RunError(f"{file} already exists; choose another folder, or move the file away.")
    environment = Environment(
        loader=PackageLoader("ablation"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            text = environment.get_template(f"{file.name}.jinja").render(builder=builder, name=GRID)
            file.write_text(text, "utf-8")
    return files
