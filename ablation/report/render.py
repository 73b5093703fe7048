"""A report as HTML or Markdown, and a paper's document: templates, and what escapes the text for each."""

from __future__ import annotations

import base64
import html
import os
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from ablation.analysis.phrases import MARKS
from ablation.charts.library import library_version, packed_library
from ablation.figures.style import Picture
from ablation.report.document import Report

_TALL = 1.6  # heights per width
REPORT_VERSION = 6
"""Raised whenever the wording of a report changes: one of another version is verified by its numbers."""


def render_html(report: Report, drawn_with: str, other: str = "") -> str:
    """Return the report as one HTML page that contains its pictures.

    Args:
        report: The report.
        drawn_with: The software that drew its pictures; it is recorded in the page.
        other: The folder of the run that it is compared with, if any.
    """
    environment = _environment(Path(), autoescape=True)
    template = environment.get_template("report.html")
    return template.render(report=report, marks=MARKS, drawn_with=drawn_with, other=other)


def render_markdown(report: Report, folder: Path) -> str:
    """Return the report as Markdown, for a file in ``folder``."""
    text = _environment(folder).get_template("report.md").render(report=report, marks=MARKS)
    return re.sub(r"\n{3,}", "\n\n", text).lstrip()


def render_paper(**values: object) -> str:
    """Return the document that takes in the pieces of a paper, as LaTeX."""
    environment = _environment(Path()).overlay("<%", "%>", "<<", ">>", "<#", "#>")  # LaTeX uses braces
    return environment.get_template("paper.tex").render(**values)


def render_gate(**values: object) -> str:
    """Return the summary of a merge gate as Markdown."""
    return _environment(Path()).get_template("gate.md").render(**values).strip() + "\n"


@cache
def page_template(name: str) -> jinja2.Template:
    """Return the template of an HTML page that is written many times, and compiled once."""
    return _environment(Path(), autoescape=True).get_template(name)


def drawing_software() -> str:
    """Name the software that draws figures and charts, with versions: another may set pixels differently."""
    drawn_with = [f"{name} {version(name)}" for name in ("matplotlib", "seaborn")]
    return ", ".join([*drawn_with, f"plotly {library_version()}"])


def _environment(folder: Path, autoescape: bool = False) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ablation", "templates"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken if autoescape else None,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals["report_version"] = REPORT_VERSION
    environment.globals["packed_library"] = packed_library
    environment.filters["data_url"] = _data_url
    environment.filters["is_tall"] = _is_tall
    environment.filters["first_sentence"] = _first_sentence
    environment.filters["marked"] = _marked
    environment.filters["md"] = _markdown
    environment.filters["link"] = lambda picture: quote(_relative(picture.png, folder))
    return environment


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix()


def _data_url(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png.read_bytes()).decode("ascii")


def _unbroken(value: object) -> object:
    """Keep ``n = 5`` in one line of a page."""
    return (
        value.replace("n = ", "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}") if isinstance(value, str) else value
    )


def _is_tall(picture: Picture) -> bool:
    """Return whether a picture is so high that a smaller one could not be read on paper."""
    with Image.open(picture.png) as image:
        return image.height > _TALL * image.width


def _first_sentence(text: str) -> str:
    """Return the first sentence of a text, or the whole text if nothing in it looks like the end of one."""
    return re.split(r"(?<=[.!?]) (?=[A-Z])", text, maxsplit=1)[0]


def _marked(text: str) -> Markup:
    """Escape text for HTML, and set what is marked as code."""
    return Markup(str(escape(text)).replace("\x02", "<code>").replace("\x03", "</code>"))


def _markdown(text: str) -> str:
    """Escape what Markdown or HTML would read as markup, and set what is marked as code."""
    parts = re.split("[\x02\x03]", str(text))
    prose = (re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", html.escape(p, quote=False)) for p in parts[::2])
    codes = [f"`{part}`" for part in parts[1::2]]
    return "".join(p + c for p, c in zip(prose, [*codes, ""], strict=True)).replace("\n", " ")
