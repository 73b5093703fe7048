"""The command line parses, calls, prints; its errors are sentences and its exit codes mean something."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import TINY_GRID

from ablation.study import Run


def ablation(
    *arguments: object, cwd: Path | None = None, after: str = ""
) -> subprocess.CompletedProcess[str]:
    code = f"import sys\nfrom ablation.cli import main\ntry:\n    main()\nfinally:\n    {after or 'pass'}"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


_LOADED = "print('LOADED', *sorted({m.split('.')[0] for m in sys.modules} & {'tensorflow', 'keras'}))"


@pytest.mark.parametrize("command", ["--help", "figures", "report", "status", "compare"])
def test_tensorflow_is_not_imported(command: str, finished_run: Run) -> None:
    arguments = [command] if command == "--help" else [command, finished_run.folder]
    done = ablation(*arguments, after=_LOADED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_run_prints_a_table_and_where_things_are(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(textwrap.dedent(TINY_GRID))
    done = ablation(
        "run", "--grid", grid, "--out", tmp_path / "run", "--seeds", "1", "--only", "plain", "--only", "+both"
    )
    assert done.returncode == 0, done.stderr
    assert "2 trials to train" in done.stdout
    assert str(tmp_path / "run" / "report.html") in done.stdout
    again = ablation("run", "--grid", grid, "--out", tmp_path / "run", "--seeds", "1", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert "2 trials to train" in again.stdout
    assert again.stderr == ""


def test_a_run_with_a_failed_trial_exits_with_1(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    diverging = "training: {epochs: 2, batch_size: 16, optimizer: sgd, learning_rate: 1e30}"
    text = textwrap.dedent(TINY_GRID).replace("training: {epochs: 2, batch_size: 16}", diverging)
    grid.write_text(text.replace("model: {", "model: {activation: leaky_relu, "))
    done = ablation("run", "--grid", grid, "--out", tmp_path / "run", "--seeds", "1", "--executor", "inline")
    assert done.returncode == 1, done.stderr
    assert "diverged" in done.stdout
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--grid", "none.yaml"], "Error: none.yaml: cannot be read: no such file or directory.\n"),
        (["figures"], "Error: there is no run in experiments/runs; make one by `ablation run --grid FILE`, or name a folder.\n"),
        (["report", "nowhere"], "Error: nowhere is not a run folder: it has no study.json.\n"),
    ],
)  # fmt: skip
def test_bad_usage_is_a_sentence_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = ablation(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, message)


def test_bad_options_are_told(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("study: s")
    for options, message in (
        (
            ["--seeds", "many"],
            "Error: --seeds: expected a number of seeds, like 5, or a list, like 0,1,7; not 'many'.\n",
        ),
        (["--dataset", "cifar"], "Error: --dataset: cifar is not a valid value. Did you mean 'cifar10'?\n"),
        (
            ["--data-dir", "x"],
            "Error: --dataset: the digits come with scikit-learn and are read from no other path.\n",
        ),
        (
            ["--executor", "ray"],
            "Error: --executor: there is no executor 'ray'. Valid names: inline, local.\n",
        ),
    ):
        done = ablation("run", "--grid", grid, "--out", tmp_path / "run", *options)
        assert (done.returncode, done.stderr) == (2, message)
    assert not (tmp_path / "run").exists()
