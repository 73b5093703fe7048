"""Write the pages of the Python API from its docstrings, by pdoc; ``generate.py`` writes the other pages.

python ablation/docs/api.py build/api
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pdoc
from pydantic import BaseModel

import ablation

MODULES = [
    f"ablation{name}"
    for name in ("", ".comparison", ".errors", ".settings", ".search.run", ".search.settings")
]


def write_api(folder: Path) -> None:
    """Write a page a module."""
    for module in MODULES:
        import_module(module)
    for name in ablation.__all__:  # imported on first use, which pdoc does not wait for
        setattr(ablation, name, getattr(ablation, name))
    _leave_bounds_out(BaseModel)
    pdoc.render.configure(docformat="google", template_directory=Path(__file__).parent / "pdoc")
    pdoc.pdoc(*MODULES, output_directory=folder)


def _leave_bounds_out(model: type[BaseModel]) -> None:
    """Let the fields of all models have plain types: ``float``, without how it is validated."""
    for below in model.__subclasses__():
        if below.__module__.startswith("ablation."):
            hints = get_type_hints(below)
            below.__annotations__ = {name: hints[name] for name in below.__annotations__}
        _leave_bounds_out(below)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the pages of the Python API.")
    parser.add_argument("folder", type=Path, help="where to")
    write_api(parser.parse_args().folder)
