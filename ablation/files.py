"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from ablation.control_characters import visible
from ablation.operating_system import move

DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a record raises if its file is missing, damaged, or of another version."""


@contextmanager
def atomic_writer(file: Path, durable: bool = False, *, partial: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a binary stream whose content replaces ``file`` once the block ends without an error.

    Args:
        file: The file. Another process sees either its old content or its new content, never a part of it.
        durable: Have the new content on the disk before it replaces the old one.
        partial: The temporary file in the same folder, ``.<name>.<process>.partial`` by default. Name another
            one where a program that watches the folder would read a file of that name.
    """
    partial = partial or file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)  # whatever it is: "xb" follows no link
        with partial.open("xb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        move(partial, file)
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            partial.unlink(missing_ok=True)
        raise


def write_atomically(file: Path, content: bytes | str) -> Path:
    """Write a file, text in UTF-8; return its path."""
    with atomic_writer(file) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    return file


def read_json(file: Path) -> Any:
    """Return what a JSON file contains.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not contain JSON, or JSON that is nested too deeply.
    """
    try:
        return json.loads(file.read_bytes().decode("utf-8"))
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply") from None


def newer_keys(error: BaseException) -> str:
    """Return the keys of a record that its class does not know, as text; empty if that is not what is wrong.

    Args:
        error: What checking the record raised.
    """
    if not isinstance(error, ValidationError):
        return ""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if any(problem["type"] != "extra_forbidden" for problem in problems):
        return ""
    return ", ".join(f"'{visible(str(problem['loc'][-1]))}'" for problem in problems[:3])


def json_text(value: Any) -> str:
    """Return a value as JSON text, in the layout of all records of a run folder."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def files_below(folder: Path) -> dict[str, Path]:
    """Return all files in a folder and its subfolders, by their relative paths, in order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): file for file in files}
