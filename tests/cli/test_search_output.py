"""What `ablation search` prints, and what other commands say of its folders."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import numpy as np
import pytest
from typer.testing import CliRunner

from ablation.cli.app import app
from ablation.cli.console_search import print_search
from ablation.errors import AblationError, RunError
from ablation.search.ablate import ablation_study
from ablation.search.report import search_report
from ablation.search.results import SearchRun
from ablation.search.run import run_search
from ablation.search.settings import Search
from ablation.search.tables import winner

GRID = """
    study: s
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [4]}
    training: {epochs: 1, batch_size: 16, learning_rate: 0.00001}
    search: {space: {width: [1, 2], learning_rate: [0.02, 0.03]}, trials: 2, seeds: 1, confirm: {best: 1, seeds: 2}}
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchRun]:
    """A small search with an ablation of its winner; tests only read it."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        patch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
        yield run_search(
            Search.from_yaml(folder / "grid.yaml"), folder / "out", executor="inline", then_ablate=True
        )


def command(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_the_ablation_of_the_winner_is_printed(
    searched: SearchRun, capsys: pytest.CaptureFixture[str]
) -> None:
    print_search(searched)
    shown = " ".join(capsys.readouterr().out.split())
    assert searched.ablated is not None
    assert f"The ablation of the winner, against {searched.ablated.study.baseline}; paired t-test" in shown
    _, _, table = shown.partition("The ablation of the winner")
    assert all(variant in table for variant in searched.ablated.baseline_comparisons["variant"])


def test_status_knows_the_trials_of_a_search(searched: SearchRun) -> None:
    assert command("status", searched.folder / "search").splitlines()[1] == "  3 completed"


@pytest.mark.parametrize("name", ["report", "figures", "verify"])
def test_what_needs_the_test_set_is_refused_for_the_trials_of_a_search(
    name: str, searched: SearchRun
) -> None:
    folder = searched.folder / "search"
    with pytest.raises(AblationError) as error:
        command(name, folder)
    assert str(error.value) == (
        f"{folder} holds the trials of a search, which do not read the test set; name "
        f"{searched.folder.resolve() / 'confirmation'}, whose trials do."
    )


@pytest.mark.parametrize("arguments", [["audit"], ["compare"], ["export", "--to", "parquet"]])
def test_what_needs_no_test_set_is_done_for_the_trials_of_a_search(
    arguments: list[str], searched: SearchRun
) -> None:
    assert command(arguments[0], searched.folder / "search", *arguments[1:])


def test_a_search_without_a_confirmed_trial_says_so(searched: SearchRun) -> None:
    failed = SearchRun(searched.folder)
    failed.__dict__["confirmation"] = searched.confirmation.assign(confirmed=np.nan)
    assert winner(failed.confirmation, True) is None
    (finding,) = search_report(failed, []).findings
    assert finding.text == "No proposal is confirmed: no trial with fresh seeds completed."
    with pytest.raises(RunError) as error:
        ablation_study(failed)
    assert str(error.value) == (
        f"{failed.folder}: no trial of the confirmation completed, so there is no winner to ablate. See the logs "
        "in its subfolder confirmation/logs."
    )
