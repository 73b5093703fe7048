"""A trial that never raises an exception: whatever goes wrong in it becomes its result."""

from __future__ import annotations

import os
import time
import traceback
from bdb import BdbQuit
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any

from ablation.grid.study import SaveModels
from ablation.grid.trial import Trial, TrialResult
from ablation.grid.user_code import error_summary
from ablation.tensorflow_setup import standard_keras
from ablation.training.provenance import worker_provenance
from ablation.training.trial_runner import run_trial

_INLINE = "`--executor inline`"  # in this process, where the keyboard is
OUT_OF_MEMORY = "out of memory"  # how the cause of such a failure begins


def attempt(trial: Trial, dataset: Any, folder: Path, save_model: SaveModels, report: Any) -> TrialResult:
    """Run a trial as `run_trial` does; an exception becomes a failed result, with a traceback in a file.

    Args:
        trial: What to train.
        dataset: What to train it on, an `ablation.data.datasets.Dataset`.
        folder: Where the trial's files go, ``error.txt`` with the traceback among them.
        save_model: Whether to keep the trained model; see `run_trial`.
        report: Called with the record of each epoch.
    """
    started = time.perf_counter()
    try:
        with chdir(os.curdir), standard_keras(trial.training.precision):
            return run_trial(trial, dataset, folder.absolute(), save_model, report)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        seconds = time.perf_counter() - started
        return failed(trial, folder, error, seconds, worker_provenance(trial.threads))


def failed(
    trial: Trial, folder: Path, error: BaseException, seconds: float, provenance: dict[str, str]
) -> TrialResult:
    """Return the result of a trial that an exception ended, and leave its traceback in ``error.txt``."""
    with suppress(OSError):  # a full disk may be the very error to report
        text = "".join(traceback.format_exception(error))
        (folder / "error.txt").write_text(text, "utf-8", errors="backslashreplace")
    return TrialResult(
        trial_id=trial.id, status="failed", cause=_cause(error), seconds=seconds, provenance=provenance
    )


def _cause(error: BaseException) -> str:
    """Return an exception as one line; for a lack of memory, with what to change."""
    reason = error_summary(error)
    lacks_memory = "RESOURCE_EXHAUSTED" in reason or type(error).__name__ == "ResourceExhaustedError"
    if isinstance(error, MemoryError) or lacks_memory:
        return f"{OUT_OF_MEMORY}; try a smaller batch_size or width, or fewer --workers ({reason})"
    if isinstance(error, BdbQuit) or (isinstance(error, EOFError) and "reading a line" in reason):
        return f"{reason}; nobody can answer a worker: remove `input()` and `breakpoint()`, or use {_INLINE}"
    if "determinis" in reason and "not" in reason:
        return f"{reason.rstrip('.')}; `engine: jax` has a deterministic form of most operations"
    return reason
