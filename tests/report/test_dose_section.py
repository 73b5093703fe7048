"""An invented study of three Dropout rates: its curve in the tables, the figure, the report and the terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY_GRID
from invented_runs import invented_run

from ablation import Run, Study
from ablation.analysis.dose_phrases import dose_conclusion
from ablation.cli.terminal import print_comparisons
from ablation.errors import RunError
from ablation.figures.dose_response import dose_data
from ablation.figures.style import Picture
from ablation.report.sections import study_report
from ablation.report.trial_links import TrialLinks
from ablation.report.write import write_report

GRID = TINY_GRID.replace("[0, 0.3]", "[0, 0.2, 0.4]").replace("seeds: 2", "seeds: 3")


@pytest.fixture(scope="module")
def dose_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("doses")
    (folder / "grid.yaml").write_text(textwrap.dedent(GRID), "utf-8")
    study = Study.from_yaml(folder / "grid.yaml")
    run = invented_run(study, folder / "run", lambda variant: 0.5 + 0.1 * ("BatchNorm" in variant))
    run.write_tables()
    return run


@pytest.fixture(scope="module")
def pictures(dose_run: Run) -> list[Picture]:
    drawn = dose_run.draw_figures(["dose_response"])
    write_report(dose_run, drawn)
    return drawn


def curves(run: Run) -> list[pd.DataFrame]:
    return [curve for _, curve in run.dose_response.groupby(["factor", "where"], sort=False)]


def test_the_table_is_on_disk_and_in_python(dose_run: Run) -> None:
    written = pd.read_csv(dose_run.folder / "dose_response.csv", keep_default_na=False)
    assert list(written["where"].unique()) == [
        "batch_norm=false", "batch_norm=true", "averaged over batch_norm"
    ]  # fmt: skip
    assert len(written) == len(dose_run.dose_response) == 9
    plain = dose_run.results[dose_run.results["variant"] == "plain"]
    assert dose_run.dose_response["mean"].iloc[0] == pytest.approx(plain["test_accuracy"].mean())


def test_the_figure_shows_the_curves_and_every_seed(dose_run: Run, pictures: list[Picture]) -> None:
    data, seeds = dose_data(dose_run.dose_response, dose_run.results, dose_run.study, "test_accuracy")
    assert list(data["panel"].unique()) == ["dropout", "dropout, averaged"]
    assert len(seeds) == 3 * 3 * 3
    means = seeds.groupby(["where", "dose"])["value"].mean()
    for row in data.itertuples(index=False):
        assert means[row.where, row.dose] == pytest.approx(row.mean)
    (picture,) = pictures
    assert "n = 3 seeds, which are the faint dots. Shaded: the simultaneous 95% band" in picture.caption
    assert "the doses that could be the best, filled at the best mean" in picture.caption
    assert re.search(r"dropout where batch_norm=false: 0: 0\.\d{3}, 0\.2: 0\.\d{3}", picture.alt)


def test_of_many_curves_only_the_average_is_drawn(dose_run: Run) -> None:
    table, results = dose_run.dose_response, dose_run.results
    single = table[table["where"] == "batch_norm=false"]
    many = pd.concat([*(single.assign(where=f"width={k}") for k in range(5)), table[6:]])
    data, seeds = dose_data(many, results, dose_run.study, "test_accuracy")
    assert list(data["panel"].unique()) == ["dropout, averaged"]
    assert set(seeds["where"]) == {"averaged over batch_norm"}


def test_the_report_says_what_the_curves_support(dose_run: Run, pictures: list[Picture]) -> None:
    report = study_report(dose_run, pictures)
    section = next(s for s in report.sections if s.id == "dose-response")
    assert section.text[0] == (
        "A factor with three or more numeric levels, or doses, is a curve. These results are exploratory: they "
        "generalise to other seeds, on these test images, they are not corrected for the number of curves, and "
        "they give no verdicts. The mean of a dose that is picked for being the best is too optimistic, because "
        "the same images choose it and judge it."
    )
    assert section.text[1:] == [dose_conclusion(curve, dose_run.compare) for curve in curves(dose_run)]
    (table,) = section.tables
    assert list(table.headings) == [
        "dropout", "Other factors", "Mean test accuracy", "Band, 95%", "From the best mean, points",
        "Could be the best", "Seeds",
    ]  # fmt: skip
    assert [row[0].text for row in table.rows] == ["0", "0.2", "0.4"] * 3
    first, last = table.rows[0], table.rows[-1]
    at = dose_run.results.iloc[list(first[2].trials)]
    assert list(at["variant"]) == ["plain"] * 3
    assert at["test_accuracy"].mean() == pytest.approx(first[2].value)
    assert len(first[5].trials) == 9
    assert len(last[2].trials) == 6
    assert section.pictures == pictures
    assert not re.search(r"\bnan\b", (dose_run.folder / "report.md").read_text("utf-8"))


def test_a_dose_that_is_left_out_names_its_own_trials(dose_run: Run) -> None:
    run = Run(dose_run.folder)
    results = run.results
    failed = (results["variant"] == "+Dropout 0.4") & (results["seed"] > 0)
    assert failed.sum() == 2
    results.loc[failed, "status"] = "failed"
    row = run.dose_response.to_dict("records")[2]
    assert row["n"] == 1
    links = TrialLinks(run)
    assert len(links.dose(row)) == 1
    assert results.loc[list(links.curve(row)), "seed"].tolist() == [0, 0, 0]  # the one that all doses have


def test_a_changed_digit_is_found(
    dose_run: Run, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.report.verify.draw_figures", lambda run, folder: pictures)
    monkeypatch.setattr("ablation.report.verify.contradiction", lambda *_: "")  # results are made up
    shutil.copytree(dose_run.folder, tmp_path / "run")
    file = tmp_path / "run" / "dose_response.csv"
    page = tmp_path / "run" / "report.html"
    assert Run(tmp_path / "run").verify().differences == []
    file.write_text(file.read_text("utf-8").replace("0.95", "0.96", 1), "utf-8")
    page.write_text(page.read_text("utf-8").replace("The best mean, ", "The best mean, 9", 1), "utf-8")
    found = [str(difference) for difference in Run(tmp_path / "run").verify().differences]
    assert len(found) == 2
    assert any(text.startswith("dose_response.csv, line 2: says") for text in found)
    assert any(text.startswith("report.html, Dose–response curves") for text in found)


def test_compare_prints_a_line_per_curve(
    dose_run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_comparisons(dose_run)
    out = " ".join(capsys.readouterr().out.split())
    assert "Dose–response (exploratory; for other seeds, not for other test images)" in out
    for curve in curves(dose_run):
        assert dose_conclusion(curve, dose_run.compare) in out


def test_a_study_without_a_dose_has_no_curve(dose_run: Run, tmp_path: Path) -> None:
    run = Run(dose_run.folder)
    run.study = run.study.model_copy(update={"factors": {}})
    assert run.dose_response.empty
    assert "dose-response" not in [s.id for s in study_report(run, []).sections]
    with pytest.raises(RunError, match="this study has nothing to draw for the figure 'dose_response'"):
        run.draw_figures(["dose_response"], tmp_path)
