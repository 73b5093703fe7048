"""What the shell completes a command line with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from processes import ablation
from typer.main import get_command

from ablation.cli.app import app
from ablation.cli.completion import figure_names, setting_keys, variants
from ablation.figures.catalogue import FIGURES

_LOADED = "print('LOADED', *sorted({'tensorflow', 'keras', 'pandas', 'matplotlib'} & set(sys.modules)))"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ablation figures --only cal", ["calibration"]),
        ("ablation run --executor ", ["local", "inline", "ray"]),
        ("ablation run --dataset cifar", ["cifar10", "cifar100"]),
        ("ablation export --to t", ["tensorboard"]),
        ("ablation status ", ["experiments/runs/new", "experiments/runs/old"]),
        ("ablation run ", ["grid.yaml", "experiments/digits.yml"]),
        ("ablation run grid.yaml -s training.ep", ["training.epochs="]),
        ("ablation run grid.yaml --only ", ["plain", "+Dropout"]),
        ("ablation run -s factors.batch_norm=[false,true] --grid grid.yaml --only +B", ["+BatchNorm"]),
    ],
)
def test_names_are_completed_and_nothing_heavy_is_imported(
    line: str, offered: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("new", "old")):
        folder = tmp_path / "experiments" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "study.json").touch()
        os.utime(folder / "study.json", (1e9 - age, 1e9 - age))
    (tmp_path / "grid.yaml").write_text("study: s\nfactors: {dropout: [0, 0.3]}\n")
    (tmp_path / "experiments" / "digits.yml").write_text("study: [unfinished\n")
    monkeypatch.setenv("_ABLATION_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    done = ablation(cwd=tmp_path, after=_LOADED)
    assert [*filter(None, done.stdout.splitlines())] == [*offered, "LOADED"], done.stderr


def test_keys_of_factors_are_offered_where_a_factor_is_begun() -> None:
    assert setting_keys("factors.dropout") == ["factors.dropout=", "factors.dropout_after="]
    assert setting_keys("fac") == ["factors."]
    assert len(setting_keys("")) == len(set(setting_keys(""))) > 40


def test_variants_of_a_file_with_a_mistake_are_not_offered(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("study: [unfinished\n")
    command = get_command(app).commands["run"]
    context = command.make_context("run", [str(grid)], resilient_parsing=True)
    assert variants(context, "") == []
    grid.write_text("study: s\nfactors: {dropout: [0, 0.3]}\n")
    assert variants(context, "") == ["plain", "+Dropout"]


def test_every_figure_is_offered() -> None:
    assert set(figure_names("")) == set(FIGURES)


@pytest.mark.unix
def test_completion_is_installed_for_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = ablation("--install-completion", "bash")
    assert done.returncode == 0, done.stderr
    script = tmp_path / ".bash_completions" / "ablation.sh"
    assert "_ABLATION_COMPLETE" in script.read_text("utf-8")
    assert str(script) in (tmp_path / ".bashrc").read_text("utf-8")


def test_help_answers_at_once() -> None:
    heavy = "print('LOADED', *sorted({'numpy', 'pydantic', 'pandas', 'jinja2'} & set(sys.modules)))"
    done = ablation("--help", after=heavy)
    assert done.stdout.splitlines()[-1] == "LOADED"
    assert "--install-completion" in done.stdout
