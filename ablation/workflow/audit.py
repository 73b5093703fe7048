"""Auditing whether the trials of a run are pairs, even before they are trained."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ablation.analysis.pairing import pairing_table, recorded_initial_states
from ablation.errors import RunError
from ablation.grid.named_code import named_code
from ablation.grid.trial import Trial
from ablation.grid.value_text import counted
from ablation.results.run import Run
from ablation.tensorflow_setup import quiet_stderr
from ablation.training.trial_runner import planned_initial_state


def audit_pairing(run: Run, trust: bool = False) -> pd.DataFrame:
    """Return `pairing_table` for every trial of a run; models that are not trained yet are built for it.

    Args:
        run: The run.
        trust: Whether code that the run names may be imported to build them.

    Raises:
        RunError: The run's dataset is missing; or building the models would run code that is not trusted.
    """
    starts = recorded_initial_states(run.trial_results)
    missing = [trial for trial in run.trials if trial.id not in starts]
    if missing:
        if not trust:
            _refuse_code(run, missing)
        with quiet_stderr():
            starts |= {trial.id: planned_initial_state(trial, run.dataset) for trial in missing}
    return pairing_table(run.trials, starts, run.study.baseline)


def _refuse_code(run: Run, trials: Sequence[Trial]) -> None:
    """Refuse to import what a run folder names, because it may be somebody else's."""
    names = dict.fromkeys(name for trial in trials for name in named_code(trial))
    if names:
        are = "is" if len(trials) == 1 else "are"
        raise RunError(
            f"{run.folder}: {counted(len(trials), 'trial')} {are} not trained yet, and building the models "
            f"for the audit would run {', '.join(names)}. If you trust this run, repeat the command with "
            "--trust."
        )
