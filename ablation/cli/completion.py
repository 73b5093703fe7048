"""What the shell offers to complete a command line with; nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablation.plugins import Kind

_NO_FIGURES = (
    "__init__",
    "catalogue",
    "drawing",
    "fonts",
    "image_panels",
    "model_graph",
    "parallel_drawing",
    "style",
    "column",
    "palette",
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


def executors(incomplete: str) -> list[str]:
    """Return the executors' names."""
    from ablation.executors.contract import EXECUTORS

    return _beginning(incomplete, [*EXECUTORS, *_of_plugins("executor", EXECUTORS)])


def datasets(incomplete: str) -> list[str]:
    """Return the datasets' names."""
    from ablation.grid.dataset_settings import DATASETS

    return _beginning(incomplete, [*DATASETS, *_of_plugins("reader", DATASETS)])


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
