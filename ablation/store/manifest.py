"""The manifest of a packed run: a hash of each file, which `sha256sum --check` reads, too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

MANIFEST = "manifest-sha256.txt"


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
    if not (folder / MANIFEST).is_file():
        return {}
    lines = (folder / MANIFEST).read_text("utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def changed_since_packed(folder: Path) -> dict[str, str]:
    """Return what happened to the files of a packed run that are not what was packed, by their paths."""
    changed = {}
    for name, digest in packed_files(folder).items():
        file = folder / name
        if not file.is_file():
            changed[name or MANIFEST] = "is missing, although it was packed"
        elif sha256_of(file) != digest:
            changed[name] = "was damaged or edited since it was packed"
    return changed
