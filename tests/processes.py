"""Commands as processes of their own, for tests that end them by force, and in this process, for all others."""

from __future__ import annotations

import gc
import io
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TypeVar

import pandas as pd
import psutil
import pytest

from ablation.cli.app import main

T = TypeVar("T")

PATIENCE = 300  # seconds until an event that does not come is a failure, on however busy a machine
SOON = 60  # the same for the end of what was stopped, which would otherwise train for longer


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


def wait_until(found: Callable[[], T], seconds: float = PATIENCE) -> T:
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


def in_this_process(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command here, where TensorFlow is imported already, and return what a process of its own would.

    An exception of the command, of which a process would print the traceback, is raised.
    """
    code, out, err, on_signal = 0, io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    collected_after = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["ablation", *map(str, arguments)])
        patch.setattr(sys, "__stdout__", out)  # where JSON goes
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # which the command replaces
        if cwd:
            patch.chdir(cwd)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, on_signal)
            gc.set_threshold(*collected_after)
    return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())


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
