"""The command line keeps the habits of a shell: short options, colours, widths, and how much is printed."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY_GRID, tiny_trial
from rich.console import Console
from rich.text import Text
from test_folder_arguments import command
from typer.testing import CliRunner

from ablation import Run, Study, TrialResult
from ablation.cli.app import app
from ablation.cli.console import new_console
from ablation.cli.console_status import show_state
from ablation.cli.terminal import results_table
from ablation.cli.verbosity import observed
from ablation.data.datasets import Dataset
from ablation.errors import AblationError, AblationWarning, GridError
from ablation.executors.contract import Task
from ablation.results.live import LiveState
from ablation.store.lock import locked
from ablation.store.progress_log import ProgressLog
from ablation.workflow.follow import follow_run
from ablation.workflow.progress import LiveProgress
from ablation.workflow.verbosity import TimeSpent, decisions


@pytest.mark.parametrize("name", ["", "run", "class deal"])
def test_h_is_help(name: str) -> None:
    short, long = (CliRunner().invoke(app, [*name.split(), option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)
    assert "Usage:" in short.output


def test_a_capital_v_is_the_version() -> None:
    assert command("-V") == command("--version")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "no grid file is named; name one, as in `ablation run grid.yaml`."),
        (["run", "a.yaml", "--grid", "b.yaml"], "two grid files are named, a.yaml and --grid b.yaml; name one of them."),
        (["search", "a.yaml", "--grid", "b.yaml"], "two grid files are named, a.yaml and --grid b.yaml; name one of them."),
        (["check"], "no grid file is named; name one, as in `ablation run grid.yaml`."),
        (["run", "grid.yaml", "-q", "-v"], "--quiet and --verbose contradict each other; give one of them."),
        (["search", "grid.yaml", "-q", "-v"], "--quiet and --verbose contradict each other; give one of them."),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(GridError) as error:
        command(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("named", [["GRID"], ["--grid", "GRID"], ["GRID", "--grid", "GRID"]])
def test_a_grid_file_is_an_argument_or_an_option(
    named: list[str], write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    grid = str(write_grid("study: [1]\n"))
    with pytest.raises(AblationError) as error:
        command("run", *(word.replace("GRID", grid) for word in named), "--out", tmp_path / "run")
    assert str(error.value).startswith(f"{grid}, line 1, study: expected text")


@pytest.mark.usefixtures("without_report")
def test_quiet_is_the_path_of_the_report_and_what_failed(
    write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    """With settings that no optimizer survives, given on the command line."""
    grid, out = write_grid(TINY_GRID), tmp_path / "run"
    settings = [
        "-s",
        "training.optimizer=sgd",
        "-s",
        "training.learning_rate=1e30",
        "-s",
        "model.activation=leaky_relu",
    ]
    options = ["--only", "plain", "--seeds", "1", "--executor", "inline", "--out", str(out), "-q"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").touch()  # which the test does not draw
    done = CliRunner().invoke(app, ["run", str(grid), *settings, *options], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (1, f"{out / 'report.html'}\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("plain seed 0: diverged, ")
    study = Run(out).study
    assert {variant.training.learning_rate for variant in study.variants} == {1e30}


def test_quiet_leaves_out_what_is_only_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with observed(quiet=True, verbose=False) as observer:
        observer.noted(["a note"])
        warnings.warn("a warning", AblationWarning, stacklevel=1)
    assert capsys.readouterr() == ("", "")


def test_verbose_says_what_is_decided(tiny_study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablation.workflow.verbosity.available_cores", lambda: 6)
    monkeypatch.setattr("ablation.executors.engine.visible_gpus", lambda: ())
    assert list(decisions(tiny_study, "local", 3, None)) == [
        "Executor: local, 3 worker processes; 1 thread per trial; 6 cores available.",
        "Engine: tensorflow on the processor, by default.",
        "Precision: float32.",
    ]
    asked = tiny_study.model_copy(update={"engine": "jax", "threads": 2})
    assert list(decisions(asked, "inline", None, None))[:2] == [
        "Executor: inline, in this process; 2 threads per trial; 6 cores available.",
        "Engine: jax on the processor, as the study asks.",
    ]
    assert list(decisions(tiny_study, "ray", None, "auto")) == ["Executor: ray, on auto; 1 thread per trial."]


def test_verbose_says_where_the_time_went(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial, spent = tiny_trial(tiny_dataset), TimeSpent()
    assert spent.sentences() == []
    spent.planned([trial], [Task(trial, tmp_path)])
    for _ in range(2):
        timing = {"start": 10.0, "train": 30.0, "write": 0.1}
        spent.finished(trial, TrialResult(trial_id=trial.id, status="completed", timing=timing))
    assert spent.sentences() == [
        "Time: 0 s in all, of which 0 s after the last trial, for tables, figures and report.",
        "Time of the workers, over 2 trials: train 1 min 0 s (75%), start 20 s (25%).",
    ]


class Screen(io.StringIO):
    """Where a console writes: a terminal or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def shown(is_terminal: bool, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a wide table in colour looks like."""
    for name in (
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "TTY_COMPATIBLE",
        "COLORTERM",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stdout", screen)
    table = results_table("variant", left=("a setting that takes room",))
    table.add_row(Text("n" * 70, style="red"), "w" * 70)
    new_console().print(table)
    return screen.getvalue()


@pytest.mark.parametrize(
    ("is_terminal", "environment", "is_red"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"CLICOLOR": "0"}, False),
        (True, {"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"CLICOLOR_FORCE": "1"}, True),
        (False, {"CLICOLOR_FORCE": "0"}, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_follow_the_environment(
    is_terminal: bool, environment: dict[str, str], is_red: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ("\x1b[31m" in shown(is_terminal, environment, monkeypatch)) == is_red


@pytest.mark.parametrize(
    ("is_terminal", "environment", "is_whole"),
    [
        (False, {}, True),
        (False, {"COLUMNS": "80"}, False),
        (True, {"COLUMNS": "80"}, False),
        (True, {"COLUMNS": "200"}, True),
        (True, {"COLUMNS": "200", "TERM": "dumb"}, True),
    ],
)
def test_a_table_in_a_pipe_is_as_wide_as_it_needs_to_be(
    is_terminal: bool, environment: dict[str, str], is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(is_terminal, environment, monkeypatch)
    assert ("n" * 70 in text and "w" * 70 in text) == is_whole
    assert max(len(line) for line in text.splitlines()) <= 200  # without a border or blanks up to the edge


def test_a_terminal_that_cannot_redraw_gets_a_line_per_trial(tiny_dataset: Dataset, tmp_path: Path) -> None:
    trial, screen = tiny_trial(tiny_dataset), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    with LiveProgress(console) as progress:
        progress.planned([trial], [Task(trial, tmp_path)])
        progress.finished(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of memory"))
    assert screen.getvalue().splitlines() == [
        "1 trial to train", "1/1 tiny seed 0: failed, out of memory (0 s)",
    ]  # fmt: skip


def test_a_run_is_followed_from_change_to_change(
    run_in_progress: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    log, trial = ProgressLog(run_in_progress.folder), run_in_progress.trials[0]
    lock = locked(run_in_progress.folder)
    lock.__enter__()
    log.planned({trial.id: 2.0})
    phases, changes = [], iter([lambda: log.started(trial.id), lambda: lock.__exit__(None, None, None)])

    def changed(run: Run, state: LiveState) -> None:
        show_state(run, state, as_json=False)
        phases.append(state.phase)
        next(changes, lambda: None)()

    assert follow_run(run_in_progress.folder, changed, seconds=0).phase == "stopped"
    assert phases == ["starting", "starting", "stopped"]
    said = capsys.readouterr().out
    assert said.count("5 completed") == 3
    assert "  plain seed 0: epoch 0 of 4\nThe run is starting." in said
    assert said.endswith(
        "The run has stopped before its end; the same `ablation run` command continues it.\n"
    )


@pytest.fixture
def run_in_progress(tmp_path: Path) -> Run:
    """A run whose first trial is left to train."""
    from untrained_runs import untrained_run

    grid = "study: small\nfactors: {dropout: [0, 0.3]}\ntraining: {epochs: 4}\nseeds: 3\n"
    return untrained_run(
        grid, tmp_path, lambda trial, result: result if trial.seed or trial.variant != "plain" else None
    )


def test_watching_a_run_that_nobody_trains_shows_it_once(run_in_progress: Run) -> None:
    said = command("status", run_in_progress.folder, "--watch")
    assert said.count("small: ") == 1
    assert said.endswith(
        "The run has stopped before its end; the same `ablation run` command continues it.\n"
    )
    record = json.loads(command("status", run_in_progress.folder, "--watch", "--json"))
    assert record["trials"] == {
        "planned": 6, "completed": 5, "failed": 0, "diverged": 0, "timeout": 0, "pending": 1,
    }  # fmt: skip
