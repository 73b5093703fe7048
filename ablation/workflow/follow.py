"""Following a run from outside, from change to change."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ablation.results.live import LiveRun, LiveState
from ablation.results.run import Run


def follow_run(
    folder: str | Path, on_change: Callable[[Run, LiveState], object], seconds: float = 2.0
) -> LiveState:
    """Call a function with a run, and again whenever a trial starts, ends an epoch or ends.

    Any process on any machine that shares the folder may train it. Nothing is written.

    Args:
        folder: The run folder.
        on_change: The function; its run has the results so far.
        seconds: How long to wait between two looks.

    Returns:
        The state of the run when no process trained it any more.

    Raises:
        RunError: The folder is not a run folder.
    """
    live = LiveRun(folder)
    before: object = None
    while True:
        state = live.look()
        now = state.phase, [(trial.status, trial.epoch) for trial in state.trials]
        if now != before:
            on_change(Run(folder), state)
            before = now
        if state.phase in ("ended", "stopped"):
            return state
        time.sleep(seconds)
