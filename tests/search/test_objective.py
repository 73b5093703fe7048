"""Any metric that the grid declares is an objective, with its direction."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ablation.errors import GridError
from ablation.search.oracle import OracleProposer
from ablation.search.report import search_report
from ablation.search.run import run_search
from ablation.search.settings import Search

GRID = """
    study: s
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [8]}
    training: {epochs: 1, batch_size: 16, metrics: METRICS}
    search: {space: {dropout: [0, 0.5], width: [1, 2]}, trials: 3, seeds: 1, confirm: {best: 1, seeds: 2}, REST}
"""


def search_of(folder: Path, metrics: str, rest: str, text: str = GRID) -> Search:
    grid = textwrap.dedent(text).replace("METRICS", metrics).replace("REST", rest)
    (folder / "own.py").write_text("def error(y_true, y_pred):\n    return abs(y_true - y_pred).mean()\n")
    (folder / "grid.yaml").write_text(grid, "utf-8")
    return Search.from_yaml(folder / "grid.yaml")


@pytest.mark.parametrize(
    ("metrics", "objective", "maximise", "in_points"),
    [
        ("[]", "objective: val_loss", False, False),
        ("[f1_score]", "objective: val_f1_score", True, True),
        ("[mean_squared_error]", "objective: val_mean_squared_error", False, False),
        ("[CosineSimilarity]", "objective: val_cosine_similarity", True, False),
        ('["own:error"]', "objective: val_error, direction: lower", False, False),
        (
            "[{TopKCategoricalAccuracy: {k: 3, name: top_3}}]",
            "objective: val_top_3, direction: higher",
            True,
            False,
        ),
    ],
)
def test_a_declared_metric_is_an_objective_with_its_direction(
    metrics: str, objective: str, maximise: bool, in_points: bool, tmp_path: Path
) -> None:
    search = search_of(tmp_path, metrics, objective)
    assert (search.settings.maximise, search.settings.in_points) == (maximise, in_points)
    assert OracleProposer(search, tmp_path)._oracle.objective.direction == ("max" if maximise else "min")


@pytest.mark.parametrize(
    ("metrics", "rest", "key", "message"),
    [
        ("[]", "objective: val_f1_score", "objective",
         "'val_f1_score' is not measured on the validation images of every proposal. Valid names: val_accuracy, "
         "val_loss."),
        ("[f1_score]", "objective: f1_score", "objective",
         "'f1_score' is not measured on the validation images of every proposal. Did you mean 'val_f1_score'?"),
        ("[]", "objective: test_accuracy", "objective",
         "'test_accuracy' is not measured on the validation images of every proposal. Did you mean 'val_accuracy'?"),
        ('["own:error"]', "objective: val_error", "objective",
         "the name of val_error does not say which values are better; set `direction: higher` or `direction: lower`."),
        ("[]", "objective: val_loss, direction: higher", "direction",
         "lower values of val_loss are always better; remove `direction`."),
    ],
)  # fmt: skip
def test_an_objective_that_cannot_be_used_is_refused(
    metrics: str, rest: str, key: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(GridError) as error:
        search_of(tmp_path, metrics, rest)
    assert f"line 6, search.{key}: {message}\n" in str(error.value)


def test_a_metric_of_some_proposals_only_is_no_objective(tmp_path: Path) -> None:
    text = GRID.replace("dropout: [0, 0.5]", "metrics: [[f1_score, auc], [f1_score]]").replace(
        ", metrics: METRICS", ""
    )
    assert search_of(tmp_path, "", "objective: val_f1_score", text).settings.maximise
    with pytest.raises(
        GridError, match="'val_auc' is not measured on the validation images of every proposal"
    ):
        search_of(tmp_path, "", "objective: val_auc", text)


@pytest.mark.usefixtures("without_report")
def test_the_lowest_error_wins_and_is_reported_in_its_own_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.search.run.write_search_report", lambda run: run.folder)
    search = search_of(tmp_path, '["own:error"]', "objective: val_error, direction: lower")
    done = run_search(search, tmp_path / "out", executor="inline")
    ranked = done.table.sort_values("rank")["objective"]
    assert ranked.is_monotonic_increasing
    assert ranked.iloc[0] < 0.3  # the mean of |1 - p| and p over ten classes, and not an accuracy
    (row,) = done.confirmation.to_dict("records")
    assert row["optimism"] == row["confirmed"] - row["searched"]  # positive where the search flattered
    assert (
        f"has a mean validation error of {row['confirmed']:.4f} (n = 2 seeds)"
        in search_report(done, []).findings[0].text
    )
    assert set(done.explored.comparisons["verdict"]) == {""}  # its scores were used to choose
