"""Whatever ends a run, at whatever moment: started again, it comes to the same bytes.

pytest -m slow tests/workflow/test_crash_recovery.py
"""

from __future__ import annotations

import random
import signal
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import TINY_GRID
from processes import SOON, command, finish, start, wait_until, workers_of

from ablation.training.checkpoint import CHECKPOINT

KILLS = 20
TABLES = ["results", "history", "comparisons", "confusion", "pairing", "variance_shift"]


def contents(out: Path) -> dict[str, object]:
    """Return every table, times aside, and every prediction, byte for byte."""
    found: dict[str, object] = {}
    for name in TABLES:
        table = pd.read_csv(out / f"{name}.csv", dtype=str).drop(
            columns=["seconds", "memory"], errors="ignore"
        )
        found[name] = table.to_csv()
    for file in sorted(out.glob("trials/*/test_probabilities.npy")):
        found[file.parent.name] = file.read_bytes()
    return found


def progress(out: Path) -> list[tuple[Path, int]]:
    """Return the trials and checkpoints that exist, with the time when each was written."""
    files = [*out.glob(f"trials/.running/*/{CHECKPOINT}"), *out.glob("trials/*/result.json")]
    with suppress(FileNotFoundError):  # what was renamed since shows the next time
        return sorted((file, file.stat().st_mtime_ns) for file in files)
    return []


@pytest.mark.unix
@pytest.mark.slow
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    """Runs and workers are killed by SIGKILL at random moments, most of them in the middle of a trial."""
    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    grid.write_text(textwrap.dedent(TINY_GRID).replace("epochs: 2", "epochs: 2000"))
    whole = finish(command(grid, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    randomness = random.Random(0)
    taken_up = kills = 0
    while kills < KILLS:
        process = start(command(grid, out))
        if randomness.random() < 0.2:
            time.sleep(randomness.uniform(0, 6))  # while the workers still import TensorFlow
        else:
            before = progress(out)
            wait_until(lambda: progress(out) != before)  # noqa: B023
            time.sleep(randomness.uniform(0, 4))
        assert process.poll() is None, "the study is too short to be killed so often"
        workers = workers_of(psutil.Process(process.pid))
        if workers and randomness.random() < 0.3:  # a worker first; the run goes on, and is killed after
            randomness.choice(workers).send_signal(signal.SIGKILL)
            kills += 1
            time.sleep(randomness.uniform(0, 4))
        process.kill()
        process.communicate()
        psutil.wait_procs(workers, timeout=SOON)
        kills += 1
        taken_up += len(list(out.glob(f"trials/.running/*/{CHECKPOINT}")))
    last = finish(command(grid, out))
    assert last.returncode == 0, last.stdout + last.stderr
    assert taken_up >= KILLS // 4  # trials were in the middle, and not begun anew
    assert contents(out) == contents(tmp_path / "whole")
    assert not list(out.glob("trials/.running/*"))
