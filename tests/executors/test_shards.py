"""A run in parts, as job arrays make it: each trains its trials, and the last one reports."""

from __future__ import annotations

import json
import os
import signal
import textwrap
from pathlib import Path

import pytest
from conftest import TINY_GRID, tiny_trial
from hypothesis import given
from hypothesis import strategies as st
from processes import (
    PATIENCE,
    command,
    finish,
    in_this_process,
    start,
    wait_for_finished_trials,
    without_times,
)

from ablation import Run, Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import GridError, RunError
from ablation.executors.shard import WHOLE, Shard
from ablation.store.lock import active_holders, exclusive, locked
from ablation.store.run_folder import Store


@given(count=st.integers(1, 12), seeds=st.integers(1, 20))
def test_shards_share_no_trial_and_leave_none(tiny_dataset: Dataset, count: int, seeds: int) -> None:
    trials = [
        tiny_trial(tiny_dataset, seed, epochs).model_copy(update={"variant": f"{epochs} epochs"})
        for epochs in (2, 9)
        for seed in range(seeds)
    ]
    parts = [Shard(index, count).take(trials, tiny_dataset) for index in range(1, count + 1)]
    assert sorted(t.id for part in parts for t in part) == sorted(t.id for t in trials)
    long = [sum(t.training.epochs == 9 for t in part) for part in parts]
    assert max(long) - min(long) <= 1  # the long ones are shared out, too


def test_there_is_no_shard_beyond_the_last_one() -> None:
    for index, count in ((9, 8), (0, 8), (1, 0)):
        with pytest.raises(GridError) as error:
            Shard(index, count)
        assert str(error.value) == f"there is no shard {index} of {count}; shards are numbered from 1."


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "a/b", "/", "1/", "-1/4", "1/8/2"])
def test_what_is_no_shard_is_told(text: str) -> None:
    with pytest.raises(GridError) as caught:
        Shard.parse(text)
    assert str(caught.value) == (
        f"--shard: expected I/N with I from 1 to N, like 2/8, not '{text}'. If the job array counts from 0, add 1 "
        "to its index."
    )


@pytest.mark.slow
def test_shards_end_with_the_bytes_of_one_run_and_the_last_one_reports(
    tiny_study: Study, finished_run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for index, expected in ((3, 2), (1, 5), (2, 8)):
        run = run_study(tiny_study, out, executor="inline", shard=Shard(index, 3))
        assert (run.results["status"] == "completed").sum() == expected
        assert (out / "report.html").exists() == (out / "results.csv").exists() == (expected == 8)
    assert without_times(out) == without_times(finished_run.folder)
    assert run.verify().differences == []


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_a_shard_that_died_is_run_again_and_is_then_the_last(tiny_study: Study, tmp_path: Path) -> None:
    class Dies:
        def planned(self, *_: object) -> None: ...
        def progressed(self, *_: object) -> None: ...
        def finished(self, *_: object) -> None:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny_study, out, executor="inline", shard=Shard(1, 2), observer=Dies())
    run_study(tiny_study, out, executor="inline", shard=Shard(2, 2))
    assert not (out / "results.csv").exists()
    run = run_study(tiny_study, out, executor="inline", shard=Shard(1, 2))
    assert (run.results["status"] == "completed").all()
    assert (out / "results.csv").exists()


def test_what_does_not_go_with_a_shard_at_work_is_refused(
    tiny_study: Study, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    store = Store(tmp_path / "run")
    with store.locked("shard-1-of-2"):
        store.open(tiny_study, tiny_dataset)
        owner = json.loads((store.folder / "shard-1-of-2.owner.json").read_text())
        for shard in (WHOLE, Shard(1, 2), Shard(2, 3)):
            with pytest.raises(RunError) as caught:
                run_study(tiny_study, store.folder, shard=shard)
            assert str(caught.value) == (
                f"{store.folder}, shard 1 of 2, is in use by process {os.getpid()} on {os.uname().nodename}, since "
                f"{owner['since']}. Wait until it ends, or choose another folder with --out."
            )
        with pytest.raises(RunError) as caught:
            run_study(tiny_study.with_overrides(seeds=[0, 1, 2]), store.folder, shard=Shard(2, 2))
        assert str(caught.value) == (
            f"{store.folder}: shard 1 of 2 is running another version of the study. Wait until it ends, or choose "
            "another folder with --out."
        )
        run_study(tiny_study, store.folder, only=["plain"], executor="inline", shard=Shard(2, 2))


@pytest.mark.usefixtures("without_report")
def test_shards_that_start_together_need_not_wait_for_the_study_to_be_written(
    tiny_study: Study, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """Whether the folder is new, or has another version of the study."""
    new, old = Store(tmp_path / "new"), Store(tmp_path / "old")
    with new.locked("shard-1-of-2"):  # as one that has not written the study yet
        run_study(tiny_study, new.folder, only=["plain"], executor="inline", shard=Shard(2, 2))
    old.open(tiny_study.with_overrides(seeds=[5]), tiny_dataset)
    with old.locked("shard-1-of-2", lambda beside: old.open(tiny_study, tiny_dataset, beside)):
        run_study(tiny_study, old.folder, only=["plain"], executor="inline", shard=Shard(2, 2))
        with pytest.raises(RunError, match="is running another version of the study"):
            run_study(tiny_study.with_overrides(seeds=[5]), old.folder, shard=Shard(2, 2))
    assert not (old.folder / "shard-2-of-2.owner.json").exists()


@pytest.mark.unix
@pytest.mark.slow
def test_two_shards_work_side_by_side_and_one_of_them_is_killed(tmp_path: Path) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    grid.write_text(textwrap.dedent(TINY_GRID.replace("epochs: 2", "epochs: 500")))
    first = start(command(grid, out, "--shard", "1/2", "--workers", "1"))
    second = start(command(grid, out, "--shard", "2/2", "--workers", "1"))
    wait_for_finished_trials(out, 2)
    second.send_signal(signal.SIGKILL)
    second.wait()
    told = first.communicate(timeout=PATIENCE)[0]
    assert first.returncode == 0, told  # its own trials are completed
    assert "trials are left to other shards. In a folder that all shards share, the last one writes" in told
    assert "run `ablation merge RUN... --out FOLDER` there." in told
    again = finish(command(grid, out, "--shard", "2/2"))
    assert again.returncode == 0, again.stderr
    assert str(out / "report.html") in again.stdout
    whole = finish(command(grid, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    assert without_times(out) == without_times(tmp_path / "whole")


def test_a_run_holds_the_folder_alone(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(RunError, match="in use by process"),
        locked(tmp_path, "shard-1-of-2"),
    ):
        pass
    with locked(tmp_path, "shard-1-of-2"), locked(tmp_path, "shard-2-of-2"), exclusive(tmp_path):
        assert active_holders(tmp_path, "shard-1-of-2") == ["shard-2-of-2"]
    with exclusive(tmp_path):
        assert active_holders(tmp_path, "run") == []


def test_the_plan_of_a_shard_is_its_part(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(textwrap.dedent(TINY_GRID))
    done = in_this_process("run", "--grid", grid, "--out", tmp_path / "run", "--shard", "2/3", "--dry-run")
    assert "3 trials to train" in done.stdout, done.stderr
    done = in_this_process(
        "run",
        "--grid",
        grid,
        "--shard",
        "2/3",
        "--until-resolved",
        "--max-seeds",
        "5",
        "--out",
        tmp_path / "r",
    )
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --shard cannot be combined with --until-resolved, which looks at all trials together.\n",
    )
