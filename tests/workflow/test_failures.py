"""What can happen to a run, each really produced: what is kept, what is said, and how it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import TINY_GRID
from processes import (
    SOON,
    command,
    finished_trials,
    in_this_process,
    start,
    wait_for_finished_trials,
    wait_until,
    workers_of,
)

from ablation import Run, Study, run_study
from ablation.errors import RunError
from ablation.grid.trial import Trial, TrialResult

SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which Windows does not have
LONG_GRID = TINY_GRID.replace("epochs: 2", "epochs: 40").replace("seeds: 2", "seeds: 1")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    file = tmp_path / "grid.yaml"
    file.write_text(textwrap.dedent(TINY_GRID))
    return file


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB of its own; what it is mounted on is given back afterwards."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount the small disk that this needs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


class After:
    """An observer that does something once, after the first finished trial."""

    def __init__(self, act: object) -> None:
        self._act = act
        self.finished_ids: list[str] = []

    def planned(self, trials: object, pending: object) -> None: ...
    def progressed(self, progress: object) -> None: ...

    def finished(self, trial: Trial, result: TrialResult) -> None:
        self.finished_ids.append(trial.id)
        if len(self.finished_ids) == 1:
            self._act()  # type: ignore[operator]


# Interrupted


@pytest.mark.unix
@pytest.mark.parametrize(
    "blow",
    [signal.SIGINT, *(pytest.param(blow, marks=pytest.mark.slow) for blow in (signal.SIGTERM, SIGKILL))],
)
@pytest.mark.usefixtures("without_report")
def test_a_run_that_is_ended_keeps_its_finished_trials_and_leaves_no_worker(
    blow: signal.Signals, tmp_path: Path
) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    grid.write_text(textwrap.dedent(LONG_GRID))
    process = start(command(grid, out, "--workers", "2"))
    wait_for_finished_trials(out, 1)  # of four, so that others are left, however late this process is woken
    workers = workers_of(psutil.Process(process.pid))
    assert workers
    os.kill(process.pid, blow)
    output, _ = process.communicate(timeout=SOON)
    _, alive = psutil.wait_procs(workers, timeout=SOON)
    assert not alive
    if blow != SIGKILL:
        assert process.returncode == 130
        assert "Interrupted: finished trials are kept, and the same command resumes from there." in output
        statuses = pd.read_csv(out / "results.csv")["status"]
        assert len(statuses) == 4  # each planned trial has its row
        assert set(statuses) == {"completed", "pending"}
    kept = {folder: (folder / "result.json").stat().st_mtime_ns for folder in finished_trials(out)}
    assert 1 <= len(kept) < 4
    run_study(Study.from_yaml(grid), out, executor="inline")
    for folder, written in kept.items():
        assert (folder / "result.json").stat().st_mtime_ns == written
    assert (pd.read_csv(out / "results.csv")["status"] == "completed").all()


@pytest.mark.unix
@pytest.mark.usefixtures("without_report")
def test_a_second_run_in_the_same_folder_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    grid.write_text(textwrap.dedent(LONG_GRID))
    first = start(command(grid, out, "--workers", "1"))
    owner = out / "run.owner.json"
    wait_until(lambda: owner.exists() and owner.read_text().endswith("\n"))
    since = json.loads(owner.read_text())["since"]
    refused = in_this_process("run", "--grid", grid, "--out", out, "--only", "plain")
    assert (refused.returncode, refused.stderr) == (
        2,
        f"Error: {out} is in use by process {first.pid} on {os.uname().nodename}, since {since}. "
        "Wait until it ends, or choose another folder with --out.\n",
    )
    first.kill()
    first.wait()
    run_study(Study.from_yaml(grid), out, only=["plain"], executor="inline")
    assert not owner.exists()


# The disk


def fill(disk: Path) -> None:
    filler = subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'filler'}"], capture_output=True, check=False)
    assert b"No space left" in filler.stderr


@pytest.mark.unix
@pytest.mark.usefixtures("without_report")
def test_a_full_disk_is_told_and_what_is_finished_is_kept(tiny_study: Study, small_disk: Path) -> None:
    out = small_disk / "run"
    filling = After(lambda: fill(small_disk))
    with pytest.raises(RunError) as caught:
        run_study(tiny_study, out, only=["plain"], executor="inline", observer=filling)
    assert str(caught.value) == (
        f"{out} cannot be written to: no space left on device. Finished work is kept; when it can be written to, repeat the command."
    )
    (small_disk / "filler").unlink()
    going_on = After(lambda: None)
    run = run_study(tiny_study, out, only=["plain"], executor="inline", observer=going_on)
    assert (run.results["status"] == "completed").sum() == 2
    assert not set(filling.finished_ids) & set(going_on.finished_ids)


@pytest.mark.unix
def test_a_full_disk_is_an_error_of_the_command_and_no_traceback(grid: Path, small_disk: Path) -> None:
    fill(small_disk)
    done = in_this_process("run", "--grid", grid, "--out", small_disk / "run")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"Error: {small_disk / 'run'} cannot be written to: no space left on device."
    )


@pytest.mark.unix
def test_a_read_only_folder_is_told(grid: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = in_this_process("run", "--grid", grid, "--out", small_disk / "run")
    assert (done.returncode, done.stderr) == (
        2,
        f"Error: {small_disk / 'run'} cannot be written to: read-only file system. "
        "Finished work is kept; when it can be written to, repeat the command.\n",
    )


@pytest.mark.unix
@pytest.mark.usefixtures("without_report")
def test_a_folder_that_turns_read_only_keeps_what_is_finished(tiny_study: Study, small_disk: Path) -> None:
    def freeze() -> None:
        subprocess.run(["mount", "--bind", str(small_disk), str(small_disk)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(small_disk)], check=True)

    out = small_disk / "run"
    with pytest.raises(RunError, match="cannot be written to: read-only file system"):
        run_study(tiny_study, out, only=["plain"], executor="inline", observer=After(freeze))
    assert len(finished_trials(out)) == 1
    subprocess.run(["umount", str(small_disk)], check=True)
    run = run_study(tiny_study, out, only=["plain"], executor="inline")
    assert (run.results["status"] == "completed").sum() == 2


@pytest.mark.unix
@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.usefixtures("without_report")
def test_a_folder_that_vanishes_is_told(executor: str, tiny_study: Study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(RunError, match=f"^{out} or a part of it is missing: "):
        run_study(tiny_study, out, executor=executor, observer=After(lambda: shutil.rmtree(out)))


# A trial


@pytest.mark.unix
@pytest.mark.slow
def test_a_trial_that_runs_out_of_memory_says_so_and_the_next_one_runs(tmp_path: Path) -> None:
    import resource  # which Windows does not have

    grid, out = tmp_path / "grid.yaml", tmp_path / "run"
    text = textwrap.dedent(TINY_GRID).replace("seeds: 2", "seeds: 1")
    grid.write_text(text + "variants:\n  large: {dense: [65536, 65536]}\n")  # 16 GiB of weights
    limit = (10 * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1])
    subprocess.run(
        command(grid, out, "--workers", "1", "--only", "large", "--only", "plain"),
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    results = pd.read_csv(out / "results.csv").set_index("variant")
    assert results.loc[["large", "plain"], "status"].tolist() == ["failed", "completed"]
    assert results.loc["large", "cause"].startswith(
        "out of memory; try a smaller batch_size or width, or fewer --workers ("
    )


@pytest.mark.usefixtures("without_figures")
def test_each_planned_trial_has_a_row_and_diverged_ones_are_no_part_of_a_mean(tmp_path: Path) -> None:
    text = textwrap.dedent(TINY_GRID).replace("batch_size: 16}", "batch_size: 16, optimizer: sgd}")
    text = text.replace("  batch_norm: [false, true]\n", "")
    grid = tmp_path / "grid.yaml"
    grid.write_text(text + "variants:\n  wild: {learning_rate: 1e30, activation: leaky_relu}\n")
    run_study(Study.from_yaml(grid), tmp_path / "run", executor="inline")
    results = pd.read_csv(tmp_path / "run" / "results.csv")
    assert results["status"].value_counts().to_dict() == {"completed": 4, "diverged": 2}
    wild = results[results["variant"] == "wild"]
    assert wild["test_accuracy"].isna().all()
    assert (wild["epochs"] == 1).all()
    comparisons = pd.read_csv(tmp_path / "run" / "comparisons.csv").set_index("variant")
    assert comparisons.loc["wild", "n"] == 0
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "2 trials did not complete. Each variant" in page
    assert (
        "wild is compared with plain on 0 of 2 pairs, without seeds 0, 1 (not completed in both variants)."
        in page
    )
    again = After(lambda: None)
    run_study(Study.from_yaml(grid), tmp_path / "run", executor="inline", observer=again)
    assert again.finished_ids == []  # it would only diverge again


# A file


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("result.json", lambda text: text.replace("0.", "0.9", 1), "result.json does not match its checksum"),
        ("result.json", lambda text: text[: len(text) // 2], "result.json does not match its checksum"),
        ("test_probabilities.npy", lambda _: "", "test_probabilities.npy does not match its checksum"),
        ("trial.json", lambda text: text[:100], "trial.json does not contain what was written"),
        ("trial.json", lambda _: "[]", "trial.json does not contain what was written"),
        ("result.json", None, "result.json cannot be read"),
        ("trial.json", None, "trial.json cannot be read"),
    ],
)
@pytest.mark.usefixtures("without_report")
def test_a_file_that_was_truncated_edited_or_removed_is_no_result(
    name: str, change: object, what: str, finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    trial = finished_run.trials[3]
    file = tmp_path / "run" / "trials" / trial.id / name
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes().decode("latin1")).encode("latin1"))  # type: ignore[operator]
    result = Run(tmp_path / "run").trial_results[trial.id]
    assert result.status == "failed"
    assert result.cause == (
        f"{what}: it was damaged or edited after it was written; the same `ablation run` command trains the trial "
        "again"
    )
    recorder = After(lambda: None)
    run_study(tiny_study, tmp_path / "run", executor="inline", observer=recorder)
    assert recorder.finished_ids == [trial.id]


def test_the_result_of_another_trial_is_no_result(finished_run: Run, tmp_path: Path) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    one, other = finished_run.trials[:2]
    trials = tmp_path / "run" / "trials"
    shutil.rmtree(trials / one.id)
    shutil.copytree(trials / other.id, trials / one.id)
    cause = Run(tmp_path / "run").trial_results[one.id].cause
    assert cause.startswith(f"result.json belongs to {other.id}: it was damaged or edited")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a dataset"])
def test_a_dataset_file_that_is_gone_or_damaged_is_told_and_restored(
    content: bytes | None, finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished_run.folder, out)
    (out / "dataset.npz").unlink()
    if content is not None:
        (out / "dataset.npz").write_bytes(content)
    with pytest.raises(RunError) as caught:
        Run(out).write_report()
    assert str(caught.value) == (
        f"{out / 'dataset.npz'} is missing or damaged; the same `ablation run` command restores it."
    )
    recorder = After(lambda: None)
    run_study(tiny_study, out, executor="inline", observer=recorder)
    assert recorder.finished_ids == []
    assert Run(out).dataset.digest == finished_run.dataset.digest
