"""Merging the run folders of machines that share no folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ablation.errors import RunError
from ablation.export.tables import write_tables
from ablation.grid.study import Study
from ablation.grid.study_diff import study_changes
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.report.write import write_report
from ablation.results.left_out import trained_by_earlier_code
from ablation.results.run import Run
from ablation.store.model_layers import merge_accounts
from ablation.store.run_folder import Store
from ablation.training.provenance import differences

_RunAndResult = tuple[Run, TrialResult]
_BEST_FIRST = ("completed", "diverged", "timeout", "failed")


def merge_runs(folders: Sequence[str | Path], out: str | Path) -> Run:
    """Merge runs of one study, with the same or different seeds, into one folder, and write its report.

    Trials are copied as they are. Those of ``out`` stay, damaged trials are left out, and trials that are in
    none of the folders are pending.

    Args:
        folders: The run folders to merge; they are only read.
        out: The folder to merge them into: a new one, or a run folder of the same study.

    Raises:
        RunError: A folder is not a run folder, or the runs cannot be merged; nothing was written.
    """
    store = Store(out)
    runs = [Run(folder) for folder in folders]
    if store.study_file.is_file():
        runs = [Run(out), *(run for run in runs if run.folder.resolve() != store.folder.resolve())]
    for run in runs[1:]:
        _refuse_strangers(runs[0], run)
    study = _joined([run.study for run in runs])
    trials = study.trials(runs[0].dataset.digest)
    _refuse_outdated(runs)
    chosen = {trial.id: choice for trial in trials if (choice := _choose(trial, runs))}
    with store.locked():
        with store.exclusive():
            store.open(study, runs[0].dataset)
            store.declare(_declared(runs, study))
        merge_accounts(store, [run.store for run in runs])
        for trial in trials:
            if trial.id in chosen:
                store.adopt(chosen[trial.id][0].store, trial)
        merged = Run(store.folder)
        write_tables(merged)
        write_report(merged)
    return merged


def _refuse_strangers(first: Run, other: Run) -> None:
    """Raise an error if two runs differ in more than their seeds."""
    changes = [line for line in study_changes(first.study, other.study) if not line.startswith("seeds: ")]
    if first.study.seeds != other.study.seeds and (first.study.further_seeds or other.study.further_seeds):
        changes.append("seeds were added to variants that were unresolved")
    if not changes and first.trials[0].dataset_digest != other.trials[0].dataset_digest:
        changes = [f"their images differ, {first.dataset.describe()} and {other.dataset.describe()}"]
    if changes:
        more = len(changes) - 1
        further = f", and {counted(more, 'further difference')}" if more else ""
        raise RunError(
            f"{first.folder} and {other.folder} cannot be merged: {changes[0]}{further}. Only their seeds "
            "may differ."
        )


def _refuse_outdated(runs: Sequence[Run]) -> None:
    """Raise an error if a trial that no run has was trained in one of them by another version of the code."""
    for run in runs:
        reasons = trained_by_earlier_code(run)
        for trial in run.trials:
            if trial.id in reasons and not any(trial.id in other.trial_results for other in runs):
                raise RunError(
                    f"{run.folder} cannot be merged: {trial.variant} seed {trial.seed} was trained in it, "
                    f"but {reasons[trial.id]}. The same `ablation run` command trains it again."
                )


def _joined(studies: Sequence[Study]) -> Study:
    """Return the study with the seeds of all studies."""
    seeds = sorted({seed for study in studies for seed in study.seeds})
    return studies[0].model_copy(update={"seeds": tuple(seeds)})


def _declared(runs: Sequence[Run], study: Study) -> tuple[Study, str] | None:
    """Return what was declared before the first trial; None if that is not known.

    If a run was changed since its first trial, what that run declared is returned, so that the change shows.
    """
    if any(run.changes is None for run in runs):
        return None
    changed = [run for run in runs if run.changes]
    first = changed[0].store.declared() if changed else (study, runs[0].dataset.digest)
    return (first[0].model_copy(update={"seeds": study.seeds}), first[1]) if first else None


def _choose(trial: Trial, runs: Sequence[Run]) -> _RunAndResult | None:
    """Return the best result of a trial and its run, the first of several equally good ones.

    Raises:
        RunError: The trial was finished in two runs, with different numbers or predictions.
    """
    candidates = [
        (run, result)
        for run in runs
        if (result := run.trial_results.get(trial.id)) and not run.store.damage(trial)
    ]
    finished = [(run, result) for run, result in candidates if result.status in ("completed", "diverged")]
    for other in finished[1:]:
        if what := _contradiction(trial, finished[0], other):
            raise RunError(
                f"{trial.id} has different {what} in {other[0].folder} and in {finished[0][0].folder}"
                f"{_why(finished[0][1], other[1])}. Remove one of the two by deleting its folder in trials/, "
                "and merge again."
            )
    return min(candidates, key=lambda pair: _BEST_FIRST.index(pair[1].status), default=None)


def _contradiction(trial: Trial, first: _RunAndResult, other: _RunAndResult) -> str:
    """Name what differs between two results of a trial; empty if nothing does."""
    if first[1].numbers != other[1].numbers:
        return "numbers"
    ours, theirs = (run.store.test_probabilities(trial) for run, _ in (first, other))
    if ours is None or theirs is None or np.array_equal(ours, theirs, equal_nan=True):
        return ""
    if ours.shape != theirs.shape:
        return "predictions"
    differing = int((ours != theirs).any(axis=1).sum())
    return f"predictions for {counted(differing, 'test image')}, but the same metrics,"


def _why(first: TrialResult, other: TrialResult) -> str:
    """Say what tells the two apart that a trial's results come from."""
    reasons = [
        f"{key}: {' and '.join(values)}"
        for key, values in differences([first.provenance, other.provenance]).items()
    ]
    files = [name for name, digest in other.files.items() if first.files.get(name, digest) != digest]
    if files:
        reasons.append(f"their models were built from different versions of {', '.join(files)}")
    return f" ({'; '.join(reasons)})" if reasons else ", although both record the same environment"
