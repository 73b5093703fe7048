"""What follows from the trials of a run: tables, figures and reports, and whether they are still there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ablation.control_characters import visible
from ablation.files import DAMAGED, json_text, read_json
from ablation.results.classroom import CLASS_PAGE
from ablation.results.run import TABLES, Run

DERIVED = "derived.json"


def record_derived(run: Run) -> None:
    """Write down which files follow from the trials as they are now, each with its digest.

    Raises:
        RunError: The run folder cannot be written to.
    """
    files = {os.path.relpath(file, run.folder): _digest(file) for file in _files(run) if file.is_file()}
    run.store.write(DERIVED, json_text({"trials": _trials(run), "files": files}))


def are_derived(run: Run) -> bool:
    """Return whether the files that were recorded are there, undamaged, and follow from the trials of now."""
    try:
        record = read_json(run.folder / DERIVED)
        files = dict(record["files"])
        return record["trials"] == _trials(run) and all(
            _digest(run.folder / name) == digest for name, digest in files.items()
        )
    except DAMAGED:
        return False


def missing_derived(folder: Path) -> list[str]:
    """Return the names of the files that were recorded and are gone; none if nothing was recorded."""
    try:
        names = dict(read_json(folder / DERIVED)["files"])
        return [visible(name) for name in names if not (folder / name).is_file()]
    except DAMAGED:
        return []


def _files(run: Run) -> Iterator[Path]:
    tables = (f"{table}.{end}" for table in TABLES for end in ("csv", "parquet"))
    yield from (run.folder / name for name in ("report.html", "report.md", CLASS_PAGE, *tables))
    for end in ("png", "svg", "md"):
        yield from sorted(run.figures_folder.glob(f"*.{end}"))


def _trials(run: Run) -> str:
    """Return a digest of the study, of what is known to have been changed in it, and of all its trials."""
    trials = [run.store.checksum(trial) for trial in run.trials]
    content = [run.study.model_dump(mode="json"), run.changes, trials]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
