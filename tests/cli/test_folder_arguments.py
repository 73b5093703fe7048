"""Files where folders are expected, reports elsewhere, and the folders of a search."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest
from conftest import TINY_GRID
from typer.testing import CliRunner

from ablation import Run
from ablation.cli.app import app
from ablation.errors import AblationError
from ablation.figures.style import Picture
from ablation.report.side_by_side import side_by_side_report


def command(*arguments: object) -> str:
    """Run a command in this process; return what it printed.

    Raises:
        AblationError: The command ends with this message.
    """
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a grid file and a file that is no folder, in which the test works."""
    (tmp_path / "grid.yaml").write_text(textwrap.dedent(TINY_GRID))
    search = "search: {space: {width: [1, 2]}, trials: 1, confirm: {best: 1, seeds: 2}}\n"
    (tmp_path / "search.yaml").write_text("study: s\ndataset: {name: digits}\n" + search)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = [
    ["status", "FILE"], ["watch", "FILE"], ["report", "FILE"], ["figures", "FILE"], ["compare", "FILE"], ["plan", "FILE"],
    ["audit", "FILE"], ["pack", "FILE"], ["repeat", "FILE"], ["export", "FILE", "--to", "parquet"], ["merge", "FILE", "--out", "merged"],
    ["run", "--grid", "grid.yaml", "--out", "FILE"], ["run", "--grid", "grid.yaml", "--out", "FILE", "--dry-run"],
    ["search", "--grid", "search.yaml", "--out", "FILE"], ["init", "FILE"],
]  # fmt: skip


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments))
def test_a_file_instead_of_a_folder_is_named(arguments: list[str]) -> None:
    with pytest.raises(AblationError) as error:
        command(*(argument.replace("FILE", "file") for argument in arguments))
    assert str(error.value) == "file is a file; name a folder."
    with pytest.raises(AblationError) as error:
        command(*(argument.replace("FILE", "file/below") for argument in arguments))
    assert str(error.value) == "file is a file, so that file/below cannot be below it; name a folder."


@pytest.mark.parametrize("name", ["figures", "report"])
def test_a_file_to_write_into_is_named(name: str, finished_run: Run, here: Path) -> None:
    with pytest.raises(AblationError) as error:
        command(name, finished_run.folder, "--out", here / "file")
    assert str(error.value) == f"{here / 'file'} is a file; name a folder."


@pytest.mark.usefixtures("here")
def test_a_file_that_is_no_report_of_a_run_is_named() -> None:
    with pytest.raises(AblationError) as error:
        command("verify", "file")
    assert str(error.value) == "file is not in a run folder; name the run folder of the report with --run."


@pytest.mark.usefixtures("here")
def test_an_executor_that_does_not_exist_is_named_in_a_dry_run_too() -> None:
    with pytest.raises(AblationError) as error:
        command("run", "--grid", "grid.yaml", "--executor", "slurm", "--dry-run")
    assert str(error.value) == "--executor: there is no executor 'slurm'. Valid names: inline, local, ray."


def test_a_report_is_written_elsewhere_and_verified_there(
    finished_run: Run, pictures: list[Picture], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("write", "verify"):
        monkeypatch.setattr(f"ablation.report.{room}.draw_figures", lambda *_, **__: pictures)
    before = (finished_run.folder / "report.html").stat().st_mtime_ns
    assert command("report", finished_run.folder, "--out", "new/reports").strip() == "new/reports/report.html"
    assert sorted(file.name for file in (here / "new" / "reports").iterdir()) == ["report.html", "report.md"]
    assert (finished_run.folder / "report.html").stat().st_mtime_ns == before
    page = here / "new" / "reports" / "report.html"
    assert "Verified" in command("verify", page, "--run", finished_run.folder)
    link = (here / "new" / "reports" / "report.md").read_text("utf-8").partition("](")[2].partition(")")[0]
    assert (here / "new" / "reports" / link).is_file()


def test_two_runs_side_by_side_are_named_the_same_from_any_folder(
    finished_run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.report.side_by_side.draw_figures", lambda *_, **__: [])
    for name in ("first", "second"):
        shutil.copytree(finished_run.folder, here / name)
    said = side_by_side_report(Run("first"), Run("second"), [], here)
    monkeypatch.chdir(here / "first")
    assert side_by_side_report(Run("."), Run("../second"), [], here) == said


def test_only_pages_can_be_clicked(finished_run: Run) -> None:
    assert "Click" not in (finished_run.folder / "report.md").read_text("utf-8")
    page = (finished_run.folder / "report.html").read_text("utf-8")
    assert page.count("Click a number to see the trials that it was computed from.") == 1
