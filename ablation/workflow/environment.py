"""What a study's earlier trials say of the environment in which the rest would be trained."""

from __future__ import annotations

from collections.abc import Iterable

from ablation.grid.study import Engine
from ablation.grid.trial import TrialResult
from ablation.grid.value_text import counted
from ablation.training.provenance import environment_here, numeric


def environment_notes(results: Iterable[TrialResult], engine: Engine, threads: int) -> list[str]:
    """Say in what this machine differs from where trials that count were trained; empty if in nothing.

    Args:
        results: The results of the study so far.
        engine: The engine that will train the rest.
        threads: The number of threads per trial.
    """
    earlier = [
        numeric(result.provenance)
        for result in results
        if result.provenance and result.status in ("completed", "diverged")
    ]
    changes = []
    for key, now in environment_here(engine, threads).items():
        values = [provenance[key] for provenance in earlier if provenance[key] != now]
        counts = {value: values.count(value) for value in values}
        before = " and ".join(f"'{value}' in {counted(n, 'trial')}" for value, n in counts.items())
        changes += [f"{key} was {before} and is '{now}' now"] if before else []
    if not changes:
        return []
    return [
        f"This environment is not that of earlier trials: {'; '.join(changes)}. The same trial can give "
        "other numbers here. Only pairs whose trials ran in the same environment are compared; a pair of "
        "trials from two environments is left out."
    ]
