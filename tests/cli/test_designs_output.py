"""What the command line says of a fractional design, with the example of its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablation import Run
from ablation.cli.app import app
from ablation.workflow.fold_over import NOTHING_OPEN

GRID = Path(__file__).parents[2] / "experiments" / "eight-factors.yaml"
ALIASED = (
    "dropout × batch_norm is measured together with width × activation, depth × augmentation and learning_rate × "
    "class_weight: this design cannot tell them apart."
)


def said(*arguments: object) -> str:
    """Return what a command prints, in one line."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.mark.usefixtures("without_report")
def test_the_example_runs_and_names_its_aliases_before_it_trains(tmp_path: Path) -> None:
    options = ("--grid", GRID, "--out", tmp_path / "run", "--seeds", "1", "--executor", "inline")
    output = said("run", *options, "--fold-over")
    assert output.index(ALIASED) < output.index("16 trials to train")
    assert NOTHING_OPEN in output  # one seed has no verdict
    run = Run(tmp_path / "run")
    assert run.study.compare.questions == "effects"
    assert list(run.results["status"]) == ["completed"] * 16
    effects = run.effects
    assert list(effects["kind"].value_counts(sort=False).items()) == [("main effect", 8), ("interaction", 7)]
    assert set(effects["n"]) == {1}
    plan = said("run", *options, "--dry-run", "--fold-over")
    assert ALIASED in plan
    assert NOTHING_OPEN in plan


def test_an_option_that_a_full_design_does_not_have(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("{study: s, factors: {dropout: [0, 0.2]}}", "utf-8")
    for dry_run in ([], ["--dry-run"]):
        done = CliRunner().invoke(app, ["run", "--grid", str(grid), "--fold-over", *dry_run])
        assert done.exit_code != 0
        assert str(done.exception).endswith(
            "--fold-over: the design of this study has no aliases to separate; a fold-over needs "
            "`design: fractional` in the grid."
        )
