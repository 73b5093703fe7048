"""What follows from the trials is written by one process at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ablation import Run
from ablation.store import lock
from ablation.store.lock import active_holders, deriving

WRITE = (
    "import sys\nfrom ablation import Run\n"
    "run = Run(sys.argv[1])\nrun.write_tables()\nrun.draw_figures(['forest', 'per_class'])\nprint('written')\n"
)


def test_two_processes_write_one_after_the_other(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    names = ("results.csv", "figures/forest.png", "figures/forest.svg", "figures/per_class.png")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [(*writer.communicate(), writer.returncode) for writer in writers]
    assert [(out, code) for out, _, code in ended] == [("written\n", 0)] * 2, ended
    assert all((folder / name).read_bytes() == (finished_run.folder / name).read_bytes() for name in names)
    assert not list(folder.rglob("*.partial"))


def test_whoever_holds_it_may_ask_again_and_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deriving(tmp_path), deriving(tmp_path):
        assert active_holders(tmp_path, "run") == []  # it is no part of a run
        code = (
            "import sys\nfrom pathlib import Path\nfrom ablation.store import lock\nlock._PATIENCE = 0.1\n"
            "with lock.deriving(Path(sys.argv[1])): pass"
        )
        waiting = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
        )
        assert waiting.stderr.splitlines()[-1] == (
            f"ablation.errors.RunError: {tmp_path}: another process has been writing tables, figures or reports for "
            "ten minutes. Wait until it ends, or end it."
        )
    assert not lock._of_derived[tmp_path].is_locked
