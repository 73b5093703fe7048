"""When a command is silent about damage: it succeeds without a word, and its numbers are others than before."""

from __future__ import annotations

import hashlib
import re
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

NO_NUMBERS = {"progress", "logs", "figures", ".running", "derived.json"}
"""Of what is only watched, of what is not drawn here, and of digests of files that are compared themselves."""
RESTORING = ("run", "search")
"""Commands that leave the whole folder as it should be, and not only what they have written."""
_DATE = re.compile(r"20\d\d-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?(Z|\+\d\d:?\d\d)?")
_SAYS = re.compile(
    "damaged|edited|cannot be read|missing|pending|to train|trained again|not completed?|not finished|not recorded"
    r"|\d of \d+, \d+ failed",
    re.IGNORECASE,
)

Outcome = Mapping[str, str]
"""What a command printed, under an empty name, and the text of each file, by its path."""


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each file, by its path below the folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink() and _counts(file.relative_to(folder))
    }


def outcome(
    command: Sequence[str],
    done: subprocess.CompletedProcess[str],
    folder: Path,
    before: Mapping[str, str] | None = None,
) -> Outcome:
    """Return what a command printed, and the files that it wrote or, if it restores a folder, all of them.

    Args:
        command: The command.
        done: How it ended.
        folder: Where it ran.
        before: The `digests` of the folder before it ran; by default all files count as written.
    """
    after, before = digests(folder), before or {}
    is_restoring = command[0] in RESTORING and "--dry-run" not in command
    names = [name for name in after if is_restoring or after[name] != before.get(name)]
    texts = {name: text for file in names for name, text in _texts(folder, file)}
    return {name: _DATE.sub("DATE", text) for name, text in {"": done.stdout, **texts}.items()}


def may_be_silent(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether a command succeeded without a warning."""
    return not done.returncode and "arning" not in done.stderr


def silence(now: Outcome, usual: Outcome) -> str:
    """Say in which text a command that succeeded differs from the usual one without a word; empty if in none.

    It says a word if lines that are not usual, printed or written, speak of damage, or of what is missing.
    """
    lines = {name: lines for name, text in now.items() if (lines := _new_lines(text, usual.get(name, "")))}
    if not lines or _SAYS.search(" ".join(" ".join(line.split()) for new in lines.values() for line in new)):
        return ""
    name, new = next(iter(lines.items()))
    return f"silent: {name or 'output'}: {new[0].strip()[:200]!r}"


def _new_lines(text: str, usual: str) -> list[str]:
    """Return the lines of a text that are not usual, or what says that usual ones are left out."""
    if text == usual:
        return []
    known = {_words(line) for line in usual.splitlines()}
    new = [line for line in text.splitlines() if _words(line) not in known]
    same = list(map(_words, text.splitlines())) == list(map(_words, usual.splitlines()))
    return new or ([] if same else ["lines are left out"])


def _words(line: str) -> str:
    """Return a line without what depends on the width of its columns."""
    return " ".join(line.split())


def _counts(path: Path) -> bool:
    return not NO_NUMBERS & set(path.parts) and path.suffix != ".lock"


def _texts(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    file = folder / name
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                if _counts(Path(member)):
                    yield f"{name}/{member}", archive.read(member).decode("utf-8", "replace")
    elif file.suffix == ".parquet":
        try:
            yield name, pd.read_parquet(file).to_csv()
        except Exception:
            yield name, "no table"
    else:
        yield name, file.read_text("utf-8", "replace")
