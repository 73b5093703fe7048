"""The files that a grid needs beside it on another machine: modules, models, images, and other data."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ablation.files import files_below
from ablation.grid.user_files import user_modules
from ablation.grid.value_text import texts_in
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

_MODULE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::\w+)?$")
_SCHEMA = re.compile(r"^# yaml-language-server: \$schema=(\S+)", re.MULTILINE)  # which an editor reads
_WORDS = ("study", "question")  # the keys of a grid that are for readers


def needed_files(source: LocatedYaml) -> dict[str, Path]:
    """Return the files that a grid needs, by their paths relative to it.

    These are the images at a relative path; the modules that the grid names, with the modules that they
    import; every file whose path, relative to the grid, is a text in the grid or in one of these modules; and
    the schema that the grid names for editors.

    Args:
        source: The grid file.

    Raises:
        GridError: The grid names a file or a folder at a relative path that leads out of its folder.
    """
    folder = Path(source.file).absolute().parent
    texts = list(texts_in({key: value for key, value in source.data.items() if key not in _WORDS}))
    found = [*_images(source, folder)]
    for module in dict.fromkeys(name[1] for text in texts if (name := _MODULE.match(text))):
        own = [known.file for known in user_modules(module, folder).values() if _is_below(known.file, folder)]
        found += own
        texts += [text for file in own for text in _constants(file)]
    found += [file for text in texts if (file := _named(text, folder, source))]
    schemas = (Path(os.path.normpath(folder / name)) for name in _SCHEMA.findall(source.text))
    found += [file for file in schemas if file.is_file() and _is_below(file, folder)]
    return {file.relative_to(folder).as_posix(): file for file in found}


def images_elsewhere(source: LocatedYaml) -> str:
    """Return the absolute path that a grid reads its images from; empty if there is none."""
    path = _image_path(source)
    return path if path.startswith("~") or Path(path).is_absolute() else ""


def _image_path(source: LocatedYaml) -> str:
    dataset = source.data.get("dataset")
    return str(dataset.get("path") or "") if isinstance(dataset, dict) else ""


def _images(source: LocatedYaml, folder: Path) -> Iterator[Path]:
    path = _image_path(source)
    if not path or images_elsewhere(source):
        return
    place = _below(path, folder, source, ("dataset", "path"))
    if place.is_dir():
        yield from files_below(place).values()
    elif place.is_file():
        yield place
        if place.suffix.lower() == ".csv":  # its pictures are named relative to it
            listing = place.read_text("utf-8", errors="replace").replace("\\", "/")
            yield from (file for name, file in files_below(place.parent).items() if name in listing)


def _named(text: str, folder: Path, source: LocatedYaml) -> Path | None:
    """Return the file that a text is the path of, relative to the grid, if it is one."""
    with suppress(OSError, ValueError):  # of a text that no path can be
        if 0 < len(text) < 200 and not Path(text).is_absolute() and (folder / text).is_file():
            return _below(text, folder, source)
    return None


def _below(path: str, folder: Path, source: LocatedYaml, place: KeyPath = ()) -> Path:
    """Return the file or folder at a relative path.

    Raises:
        GridError: It is not below the folder of the grid.
    """
    full = Path(os.path.normpath(folder / path))
    if full == folder or not _is_below(full, folder):
        raise source.error(
            place,
            f"'{path}' is not below the folder of the grid, so that the folder of a student cannot hold it; "
            "move it there.",
        )
    return full


def _is_below(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder)


def _constants(module: Path) -> list[str]:
    """Return every text in the source of a module."""
    try:
        tree = ast.parse(module.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
