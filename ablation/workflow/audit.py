"""Auditing whether the trials of a run are pairs, even before they are trained."""

from __future__ import annotations

import pandas as pd

from ablation.analysis.pairing import pairing_table, recorded_initial_states
from ablation.results.run import Run
from ablation.tensorflow_setup import quiet_stderr
from ablation.training.trial_runner import planned_initial_state


def audit_pairing(run: Run) -> pd.DataFrame:
    """Return `pairing_table` for every trial of a run; models that are not trained yet are built for it.

    Raises:
        RunError: The run's dataset is missing.
    """
    starts = recorded_initial_states(run.trial_results)
    missing = [trial for trial in run.trials if trial.id not in starts]
    if missing:
        with quiet_stderr():
            starts |= {trial.id: planned_initial_state(trial, run.dataset) for trial in missing}
    return pairing_table(run.trials, starts, run.study.baseline)
