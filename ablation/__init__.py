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
    from ablation.errors import AblationError
    from ablation.grid import Study, Variant
    from ablation.merge import merge_runs
    from ablation.run import Run
    from ablation.shard import Shard
    from ablation.study import run_study
    from ablation.trial import Trial, TrialResult

__all__ = [
    "AblationError",
    "Run",
    "Shard",
    "Study",
    "Trial",
    "TrialResult",
    "Variant",
    "merge_runs",
    "run_study",
]

_HOMES = {
    "AblationError": "errors",
    "Run": "run",
    "Shard": "shard",
    "Study": "grid",
    "Trial": "trial",
    "TrialResult": "trial",
    "Variant": "grid",
    "merge_runs": "merge",
    "run_study": "study",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `ablation --help` answers at once."""
    if name in _HOMES:
        return getattr(import_module(f"ablation.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ablation' has no attribute '{name}'")
