"""A grid that takes a user's model apart, written from what is found in the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, RunError, writing
from ablation.grid.builder import Builder
from ablation.grid.model_file import SUFFIXES
from ablation.grid.settings import AblatedModelSettings, FileSettings
from ablation.grid.trial import slug
from ablation.grid.user_files import file_digest
from ablation.grid.value_text import written
from ablation.models.ablated.proposals import MOST, Proposal
from ablation.models.saved_training import flow_text, saved_training
from ablation.models.user_model import Parts, parts_of
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.scaffold import GRID, rendered
from ablation.workflow.schema import SCHEMA, write_schema

_DATASETS = {((32, 32, 3), 10): "cifar10", ((32, 32, 3), 100): "cifar100", ((28, 28, 1), 10): "mnist",
             ((8, 8, 1), 10): "digits"}  # fmt: skip
_HEADINGS = {
    "regulariser": "regularisers",
    "branch": "branches: the one with the most layers goes, the shortcut stays",
    "block": "repeated blocks",
    "layer": "single layers",
}
_CROSSED = 2  # so many parts are crossed: each of them alone, and both


@dataclass(frozen=True)
class _Source:
    name: str  # as the user names it
    settings: AblatedModelSettings
    written: str  # the section `model:`


def write_ablation(source: str, folder: str | Path = ".") -> list[Path]:
    """Write a grid file that takes a model apart, and its schema for editors; return their paths.

    Its regularisers are parts of the grid: without any, its branches, or else its layers. Whatever else is
    found is there as a comment.

    Args:
        source: A file that Keras has saved, or a function that builds the model, ``module:function``.
        folder: The folder to write to, which need not exist yet. A module is looked for there.

    Raises:
        AblationError: There is no such model, or it cannot be taken apart.
        RunError: The grid file exists, or cannot be written.
    """
    folder = Path(folder)
    file = folder / GRID
    if file.exists():
        raise RunError(f"{file} already exists; choose another folder, or move the file away.")
    found = _source(source, folder)
    with quiet_stderr():
        parts = parts_of(found.settings)
        is_file = isinstance(found.settings, FileSettings)
        training = saved_training(found.settings) if isinstance(found.settings, FileSettings) else {}
    text = rendered(
        "ablation.yaml", source=source, name=GRID, schema=SCHEMA, study=found.name, is_file=is_file,
        model=found.written, training={key: flow_text(value) for key, value in training.items()},
        **_images(parts), **_parts(parts.proposals),
    )  # fmt: skip
    schema = write_schema(folder / SCHEMA)
    with writing(folder):
        file.write_text(text, "utf-8")
    return [file, schema]


def _source(source: str, folder: Path) -> _Source:
    """Return the model that a user names."""
    if source.endswith(SUFFIXES):
        path = Path(source).expanduser()
        if not path.is_file():
            raise AblationError(f"--from: there is no file {source}.")
        relative = os.path.relpath(path.absolute(), folder.absolute())
        place = relative if not relative.startswith("..") or not path.is_absolute() else str(path)
        settings = FileSettings(
            file=str(path.absolute()), folder=str(folder.absolute()), source=file_digest(path)
        )
        return _Source(written(slug(path.stem)), settings, f"file: {written(place)}")
    if ":" not in source:
        raise AblationError(
            "--from: expected a model that Keras has saved, like model.keras, or a function that builds one, "
            f"like my_models:build, not '{source}'."
        )
    builder = Builder.load(source, folder.absolute())
    return _Source(written(slug(source.replace(":", "-"))), builder.settings({}), f"builder: {source}")


def _images(parts: Parts) -> dict[str, Any]:
    shape = " × ".join(map(str, parts.image_shape))
    dataset = _DATASETS.get((parts.image_shape, parts.classes), "")
    return {"dataset": dataset, "shape": shape, "classes": parts.classes}


def _parts(found: list[Proposal]) -> dict[str, Any]:
    """Return what the template needs to list the parts that were found."""
    removals = [proposal for proposal in found if proposal.kind in _HEADINGS]
    active = [p for p in removals if p.kind == (removals[0].kind if removals else "")]
    if not removals:
        raise AblationError("the model has no part that could be removed.")
    groups = []
    for kind, group in groupby(removals, key=lambda proposal: proposal.kind):
        listed = [(proposal, proposal in active) for proposal in group]
        groups.append((_HEADINGS[kind] + (f" (the first {MOST})" if len(listed) == MOST else ""), listed))
    is_crossed = active[0].kind == "regulariser" and len(active) <= _CROSSED
    return {
        "width": max(len(proposal.written) for proposal in found) + 4,
        "removals": groups,
        "how": "all" if is_crossed else "leave_one_out",
        "activations": [p for p in found if p.kind == "activation"],
        "arguments": [p for p in found if p.kind == "argument"],
    }
