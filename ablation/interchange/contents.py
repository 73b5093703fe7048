"""Which files of a run folder travel in a pack, and what is written differently for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ablation.errors import RunError
from ablation.export.parquet import PARQUET
from ablation.files import DAMAGED, files_below, read_json
from ablation.grid.code_folders import with_code_folders
from ablation.grid.trial import content_of
from ablation.grid.tuning import SEARCHES
from ablation.results.run import TABLES, Run
from ablation.results.tuning import search_folder, tuned_folder
from ablation.store.checked_record import checked_text, require_unchanged
from ablation.store.trial_store import MODEL

Contents = dict[str, bytes | Path]
"""The files of a pack by their paths in it: the content of each, or the file to copy."""

CODE = "code"
_STUDIES = ("study.json", "declared.json")
_RECORDS = ("dataset.npz", "models.json", "report.html", "class.html", "class.json")
_PICTURES = (".png", ".svg", ".md")


def run_contents(run: Run, models: bool = False, prefix: str = "") -> Contents:
    """Return what travels of a run folder, and of the run folders in it that hold its tuned variants.

    Args:
        run: The run.
        models: Whether saved models travel, too.
        prefix: The path of the run folder in the pack, which ends with a slash; empty for the pack itself.

    Raises:
        RunError: The record of the study or of a trial is damaged.
    """
    contents: Contents = {prefix + name: _study(run.folder / name, prefix) for name in _studies(run)}
    tables = [*(f"{table}.csv" for table in TABLES), *(f"{table}.parquet" for table in PARQUET)]
    present = [name for name in (*_RECORDS, *tables) if (run.folder / name).is_file()]
    contents |= {prefix + name: run.folder / name for name in present}
    if (run.folder / "report.md").is_file():
        contents[f"{prefix}report.md"] = _report(run)
    for name, file in files_below(run.figures_folder).items():
        if "/" not in name and file.suffix in _PICTURES:
            contents[f"{prefix}figures/{name}"] = file
    contents |= {f"{prefix}paper/{name}": file for name, file in files_below(run.folder / "paper").items()}
    contents |= {f"{prefix}trials/{name}": file for name, file in _trials(run.folder / "trials", models)}
    for folder in (tuned_folder(run.folder), *(search_folder(run.folder, k) for k in SEARCHES)):
        if not prefix and (folder / _STUDIES[0]).is_file():
            inner = folder.relative_to(run.folder).as_posix()
            contents |= run_contents(Run(folder), models, f"{inner}/")
    return contents


def _studies(run: Run) -> list[str]:
    return [name for name in _STUDIES if (run.folder / name).is_file()]


def _study(file: Path, prefix: str) -> bytes:
    """Return a study's record without the paths of this machine: code is in the pack, images by name only.

    Raises:
        RunError: The record is damaged.
    """
    code = os.path.relpath(CODE, prefix or ".").replace(os.sep, "/")
    try:
        content = file.read_bytes()
        require_unchanged(content)
        record: dict[str, Any] = with_code_folders(json.loads(content), lambda _: code)
        images = record["study"]["dataset"]
        if images.get("path"):
            images["path"] = CODE if images.get("loader") else Path(images["path"]).name
    except DAMAGED:
        raise RunError(f"{file} is damaged, so that the run cannot be packed.") from None
    return checked_text(record).encode()


def _report(run: Run) -> bytes:
    """Return the Markdown report with its pictures below the run folder, where they are in a pack."""
    figures = os.path.relpath(run.figures_folder.absolute(), run.folder.absolute())
    text = (run.folder / "report.md").read_text("utf-8", errors="replace")
    return text.replace(f"]({quote(Path(figures).as_posix())}/", "](figures/").encode()


def _trials(folder: Path, models: bool) -> Iterator[tuple[str, Path]]:
    """Yield the files of the trials that are kept, by their paths below the folder of trials.

    Raises:
        RunError: The record of a trial is damaged.
    """
    for record in sorted(folder.glob("*/trial.json")):
        trial = record.parent
        if not content_of(trial.name):
            continue
        try:
            names = [*read_json(record)["files"], record.name]
        except DAMAGED:
            raise RunError(f"{record} is damaged, so that the run cannot be packed.") from None
        for name in names:
            if (name != MODEL or models) and (trial / name).is_file():
                yield f"{trial.name}/{name}", trial / name
