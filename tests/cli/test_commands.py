"""The command line parses, calls, prints; its errors are sentences and its exit codes mean something."""

from __future__ import annotations

import gc
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import TINY_GRID
from processes import ablation, in_this_process

from ablation import Run

COMMANDS = [
    ["figures", "--only", "forest"], ["report"], ["status"], ["watch"], ["compare"], ["plan"], ["audit"],
    ["export", "--to", "tensorboard", "--to", "parquet"], ["clean"], ["seal"],
]  # fmt: skip


@pytest.mark.parametrize("commands", [COMMANDS, pytest.param([["verify"]], marks=pytest.mark.slow)])
def test_tensorflow_is_not_imported(commands: list[list[str]], finished_run: Run) -> None:
    """By none of the commands, one after another in one process."""
    code = """
        import sys
        from ablation.cli.app import main
        for command in {commands}:
            sys.argv = ["ablation", command[0], {folder}, *command[1:]]
            try:
                main()
            except SystemExit as end:
                assert not end.code, command
            loaded = {"tensorflow", "keras"} & {name.partition(".")[0] for name in sys.modules}
            assert not loaded, (command, loaded)
    """
    code = code.replace("{commands}", repr(commands)).replace("{folder}", repr(str(finished_run.folder)))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_run_prints_a_table_and_where_things_are(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(textwrap.dedent(TINY_GRID))
    done = ablation("run", "--grid", grid, "--out", tmp_path / "run", "--workers", "1", "--only", "plain")
    assert done.returncode == 0, done.stderr
    assert "2 trials to train" in done.stdout
    assert str(tmp_path / "run" / "report.html") in done.stdout
    again = in_this_process("run", "--grid", grid, "--out", tmp_path / "run", "--dry-run")
    assert again.returncode == 0, again.stderr
    assert "6 trials to train" in again.stdout
    assert again.stderr == ""


def test_a_run_with_a_failed_trial_exits_with_1(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    diverging = "training: {epochs: 2, batch_size: 16, optimizer: sgd, learning_rate: 1e30}"
    text = textwrap.dedent(TINY_GRID).replace("training: {epochs: 2, batch_size: 16}", diverging)
    grid.write_text(text.replace("model: {", "model: {activation: leaky_relu, "))
    done = in_this_process(
        "run", "--grid", grid, "--out", tmp_path / "run", "--seeds", "1", "--executor", "inline"
    )
    assert done.returncode == 1, done.stderr
    assert "diverged" in done.stdout
    assert f"report  {tmp_path / 'run' / 'report.html'}" in done.stdout
    assert (tmp_path / "run" / "report.html").exists()
    assert "figures" not in done.stdout  # nothing is completed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--grid", "none.yaml"], "Error: none.yaml: the file cannot be read: no such file or directory.\n"),
        (["figures"], "Error: there is no run in experiments/runs; start one with `ablation run --grid FILE`, or name a run folder.\n"),
        (["report", "nowhere"], "Error: nowhere is not a run folder: it has no study.json.\n"),
    ],
)  # fmt: skip
def test_bad_usage_is_a_sentence_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = in_this_process(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, message)


def test_bad_options_are_told(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("study: s")
    for options, message in (
        (
            ["--seeds", "many"],
            "Error: --seeds: expected a number of seeds, like 5, a list, like 0,1,7 or 3-5, or one seed with a comma, "
            "like '7,', not 'many'.\n",
        ),
        (["--dataset", "cifar"], "Error: --dataset: cifar is not a valid value. Did you mean 'cifar10'?\n"),
        (
            ["--data-dir", "x"],
            "Error: --data-dir: the digits come with scikit-learn and cannot be read from a path; a dataset of your own is "
            "named npz, folder or csv.\n",
        ),
        (
            ["--executor", "slurm"],
            "Error: --executor: there is no executor 'slurm'. Valid names: inline, local, ray.\n",
        ),
    ):
        done = in_this_process("run", "--grid", grid, "--out", tmp_path / "run", *options)
        assert (done.returncode, done.stderr) == (2, message)
    assert not (tmp_path / "run").exists()


def test_the_audit_is_printed_a_seed_a_row(finished_run: Run) -> None:
    done = in_this_process("audit", finished_run.folder)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    first = finished_run.pairing.iloc[0]
    assert [str(first["seed"]), first["order"], "✓", *[first["weights"], "✓"] * 3] in rows
    assert "All 8 trials are paired: within a seed, the layers that a variant shares with the " in done.stdout
    assert "Measuring what pairing gained needs three completed pairs." in done.stdout


def test_an_audit_that_finds_no_pairs_exits_with_1(finished_run: Run, tmp_path: Path) -> None:
    """A trial that was trained from other weights, as by another version of the harness."""
    from ablation.store.run_folder import Store

    shutil.copytree(finished_run.folder, tmp_path / "run")
    store, trial = Store(tmp_path / "run"), finished_run.trials[2]
    result = store.result(trial)
    assert result is not None
    dense = result.initial_weights["dense1"].model_copy(update={"digest": "0badbad0"})
    store.scratch(trial)
    other = {"initial_weights": result.initial_weights | {"dense1": dense}}
    store.commit(trial, result.model_copy(update=other))
    done = in_this_process("audit", tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert "Not paired with the baseline's trial of the same seed: +Dropout seed 0." in done.stdout


HOSTILE = [
    "../../up",
    "<img src=x onerror=alert(1)>",
    "a b",
    "a/b",
    "🎉",
    "$x_{$",
    "COM1",
]


@pytest.mark.slow
def test_hostile_names_stay_in_the_run_folder_and_are_text_in_the_report(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "down"
    home.mkdir(parents=True)
    variants = {name: {"width": 1 + k / 10} for k, name in enumerate(HOSTILE, 1)}
    grid = {
        "study": "../../<b>study</b> 🎉",
        "question": "<script>alert(1)</script>",
        "dataset": {"name": "digits", "train_size": 60, "validation_size": 40, "test_size": 50},
        "model": {"blocks": [[4]], "dense": []},
        "training": {"epochs": 1},
        "variants": variants,
        "seeds": 1,
    }
    (home / "grid.yaml").write_text(json.dumps(grid), "utf-8")  # JSON is YAML
    done = in_this_process("run", "--grid", "grid.yaml", "--executor", "inline", cwd=home)
    assert done.returncode == 0, done.stderr
    written = {file.relative_to(tmp_path).parts[:5] for file in tmp_path.rglob("*") if file.is_file()}
    folder = "b_study_b"
    assert {parts[:4] for parts in written if parts[2] == "experiments"} == {
        ("deep", "down", "experiments", "runs")
    }
    assert {parts[4] for parts in written if parts[2] == "experiments"} == {folder}
    assert {parts[:4] for parts in written if parts[2] != "experiments"} == {
        ("deep", "down", "grid.yaml"), ("deep", "down", "figures", folder),
    }  # fmt: skip
    figures = list((home / "figures" / folder).glob("confusion_[0-9]*.png"))
    assert len(figures) == 1 + len(HOSTILE)  # names that look alike as files do not overwrite each other
    page = (home / "experiments" / "runs" / folder / "report.html").read_text("utf-8")
    assert not re.search(r"<(script>alert|img src=x|b>study)", page)
    for command in ("status", "compare", "audit"):
        assert in_this_process(command, cwd=home).returncode == 0


def test_compare_tells_verdicts_effects_and_noise(finished_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    out = in_this_process("compare", finished_run.folder).stdout
    assert out.startswith(
        "test_accuracy against plain, seed by seed, in percentage points; paired t-test over seeds and test "
        "images, alpha 0.05, Holm, margin 0.5 pp\n"
    )
    assert "2 pairs; a verdict needs 3" in out
    for heading in ("main effect", "interaction", "simple effect", "Shapley share", "from images"):
        assert heading in out


def test_plan_tells_seeds(finished_run: Run) -> None:
    done = in_this_process("plan", finished_run.folder)
    assert done.returncode == 0
    first = done.stdout.splitlines()[0]
    assert first.startswith(
        "Seeds needed to detect a difference of 0.5 pp in test_accuracy with 80% power, estimated from the noise of "
        "2 seeds in "
    )
    assert "--until-resolved" in done.stdout


@pytest.mark.parametrize("option", [["--until-resolved"], ["--max-seeds", "9"]])
def test_adding_seeds_needs_an_end(option: list[str], tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(textwrap.dedent(TINY_GRID))
    done = in_this_process("run", "--grid", grid, *option)
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --until-resolved and --max-seeds N go together: the first adds seeds, the second limits them.\n",
    )


def test_only_commands_that_read_a_run_look_for_garbage_less_often(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[int] = []
    monkeypatch.setattr("ablation.cli.endings.gc.set_threshold", lambda first, *_: changed.append(first))
    grid = finished_run.folder.parent / "grid.yaml"
    in_this_process("run", grid, "--out", tmp_path / "run", "--dry-run")
    assert set(changed) <= {gc.get_threshold()[0]}  # which the test's own helper restores
    in_this_process("status", finished_run.folder)
    assert 200_000 in changed
