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
        Gate,
        Run,
        SearchRun,
        Study,
        clean_run,
        collect,
        deal,
        follow_run,
        list_runs,
        merge_runs,
        pack_run,
        run_gate,
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
    from ablation.workflow.schema import grid_schema, write_schema

__all__ = [
    "AblationError",
    "DatasetSettings",
    "Drawing",
    "Executor",
    "ExecutorOptions",
    "Gate",
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
    "clean_run",
    "collect",
    "deal",
    "follow_run",
    "grid_schema",
    "list_runs",
    "merge_runs",
    "pack_run",
    "run_gate",
    "run_search",
    "run_study",
    "watch_run",
    "write_schema",
]

_MODULES = {
    "AblationError": "errors",
    "DatasetSettings": "grid.dataset_settings",
    "Drawing": "figures.style",
    "Executor": "executors.contract",
    "ExecutorOptions": "executors.contract",
    "Gate": "api",
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
    "clean_run": "workflow.clean",
    "collect": "api",
    "deal": "api",
    "follow_run": "workflow.follow",
    "list_runs": "results.overview",
    "grid_schema": "workflow.schema",
    "merge_runs": "api",
    "pack_run": "api",
    "run_gate": "api",
    "run_search": "api",
    "run_study": "api",
    "watch_run": "api",
    "write_schema": "workflow.schema",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `ablation --help` answers at once."""
    if name in _MODULES:
        return getattr(import_module(f"ablation.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'ablation' has no attribute '{name}'")
