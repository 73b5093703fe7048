"""What a notebook shows of a study, a run and a figure."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ablation.grid import Study
from ablation.run import Run


def test_a_run_is_shown_as_its_summary_and_verdicts(finished_run: Run, tmp_path: Path) -> None:
    page = finished_run._repr_html_()
    assert page.startswith("<div><b>tiny</b>  <small>(8 completed)</small><table>")
    for variant in ("plain", "+Dropout", "+BatchNorm", "+both"):
        assert f"<td>{variant}</td>" in page
    assert f"<td>{finished_run.results['train_accuracy'][:2].mean():.1%}</td>" in page


def test_names_are_text_in_what_is_shown(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    hostile = Run(folder)
    hostile.study = hostile.study.model_copy(update={"name": "<script>", "question": "a & b"})
    assert "<b>&lt;script&gt;</b> a &amp; b" in hostile._repr_html_()


def test_a_figure_is_shown(finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "figures_folder", tmp_path)
    picture = finished_run.figure("forest")
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.png == tmp_path / "forest.png"


@pytest.mark.usefixtures("without_report")
def test_a_study_that_is_run_shows_its_progress_unless_somebody_else_is_told(
    tiny_study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_study.run(tmp_path / "run", only=["plain"], executor="inline")
    told = capsys.readouterr().out
    assert "2 trials to train" in told
    assert "2/2 plain seed 1: completed, test accuracy" in told

    from ablation.study import Silent

    tiny_study.run(tmp_path / "run", only=["+both"], executor="inline", observer=Silent())
    assert capsys.readouterr().out == ""
