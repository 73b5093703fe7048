"""What the shell offers to complete a command line with; nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    from ablation.plugins import Kind

import typer

_NO_FIGURES = (
    "__init__",
    "catalogue",
    "drawing",
    "fonts",
    "image_panels",
    "line_legend",
    "model_graph",
    "naming",
    "parallel_drawing",
    "style",
    "column",
    "line_legend",
    "naming",
    "palette",
    "readable",
    "saving",
)


def figure_names(incomplete: str) -> list[str]:
    """Return the figures' names, which are those of their modules."""
    modules = sorted(file.stem for file in (Path(__file__).parents[1] / "figures").glob("*.py"))
    names = [name for name in modules if name not in _NO_FIGURES]
    return _beginning(incomplete, [*names, *_of_plugins("figure", names)])


def runs(incomplete: str) -> list[str]:
    """Return the run folders in their usual place, the newest first."""
    from ablation.store.run_folder import RUNS, runs_below

    return _beginning(incomplete, [str(folder) for folder in runs_below(RUNS)])


def grid_files(incomplete: str) -> list[str]:
    """Return the YAML files that begin so, here or one folder below."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    found = [file for pattern in ("*.y*ml", "*/*.y*ml") for file in sorted(folder.glob(pattern))]
    return _beginning(incomplete, [str(file) for file in found])


def setting_keys(incomplete: str) -> list[str]:
    """Return the keys of a grid file with dots, and those that can be factors once that is asked for."""
    from ablation.grid.key_places import MODEL_KEYS, SECTIONS, STUDY_KEYS, TRAINING_KEYS
    from ablation.grid.study import StudyOptions

    if incomplete.startswith("factors."):
        keys = [f"factors.{key}" for key in sorted(MODEL_KEYS | TRAINING_KEYS)]
    else:
        keys = [f"{section}.{key}" for section, names in SECTIONS.items() for key in sorted(names)]
        keys += sorted(STUDY_KEYS & StudyOptions.model_fields.keys() - SECTIONS.keys())
        keys += ["study", "baseline"]
        keys.append("factors.")
    return _beginning(incomplete, [key if key.endswith(".") else f"{key}=" for key in keys])


def variants(context: typer.Context, incomplete: str) -> list[str]:
    """Return the variants of the grid file that the command line names before; none of one with a mistake."""
    from ablation.errors import AblationError
    from ablation.grid.grid_file import read_study
    from ablation.grid.overrides import parse_overrides

    named = (context.params.get("file"), context.params.get("grid"), *context.args)  # before a lone --only
    file = next(filter(None, named), None)
    try:
        overrides = parse_overrides(context.params.get("settings") or ())
        study = read_study(Path(file), False, overrides) if file else None
    except AblationError:
        return []
    return _beginning(incomplete, [variant.name for variant in study.variants] if study else [])


def executors(incomplete: str) -> list[str]:
    """Return the executors' names."""
    from ablation.executors.contract import EXECUTORS

    return _beginning(incomplete, [*EXECUTORS, *_of_plugins("executor", EXECUTORS)])


def datasets(incomplete: str) -> list[str]:
    """Return the datasets' names."""
    from ablation.grid.dataset_settings import DATASETS

    return _beginning(incomplete, [*DATASETS, *_of_plugins("reader", DATASETS)])


def engines(incomplete: str) -> list[str]:
    """Return the engines' names."""
    from ablation.grid.study import Engine

    return _beginning(incomplete, get_args(Engine))


def formats(incomplete: str) -> list[str]:
    """Return the formats to export to."""
    from ablation.export import FORMATS

    return _beginning(incomplete, [*FORMATS, *_of_plugins("exporter", FORMATS)])


def _of_plugins(kind: Kind, ours: Collection[str]) -> list[str]:
    from ablation.errors import AblationError
    from ablation.plugins import plugins

    with suppress(AblationError):  # the command itself says what is wrong
        return list(plugins(kind, ours))
    return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
