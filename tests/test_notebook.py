"""What a notebook shows of a study, a run and a figure."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import TINY_GRID

from ablation import Run, Study
from ablation.analysis.phrases import conclusion, effect_conclusion


def test_a_run_is_shown_as_its_summary_and_verdicts(finished_run: Run, tmp_path: Path) -> None:
    page = finished_run._repr_html_()
    assert page.startswith("<div><b>tiny</b>  <small>(8 completed)</small><table>")
    for variant in ("plain", "+Dropout", "+BatchNorm", "+both"):
        assert f"<td>{variant}</td>" in page
    assert f"<td>{finished_run.results['train_accuracy'][:2].mean():.1%}</td>" in page


def test_the_verdicts_shown_are_the_declared_ones(finished_run: Run) -> None:
    crossed = shown_with(finished_run, questions="both", against="all")
    sentences = re.findall("<li>(.*?)</li>", crossed._repr_html_())
    effects = crossed.effects[crossed.effects["kind"].isin(["main effect", "interaction"])]
    assert sentences == [
        *(
            escape(conclusion(row, crossed.compare))
            for row in crossed.baseline_comparisons.to_dict("records")
        ),
        *(escape(effect_conclusion(row, crossed.compare, 2)) for row in effects.to_dict("records")),
    ]
    assert len(sentences) == 3 + 3  # and not the pairs, which the ranking covers
    ranking = crossed._repr_html_().split("<table>")[2]
    assert ranking.startswith(
        "<tr><th>variant</th><th>mean test accuracy</th><th>possible ranks</th><th>seeds</th></tr>"
    )
    best = crossed.ranking.iloc[0]
    assert (
        f"<tr><td>{best['variant']}</td><td>{best['mean']:.1%}</td><td>1 to 4</td><td>4</td></tr>" in ranking
    )

    of_variants = shown_with(finished_run, questions="variants")._repr_html_()  # effects are exploratory
    assert len(re.findall("<li>", of_variants)) == 3
    assert of_variants.count("<table>") == 1
    of_effects = shown_with(finished_run, questions="effects")._repr_html_()
    assert len(re.findall("<li>", of_effects)) == 3


def shown_with(run: Run, **compare: str) -> Run:
    """The run with another comparison and twice as many seeds."""
    changed = Run(run.folder)
    changed.study = run.study.model_copy(update={"compare": run.study.compare.model_copy(update=compare)})
    further = run.results.assign(
        seed=run.results["seed"] + 2, test_accuracy=run.results["test_accuracy"] + 0.01
    )
    changed.__dict__["results"] = pd.concat([run.results, further], ignore_index=True)
    return changed


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

    from ablation.workflow.observers import NullObserver

    tiny_study.run(tmp_path / "run", only=["+both"], executor="inline", observer=NullObserver())
    assert capsys.readouterr().out == ""


EXAMPLE = Path(__file__).parents[1] / "experiments" / "example.ipynb"


def execute(notebook: Any, folder: Path) -> dict[str, Any]:
    """Run a notebook in a kernel of its own; return its cells by their ids."""
    nbclient = pytest.importorskip("nbclient")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.id: cell for cell in notebook.cells}


def test_a_study_is_shown_with_its_variants_and_what_tells_them_apart(tiny_study: Study) -> None:
    page = tiny_study._repr_html_()
    assert page.startswith("<div><b>tiny</b>  <small>(digits, 8 trials)</small><table>")
    assert "<tr><td>plain</td><td>0</td><td>false</td><td>the baseline</td><td>2</td></tr>" in page
    both = (
        "<tr><td>+both</td><td>0.3</td><td>true</td><td>dropout = 0.3, batch_norm = true</td><td>2</td></tr>"
    )
    assert both in page


PROGRESS = """
import tempfile
from pathlib import Path

from ablation import Study, TrialResult
from ablation.executors.contract import Progress, Task
from ablation.workflow.progress import LiveProgress
from conftest import after_epoch

study = Study.from_yaml("grid.yaml")
trials = study.trials("0")
with LiveProgress() as progress:
    progress.planned(trials, [Task(trial, Path()) for trial in trials])
    for trial in trials:
        for epoch in (1, 2):
            progress.progressed(Progress(trial, after_epoch(epoch)))
        progress.finished(trial, TrialResult(trial_id=trial.id, status="completed"))
"""


def test_progress_in_a_notebook_is_one_output_that_is_redrawn(tmp_path: Path) -> None:
    v4 = pytest.importorskip("nbformat").v4
    (tmp_path / "grid.yaml").write_text(textwrap.dedent(TINY_GRID), "utf-8")
    path = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(path + PROGRESS, id="progress")])
    outputs = execute(notebook, tmp_path)["progress"].outputs
    assert [output.output_type for output in outputs] == ["display_data", "display_data"]
    assert "trials to train" in outputs[0].data["text/plain"]
    assert "8 of 8 trials" in outputs[1].data["text/html"]


def test_the_example_has_no_outputs_and_its_code_is_python() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLE, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "clear the outputs of experiments/example.ipynb before a commit"
        if cell.cell_type == "code":
            compile(cell.source, cell.id, "exec")


def test_the_example_installs_what_it_is_given_the_address_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Colab; elsewhere its first cell does nothing."""
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(EXAMPLE.read_text("utf-8"))["cells"]}
    called: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda words, check: called.append([*map(str, words)]))
    monkeypatch.chdir(tmp_path)
    exec(cells["install"], {})
    assert called == []
    assert 'address = ""  # @param' in cells["install"]
    exec(cells["install"].replace('address = ""', 'address = "https://example.org/ablation"'), {})
    assert called == [
        [
            "git",
            "clone",
            "--quiet",
            "--depth",
            "1",
            "--",
            "https://example.org/ablation",
            "ablation-checkout",
        ],
        [sys.executable, "-m", "pip", "install", "--quiet", str(tmp_path / "ablation-checkout")],
    ]
    assert capsys.readouterr().out.startswith("Restart the session")  # numpy is loaded in this process


@pytest.mark.slow
def test_the_example_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    folder = tmp_path / "experiments"
    folder.mkdir()
    grid = textwrap.dedent(TINY_GRID).replace("epochs: 2", "epochs: 1")
    (folder / "grid.yaml").write_text(grid, "utf-8")
    cells = execute(nbformat.read(EXAMPLE, as_version=4), folder)
    shown = cells["run"].outputs
    assert "trials to train" in shown[0].data["text/plain"]
    assert "12 completed" in shown[-1].data["text/html"]
    assert len(shown) == 3  # the heading, the progress, the run
    assert "verdict" in cells["verdicts"].outputs[0].data["text/plain"]
    assert "image/png" in cells["forest"].outputs[0].data
    report = (folder / "runs" / "example" / "report.html").read_text("utf-8")
    assert f'srcdoc="{escape(report)}"' in cells["report"].outputs[-1].data["text/html"]
    assert (tmp_path / "figures" / "example" / "forest.png").is_file()
