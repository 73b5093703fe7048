"""The manifest of a packed run: a hash of each file, which `sha256sum --check` reads, too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

MANIFEST = "manifest-sha256.txt"

_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\].*)")
_EDITED = "was damaged or edited since it was packed"


def manifest_text(digests: Mapping[str, str]) -> str:
    """Return a manifest, one line per file.

    Args:
        digests: The SHA-256 of each file in hexadecimal digits, by its path below the folder.
    """
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def sha256_of(content: bytes | Path) -> str:
    """Return the SHA-256 of bytes, or of a file, in hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def packed_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a packed run, as its manifest has it; empty without a manifest."""
    return {name: digest for digest, name in filter(None, map(_parsed, _lines(folder)))}


def changed_since_packed(folder: Path) -> dict[str, str]:
    """Return what happened to the files of a packed run that are not what was packed, by their paths."""
    changed, lines = {}, _lines(folder)
    if (folder / MANIFEST).is_file() and not (lines and all(map(_parsed, lines))):
        changed[MANIFEST] = _EDITED
    for name, digest in packed_files(folder).items():
        try:
            if not _is_inside(folder, name):
                changed[name] = "is missing, although it was packed"
            elif sha256_of(folder / name) != digest:
                changed[name] = _EDITED
        except OSError as error:
            changed[name] = f"cannot be read: {(error.strerror or str(error)).lower()}"
    return changed


def _lines(folder: Path) -> list[str]:
    file = folder / MANIFEST
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    return text.removesuffix("\n").split("\n") if text else []


def _parsed(line: str) -> tuple[str, str] | None:
    """Return the digest and the name of a line; None if it is damaged, or leads out of the folder."""
    found = _LINE.fullmatch(line)
    if found is None or ".." in found[2].split("/"):
        return None
    return found[1], found[2]


def _is_inside(folder: Path, name: str) -> bool:
    """Return whether a file is in the folder, and no link leads to it from there."""
    file = folder / name
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())
