"""Exports that are killed at any moment: the next one is complete, and holds nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_trackers import GRID, aim_runs, failed, files_below, offline_run
from untrained_runs import untrained_run

from ablation import Run

pytestmark = pytest.mark.unix

# Each export is a forked process, which dies with the n-th change that it makes to a file below the folder.
KILLED = """
import os, signal, sys
from ablation import Run
from ablation.export.formats import export_run

folder, uri, formats, moments = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect")

def export(moment):
    left = [moment]

    def count(event, arguments):
        writes = event in CHANGES or event == "open" and "r" not in (arguments[1] or "r")
        if writes and folder in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    for name in formats:
        export_run(Run(folder + "/run"), [name], uri if name == "mlflow" else None)

deaths = 0
for moment in [*map(int, moments), 0]:  # the last one is not killed
    pid = os.fork()
    if not pid:
        try:
            export(moment)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    _, status = os.waitpid(pid, 0)
    deaths += os.WIFSIGNALED(status)
print(deaths, status)
"""


def exported(folder: Path, formats: str, moments: str = "", uri: str = "") -> tuple[int, int]:
    """Export a run again and again, killed at each of the moments; return the deaths, and how the last one ended."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED.replace("map(int, moments)", "map(int, filter(None, moments))"),
         str(folder), uri, formats, moments],
        capture_output=True, text=True, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, check=False,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    deaths, ending = done.stdout.split()[-2:]
    return int(deaths), int(ending)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the run of two trials, one of which failed, and its tables."""
    folder = tmp_path / "killed"
    folder.mkdir()
    run = untrained_run(GRID, folder, lambda t, made: made if t.variant == "plain" else failed(made))
    run.write_tables()
    (run.folder / "report.md").write_text("# A report", "utf-8")
    return folder


def test_files_are_those_of_an_export_that_was_never_killed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "whole")  # with the times of its files
    moments = [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20]
    formats = "tensorboard,dvc,parquet"
    assert exported(folder, formats, ",".join(map(str, moments))) == (len(moments), 0)
    assert exported(tmp_path / "whole", formats) == (0, 0)
    left, whole = (files_below(root / "run") for root in (folder, tmp_path / "whole"))
    left = {file: content for file, content in left.items() if not file.name.endswith(".partial")}
    assert {file.relative_to(folder): content for file, content in left.items()} == {
        file.relative_to(tmp_path / "whole"): content for file, content in whole.items()
    }
    assert len(pd.read_parquet(folder / "run" / "results.parquet")) == 2


@pytest.mark.slow
def test_mlflow_holds_each_trial_once_and_the_users_own_runs_still(folder: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    assert exported(folder, "mlflow", "1,2,3", uri) == (3, 0)
    client = mlflow.MlflowClient(uri)
    own = client.create_run(client.create_experiment("my own")).info
    assert exported(folder, "mlflow", "1,2", uri)[1] == 0
    found = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert sorted(run.info.run_name for run in found) == ["+Dropout, seed 1", "plain, seed 1", "tiny"]
    assert client.get_run(own.run_id).info.experiment_id == own.experiment_id


@pytest.mark.slow
def test_wandb_holds_each_trial_once(folder: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    assert exported(folder, "wandb", "1,2,3,5,8,13")[1] == 0
    folders = list((folder / "run" / "wandb").glob("offline-run-*"))
    names = [offline_run(one)["run"].display_name for one in folders]
    assert sorted(names) == ["+Dropout, seed 1", "plain, seed 1", "report"]


@pytest.mark.slow
def test_aim_holds_each_trial_once(folder: Path) -> None:
    pytest.importorskip("aim", reason="needs the extra aim: 16 packages of 190 MB, and filelock below 4")
    assert exported(folder, "aim", "1,2,3,4,5,6,7,8,9")[1] == 0
    assert sorted(aim_runs(str(Run(folder / "run").folder / "aim"))) == [
        "+Dropout, seed 1", "plain, seed 1", "report",
    ]  # fmt: skip
