"""Processes that a user's code starts in a worker neither hold it up nor outlive it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from processes import SOON, wait_until

from ablation import Study, run_study

MODULE = """
import os, time
from pathlib import Path

def build(image_shape, classes, dies=False):
    if os.fork() == 0:
        time.sleep(1000)
        os._exit(0)
    if os.fork() == 0:  # a daemon, which is in no process group of ours
        os.setsid()
        Path(__file__).with_name("daemon").write_text(str(os.getpid()))
        time.sleep(1000)
        os._exit(0)
    if dies:
        os._exit(3)
    time.sleep(1000)
"""


@pytest.mark.unix
@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize(
    ("dies", "cause"),
    [
        (False, "was stopped after its timeout of 2 s, with 0 epochs completed"),
        pytest.param(
            True, "the worker process died 2 times, the last time with exit code 3;", marks=pytest.mark.slow
        ),
    ],
)
def test_a_child_that_a_users_code_forked_holds_nothing_up(dies: bool, cause: str, tmp_path: Path) -> None:
    (tmp_path / f"forking_{dies}.py").write_text(MODULE)
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "{study: s, dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}, seeds: 1, "
        f"model: {{builder: 'forking_{dies}:build', dies: {str(dies).lower()}}}, timeout: 2}}"
    )
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    run = run_study(Study.from_yaml(grid), tmp_path / "run", workers=1)
    assert run.results["cause"].tolist()[0].startswith(cause)
    daemon = psutil.Process(int((tmp_path / "daemon").read_text()))
    assert daemon.is_running()  # so that the run did not wait for it
    daemon.kill()
    wait_until(lambda: {c.pid for c in psutil.Process().children(recursive=True)} <= before, SOON)
