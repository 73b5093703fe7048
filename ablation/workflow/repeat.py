"""Training one trial again, to see whether it gives the same bits."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablation.errors import RunError, did_you_mean
from ablation.executors.contract import Task
from ablation.executors.make import make_executor
from ablation.grid.study import Engine
from ablation.grid.trial import Trial, TrialResult, content_of
from ablation.results.run import Run
from ablation.training.provenance import SEEDS_AT_ONCE, numeric


@dataclass(frozen=True)
class Repetition:
    """How a trial that was trained again compares with its result in the run.

    Attributes:
        trial: The trial.
        result: Its result in the run.
        again: Its new result.
        differences: What differs, one line each; empty if every number is the same, bit for bit.
        environment: In what the environments differ that can change bits, one line each.
    """

    trial: Trial
    result: TrialResult
    again: TrialResult
    differences: tuple[str, ...]
    environment: tuple[str, ...]


def repeat_trial(run: Run, trial_id: str | None = None, executor: str = "local") -> Repetition:
    """Train a trial of a run again, and compare every number of it; the run folder is only read.

    Args:
        run: The run.
        trial_id: The id of a trial that completed or diverged; by default the one that was trained fastest.
        executor: ``local``, a process of its own, or ``inline``, this process.

    Raises:
        RunError: There is no such trial, or its result is missing or damaged; or the images are missing.
    """
    trial = _chosen(run, trial_id)
    result = run.trial_results[trial.id]
    _ = run.dataset  # raises if the images are missing or damaged
    engine: Engine = "jax" if "jax" in result.provenance else "tensorflow"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, trial.id)
        folder.mkdir()
        runner = make_executor(executor, 1, trial.threads, Path(scratch, "logs"), engine=engine)
        with closing(runner):
            task = Task(trial, folder)
            ((_, again),) = runner.run([task], run.store.dataset_file, trial.threads, lambda _: None)
        return Repetition(
            trial,
            result,
            again,
            tuple(_differences(run, trial, again, folder)),
            tuple(_environment(result, again)),
        )


def _chosen(run: Run, trial_id: str | None) -> Trial:
    """Return the trial to train.

    Raises:
        RunError: There is none.
    """
    finished = {
        trial.id: trial
        for trial in run.trials
        if (result := run.trial_results.get(trial.id)) and result.status in ("completed", "diverged")
    }
    if not finished:
        raise RunError(f"{run.folder} has no finished trial that could be repeated.")
    if trial_id is None:
        return finished[min(finished, key=lambda name: run.trial_results[name].seconds)]
    by_content = {content_of(name): trial for name, trial in finished.items()}
    chosen = finished.get(trial_id) or by_content.get(content_of(trial_id) or "-")
    if chosen is None:
        raise RunError(f"--trial: there is no finished trial '{trial_id}'.{did_you_mean(trial_id, finished)}")
    return chosen


def _differences(run: Run, trial: Trial, again: TrialResult, folder: Path) -> list[str]:
    """Return what differs between a trial of a run and its repetition, the files of which are in a folder."""
    result = run.trial_results[trial.id]
    if again.status != result.status:
        return [f"status: {result.status} before, {again.status} now{again.cause and f' ({again.cause})'}"]
    before, now = result.numbers, again.numbers
    lines = []
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            values = f"{before.get(name, 'nothing')} before, {now.get(name, 'nothing')} now"
            lines.append(f"{name}: {'other numbers' if name.startswith('epoch ') else values}")
    old, new = run.store.test_probabilities(trial), folder / "test_probabilities.npy"
    if old is not None and (not new.is_file() or not np.array_equal(old, np.load(new), equal_nan=True)):
        lines.append("test probabilities: other numbers")
    return lines


def _environment(result: TrialResult, again: TrialResult) -> list[str]:
    """Return in what two trainings of a trial differ that can change bits, files of the user's included."""
    before, now = ({**numeric(r.provenance), SEEDS_AT_ONCE: _together(r)} for r in (result, again))
    lines = [f"{key}: {before[key]} before, {now[key]} now" for key in before if before[key] != now[key]]
    changed = [name for name, digest in again.files.items() if result.files.get(name, digest) != digest]
    return lines + [f"{name} has changed since the trial was trained" for name in changed]


def _together(result: TrialResult) -> str:
    """Return how many seeds were trained together, which changes the rounding of JAX."""
    return result.provenance.get(SEEDS_AT_ONCE, "1")
