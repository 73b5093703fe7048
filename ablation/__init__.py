"""Ablation studies of small image classifiers: paired seeds, honest gaps, one report.

>>> import ablation
>>> study = ablation.Study.from_yaml("experiments/grid.yaml")  # doctest: +SKIP
>>> run = study.run()  # doctest: +SKIP
>>> run.results, run.history, run.comparisons  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablation.api import (
        Run,
        SearchRun,
        Study,
        collect,
        deal,
        merge_runs,
        run_search,
        run_study,
        watch_run,
    )
    from ablation.errors import AblationError
    from ablation.executors.contract import Executor, ExecutorOptions, Progress, Task
    from ablation.executors.shard import Shard
    from ablation.figures.style import Drawing
    from ablation.grid.dataset_settings import DatasetSettings
    from ablation.grid.study import Variant
    from ablation.grid.trial import Trial, TrialResult
    from ablation.search.settings import Search

__all__ = [
    "AblationError",
    "DatasetSettings",
    "Drawing",
    "Executor",
    "ExecutorOptions",
    "Progress",
    "Run",
    "Search",
    "SearchRun",
    "Shard",
    "Study",
    "Task",
    "Trial",
    "TrialResult",
    "Variant",
    "collect",
    "deal",
    "merge_runs",
    "run_search",
    "run_study",
    "watch_run",
]

_MODULES = {
    "AblationError": "errors",
    "DatasetSettings": "grid.dataset_settings",
    "Drawing": "figures.style",
    "Executor": "executors.contract",
    "ExecutorOptions": "executors.contract",
    "Progress": "executors.contract",
    "Run": "api",
    "Search": "search.settings",
    "SearchRun": "api",
    "Shard": "executors.shard",
    "Study": "api",
    "Task": "executors.contract",
    "Trial": "grid.trial",
    "TrialResult": "grid.trial",
    "Variant": "grid.study",
    "collect": "api",
    "deal": "api",
    "merge_runs": "api",
    "run_search": "api",
    "run_study": "api",
    "watch_run": "api",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `ablation --help` answers at once."""
    if name in _MODULES:
        return getattr(import_module(f"ablation.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'ablation' has no attribute '{name}'")
