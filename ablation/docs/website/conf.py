"""The documentation site, built by Sphinx: the Markdown pages where they are, and the Python API.

    bash .ci/step docs  # writes build/site; index.html is its start

The source folder is the root of the repository, so that links and pictures that work there work on the site.
A page that `CONTENTS` does not list is an error, as every other warning is.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import unquote

from pydantic import BaseModel
from sphinx.application import Sphinx

import ablation

HERE = "ablation/docs/website"

CONTENTS = {
    "Use": [
        "ablation/docs/grid",
        "ablation/docs/commands",
        "ablation/docs/editor",
        "ablation/docs/own-models",
        "ablation/docs/designs",
        "ablation/docs/images",
        "ablation/docs/run-folder",
        "ablation/docs/export",
        "ablation/docs/plugins",
        "ablation/docs/live",
        "ablation/docs/shell",
        "ablation/docs/paper",
        "ablation/docs/sharing",
        "ablation/docs/saved-models",
        "ablation/docs/search",
        "ablation/docs/tuning",
        "ablation/docs/machines",
        "ablation/docs/merge-gate",
        "ablation/docs/classroom",
        "ablation/docs/systems",
        f"{HERE}/api",
    ],
    "Evidence": ["ablation/docs/trust", "ablation/docs/speed", "ablation/docs/glossary"],
    "Ready studies": [
        "experiments/digits",
        "experiments/digits-depth",
        "experiments/cifar10-half",
        "experiments/cifar10-small",
        "experiments/order",
        "experiments/depth-and-width",
        "experiments/augmentation",
        "experiments/optimizer",
        "experiments/training-size",
        "experiments/dropout-rate",
        "experiments/precision",
    ],
    "Develop": ["ablation/docs/architecture", "ablation/docs/decisions", "CONTRIBUTING", "CHANGELOG"],
}
"""The pages under each heading of the sidebar; the README is the first page."""

project = "ablation"
release = version = installed_version("ablation-harness")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

root_doc = "README"
include_patterns = [
    "*.md",
    "ablation/docs/*.md",
    f"{HERE}/*.rst",
    "experiments/*.md",
    "experiments/reference/*/report.md",
    "figures/*/captions.md",
]
exclude_patterns = [".*", "build", "dist", "experiments/runs"]

html_theme = "furo"
html_title = f"ablation {release}"
html_show_copyright = False
html_additional_pages = {"index": "index.html"}
templates_path = ["templates"]

myst_heading_anchors = 3
# A link to a folder leads somewhere in the repository only; on the site it is plain text.
nitpick_ignore_regex = [("myst", r"reference/[\w-]+")]

default_role = "py:obj"  # a name in single backticks: a link where the name has an entry, code elsewhere
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "inherited-members": "BaseModel,BaseException",
    "exclude-members": "model_config,model_computed_fields,model_fields",
    "member-order": "bysource",
}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_use_ivar = True  # attributes have entries already
napoleon_use_rtype = False


def setup(app: Sphinx) -> None:
    """Do what Sphinx has no option for."""
    app.connect("source-read", adapt_page)
    app.connect("autodoc-process-docstring", restore_first_line, priority=600)  # after napoleon
    app.connect("autodoc-process-signature", leave_out_fields)
    for documented in (getattr(ablation, name) for name in ablation.__all__):
        if is_model(documented):  # its fields have plain types: `int` without bounds
            types = get_type_hints(documented)
            documented.__annotations__ = {field: types[field] for field in documented.model_fields}


def adapt_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the README the sidebar's contents, captions a title, and pictures paths without ``%2B``."""
    text = re.sub(r"(!\[[^]]*\])\(([^)\s]+)\)", lambda found: f"{found[1]}(<{unquote(found[2])}>)", source[0])
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
    if Path(page).name == "captions":
        text = f"# The figures of {Path(page).parent.name}\n\n{text}"
    source[0] = text


def restore_first_line(
    app: Sphinx, kind: str, name: str, documented: Any, options: Any, lines: list[str]
) -> None:
    """Put back what napoleon took for a property's type: the words in front of a colon in its first line."""
    for line in [line for line in lines if kind in ("attribute", "property") and line.startswith(":type: ")]:
        lines.remove(line)
        lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"


def leave_out_fields(
    app: Sphinx, kind: str, name: str, documented: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Leave out the signature of a model, whose fields have entries of their own."""
    return ("", "") if is_model(documented) else None


def is_model(documented: Any) -> bool:
    """Return whether this is a class of pydantic's."""
    return inspect.isclass(documented) and issubclass(documented, BaseModel)
