"""The user's code that a run needs to be trained again: it is outside of the run folder, and travels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.errors import RunError
from ablation.grid.code_folders import code_settings
from ablation.grid.user_files import file_digest, user_modules
from ablation.grid.value_text import texts_in
from ablation.results.run import Run

_OBJECT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):\w+$")


@dataclass(frozen=True)
class Code:
    """The user's code of a run.

    Attributes:
        files: The files that travel, by their paths relative to the folder of the grid.
        elsewhere: The files that models were built from and that lie outside of that folder, so that they do
            not travel.
    """

    files: dict[str, Path]
    elsewhere: tuple[str, ...] = ()


def code_of(run: Run) -> Code:
    """Return the modules that a run's study names, what they import, and what models were built from.

    Raises:
        RunError: One of these files has changed since the trials were trained, or no longer exists.
    """
    settings = run.study.model_dump(mode="json")
    named = (Path(part["folder"]) for part in code_settings(settings))
    folder = next(named, None) or _loader_folder(run, settings)
    if folder is None:
        return Code({})
    read: dict[str, str] = {}
    for result in run.trial_results.values():
        read |= result.files
    inside = {name: digest for name, digest in read.items() if (folder / name).is_relative_to(folder)}
    inside = {name: digest for name, digest in inside.items() if ".." not in Path(name).parts}
    for name, digest in inside.items():
        _require_unchanged(run, folder, name, digest)
    files = {name: folder / name for name in inside}
    others = [name for name in read if name not in inside]
    for file in _modules(settings, folder):
        if file.is_relative_to(folder):
            files[file.relative_to(folder).as_posix()] = file
        elif file.as_posix() not in others:
            others.append(file.as_posix())
    return Code(files, tuple(sorted(Path(name).name for name in others)))


def _loader_folder(run: Run, settings: dict[str, Any]) -> Path | None:
    """Return the folder of the function that returned the images, if there is one."""
    dataset = settings["dataset"]
    return run.folder / dataset["path"] if dataset["loader"] and dataset["path"] else None


def _require_unchanged(run: Run, folder: Path, name: str, digest: str) -> None:
    """Raise an error if a file is not what trials were trained with: nobody could repeat them."""
    file = folder / name
    if not file.is_file():
        raise RunError(
            f"{run.folder} cannot be packed: {file}, from which models were built, no longer exists."
        )
    if file_digest(file) != digest:
        raise RunError(
            f"{run.folder} cannot be packed: {file}, from which models were built, has changed since. The "
            "same `ablation run` command trains its trials again."
        )


def _modules(settings: Any, folder: Path) -> Iterator[Path]:
    """Yield the files of the user's modules that settings name, with those that they import."""
    names = [settings["dataset"]["loader"] or ""]
    for part in code_settings(settings):
        names += [f"{part['custom_objects']}:all" if part.get("custom_objects") else "", *texts_in(part)]
    modules = [found[1] for name in names if (found := _OBJECT.match(name))]
    for module in dict.fromkeys(modules):
        yield from (known.file for known in user_modules(module, folder).values())
