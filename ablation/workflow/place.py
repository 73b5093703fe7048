"""The folder of a study or a search, which nothing of another name takes over unnoticed."""

from __future__ import annotations

from pathlib import Path

from ablation.errors import RunError
from ablation.files import DAMAGED, read_json
from ablation.grid.study import Study
from ablation.grid.trial import slug
from ablation.store.restoring import SEARCH
from ablation.store.run_folder import RUNS, Store, is_search


def store_of(study: Study, out: str | Path | None) -> Store:
    """Return the store of a study: the folder that was named, or the one that follows from its name.

    Raises:
        RunError: No folder was named, and the one of this name holds another study, or a search.
    """
    store = Store(out or RUNS / slug(study.name))
    if out is None and is_search(store.folder):
        raise _taken(store.folder, "a search", study, may_be_renamed=False)
    if out is None and (other := _other_name(study, store)):
        raise _taken(store.folder, f"the study '{other}'", study)
    return store


def folder_of_search(study: Study, out: str | Path | None) -> Path:
    """Return the folder of a search: the one that was named, or the one that follows from its study's name.

    Raises:
        RunError: No folder was named, and the one of this name holds a study, or the search of another one.
    """
    folder = Path(out or RUNS / f"{slug(study.name)}-search")
    if out is None and Store(folder).study_file.is_file():
        raise _taken(folder, "a study", study, may_be_renamed=False)
    try:
        name = read_json(folder / SEARCH)["search"]["study"]["name"]
    except DAMAGED:  # none was begun, or its record is written again
        return folder
    if out is None and name != study.name:
        raise _taken(folder, f"the search of the study '{name}'", study)
    return folder


def place_notes(study: Study, store: Store) -> list[str]:
    """Say that the folder that was named holds a study of another name; empty if it does not."""
    other = _other_name(study, store)
    if not other:
        return []
    return [
        f"{store.folder} holds the study '{other}'. Its trials are kept, and count where '{study.name}' has "
        f"the same ones; tables, figures and report become those of '{study.name}'."
    ]


def _other_name(study: Study, store: Store) -> str:
    """Return the name of the study that a folder holds if it is another one; else an empty text."""
    try:
        name = store.study()[0].name if store.study_file.is_file() else study.name
    except RunError:  # its record is damaged, and is written again
        return ""
    return "" if name == study.name else name


def _taken(folder: Path, held: str, study: Study, may_be_renamed: bool = True) -> RunError:
    renamed = f" If it is the same with a new name, continue it with --out {folder}."
    return RunError(
        f"{folder} holds {held}, and '{study.name}' would use the same folder. Choose another name under "
        f"`study:`, or another folder with --out.{renamed if may_be_renamed else ''}"
    )
