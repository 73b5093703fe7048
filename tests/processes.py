"""`ablation run` as a process of its own, for tests that end it by force."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import psutil

T = TypeVar("T")


def command(grid: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", "from ablation.cli.app import main; main()", "run", "--grid", str(grid),
            "--out", str(out), *options]  # fmt: skip


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start a process that hears Ctrl-C, which one that a shell put into the background would not."""
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def wait_until(found: Callable[[], T], seconds: float = 90) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError(f"it did not happen in {seconds} s")


def finished_trials(out: Path) -> list[Path]:
    return [file.parent for file in (out / "trials").glob("*/result.json")]


def wait_for_finished_trials(out: Path, count: int) -> list[Path]:
    return wait_until(lambda: found if len(found := finished_trials(out)) >= count else [])


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if "ablation.training.worker" in child.cmdline()]


def without_times(folder: Path) -> tuple[str, str]:
    """Return the results and the history as text, to be compared byte for byte."""
    results = pd.read_csv(folder / "results.csv", dtype=str).drop(columns=["seconds", "memory"])
    history = pd.read_csv(folder / "history.csv", dtype=str).drop(columns="seconds")
    return results.to_csv(), history.to_csv()


def ablation(
    *arguments: object, cwd: Path | None = None, after: str = ""
) -> subprocess.CompletedProcess[str]:
    code = f"import sys\nfrom ablation.cli.app import main\ntry:\n    main()\nfinally:\n    {after or 'pass'}"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
