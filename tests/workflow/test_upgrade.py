"""A run folder of version 0.1.0 is read, continued and kept by this one.

``run-0.1.0.zip`` is such a folder, with its grid: four trials of one epoch, of the first commit that has a CHANGELOG
(6467acd, TRAINING_VERSION 2). Its figures and its report.html are left out.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ablation import Run
from ablation.cli.app import app
from ablation.errors import AblationError
from ablation.files import files_below

WHY = "this version of ablation trains differently"
AGAIN = "The same `ablation run` command trains them again; the earlier results are kept and not used."
Command = Callable[..., str]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with zipfile.ZipFile(Path(__file__).with_name("run-0.1.0.zip")) as file:
        file.extractall(tmp_path / "old")
    return tmp_path / "old"


def contents(folder: Path) -> dict[str, bytes]:
    return {name: file.read_bytes() for name, file in files_below(folder).items()}


def done(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "500"})


def test_it_is_read_and_said_to_be_pending(old: Path) -> None:
    before = contents(old)
    pending = f"Note: Pending, although trained before: plain seed 0, plain seed 1, +Dropout seed 0, +Dropout seed 1, because {WHY}. {AGAIN}"  # fmt: skip
    for command in ("status", "compare", "plan"):
        shown = done(command, old)
        assert shown.exit_code == 0, command
        assert pending in " ".join(shown.output.split()), command
    audited = done("audit", old)
    assert (audited.exit_code, "All 4 trials are paired" in audited.output) == (0, True)
    assert contents(old) == before


@pytest.mark.parametrize("command", ["report", "figures", "verify", "report --paper", "export --to parquet"])
def test_what_would_replace_or_judge_its_results_says_why_not(command: str, old: Path) -> None:
    before = contents(old)
    name, *options = command.split()
    with pytest.raises(AblationError) as caught:
        app([name, str(old), *options], standalone_mode=False)
    assert str(caught.value) == (
        f"{old}: no trial counts any more, because {WHY}. Tables, figures and report are left as they are; the same "
        "`ablation run` command trains the trials again."
    )
    assert contents(old) == before


@pytest.mark.usefixtures("without_report")
def test_it_is_continued_and_nothing_is_lost(old: Path) -> None:
    before = contents(old / "trials")
    said = f"Trained from scratch, because {WHY}; the earlier results are kept and not used (4 trials)."
    grid, out = old / "grid.yaml", ("--out", str(old))
    assert said in " ".join(done("run", "--grid", grid, *out, "--dry-run").output.split())
    continued = done("run", "--grid", grid, *out, "--executor", "inline")
    assert (continued.exit_code, said in " ".join(continued.output.split())) == (0, True)
    run = Run(old)
    assert list(run.results["status"]) == ["completed"] * 4
    assert run.changes == [
        "compare: declared for an earlier version of ablation, which judged the comparisons and each kind of effect as "
        "families of their own, for other seeds only"
    ]
    after = contents(old / "trials")
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)
    assert not any("trained before" in note for note in run.notes)
