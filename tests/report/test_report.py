"""The report shows the run's own numbers with the trials behind them, and hostile text as text."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from invented_runs import invented_run

from ablation import Run, Study, run_study
from ablation.figures.style import Picture
from ablation.grid.trial import TrialResult
from ablation.report.document import Cell, Table, ranges
from ablation.report.sections import study_report


@pytest.fixture(scope="module")
def tables(finished_run: Run, pictures: list[Picture]) -> dict[str, list[Table]]:
    """The tables of each section."""
    report = study_report(finished_run, pictures)
    return {section.id: list(section.tables) for section in report.sections}


def column(table: Table, heading: str) -> list[Cell]:
    return [row[list(table.headings).index(heading)] for row in table.rows]


def texts(cells: list[Cell]) -> list[str]:
    return [cell.text for cell in cells]


def test_the_report_is_one_file_with_its_pictures_inside(finished_run: Run) -> None:
    page = (finished_run.folder / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') == 17
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert len(page) < 10e6
    for image in re.findall(r"<img [^>]*src[^>]*>", page):
        assert re.search(r'alt="[^"]+"', image)


def test_its_numbers_are_those_of_the_tables(finished_run: Run, tables: dict[str, list[Table]]) -> None:
    table = tables["variants"][0]
    grouped = finished_run.results.groupby("variant", sort=False)
    means = grouped[["test_accuracy", "gap_accuracy"]].mean()
    assert texts(column(table, "Variant")) == list(means.index)
    assert texts(column(table, "Test accuracy")) == [f"{100 * v:.1f}%" for v in means["test_accuracy"]]
    expected = [f"{100 * v:+.1f}".replace("-", "−").replace("−0.0", "+0.00") for v in means["gap_accuracy"]]
    assert texts(column(table, "Gap, points")) == expected
    assert texts(column(table, "Seeds")) == ["2 of 2"] * 4
    assert [cell.note for cell in column(table, "Variant")] == [
        "the baseline", "dropout = 0.3", "batch_norm = true", "dropout = 0.3, batch_norm = true"
    ]  # fmt: skip


def test_numbers_carry_the_trials_behind_them(finished_run: Run, tables: dict[str, list[Table]]) -> None:
    trials = finished_run.results
    for name, cell in zip(
        trials["variant"].unique(), column(tables["variants"][0], "Test accuracy"), strict=True
    ):
        assert trials.loc[list(cell.trials), "variant"].tolist() == [name] * 2
        assert cell.value == pytest.approx(trials.loc[list(cell.trials), "test_accuracy"].mean())
    first = tables["support"][0].rows[0]
    assert trials.loc[list(first[1].trials), "variant"].tolist() == ["plain"] * 2 + ["+Dropout"] * 2
    main, interaction = tables["effects"][0].rows[0], tables["effects"][1].rows[0]
    assert main[2].sources == interaction[2].sources == "0-7"
    simple = tables["effects"][2].rows[1]
    assert simple[1].text == "0.3 where batch_norm=true"
    assert set(trials.loc[list(simple[2].trials), "variant"]) == {"+BatchNorm", "+both"}
    page = (finished_run.folder / "report.html").read_text("utf-8")
    assert f'"{finished_run.trials[0].id}"' in page
    assert 'data-trials="0-1"' in page


def test_places_of_trials_are_written_shortly() -> None:
    assert ranges([5, 0, 1, 2, 10, 11]) == "0-2 5 10-11"
    assert ranges([]) == ""


def test_settings_are_shown_as_a_reader_would_write_them(tables: dict[str, list[Table]]) -> None:
    settings = {row[0].text: row[1].text for row in tables["measured"][0].rows}
    assert settings["dataset validation size"] == "40"
    assert settings["blocks"] == "[4], [6]"
    assert settings["dropout after"] == "conv, flatten, dense"
    assert settings["early stopping"] == settings["augmentation"] == "none"
    assert settings["learning rate"] == "0.001"
    assert (settings["dataset train size"], settings["jit compile"]) == ("60", "by device")
    assert "train size" not in settings  # it is that of the dataset
    assert settings["streams that follow the seed"] == "init, order, dropout, augmentation"
    assert "dropout" not in settings  # a factor is no shared setting


def test_every_figure_has_its_place(finished_run: Run, pictures: list[Picture]) -> None:
    report = study_report(finished_run, pictures)
    shown = [picture.name for section in report.sections for picture in section.pictures]
    assert report.picture is not None
    assert sorted([report.picture.name, *shown]) == sorted(picture.name for picture in pictures)


def test_markdown_links_to_pictures_that_exist(finished_run: Run) -> None:
    markdown = (finished_run.folder / "report.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", markdown)
    assert len(links) == 17
    assert all((finished_run.folder / unquote(link)).is_file() for link in links)


@pytest.fixture(scope="module")
def nasty_run(tmp_path_factory: pytest.TempPathFactory, finished_run: Run) -> Run:
    """A study whose every name means mischief."""
    nasty = "<script>alert('x')</script>|` $\\input{x}& 🎉"
    study = finished_run.study
    plain = study.variants[0].model_copy(update={"name": nasty, "levels": {}})
    names = {"name": nasty, "question": nasty, "variants": (plain,), "factors": {}, "baseline": nasty}
    run = invented_run(study.model_copy(update=names), tmp_path_factory.mktemp("nasty"), {nasty: 0.7})
    run.write_report()
    return run


@pytest.mark.filterwarnings("ignore:Glyph")
def test_hostile_names_are_shown_as_text(nasty_run: Run) -> None:
    page = (nasty_run.folder / "report.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert re.findall(r"<script[^>]*>", page) == [
        '<script type="application/json" id="trials-behind">',
        "<script>",
        '<script type="application/json" id="chart-data">',
        '<script type="text/plain" id="chart-library">',
        "<script>",
    ]
    text = (nasty_run.folder / "report.md").read_text("utf-8")
    assert "<script" not in text
    assert r"\|\`" in text


def test_trials_that_failed_or_have_not_run_are_named_at_the_top(tiny_study: Study, tmp_path: Path) -> None:
    run = invented_run(tiny_study, tmp_path, lambda _: 0.7, leave=lambda trial: trial.variant != "plain")
    trial = run.trials[2]
    run.store.scratch(trial)
    run.store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of <memory>"))
    again = Run(tmp_path)
    again.write_tables()
    page = again.write_report([]).read_text("utf-8")
    assert page.index("1 trial did not complete") < page.index("Variants</h2>")
    assert f"{trial.id}: failed, out of &lt;memory&gt;" in page
    assert "5 planned trials have not run yet. This report covers only the trials that have." in page
    assert (
        "Its verdicts stay valid: a comparison whose trials are all done is judged as at the end of the run, and any "
        "other one by the anytime-valid test at alpha 0.005."
    ) in page


def test_it_says_what_the_data_support(finished_run: Run, tables: dict[str, list[Table]]) -> None:
    support = tables["support"][0]
    assert texts(column(support, "Variant")) == finished_run.comparisons["variant"].tolist()
    assert set(texts(column(support, "Verdict"))) == {"2 pairs; a verdict needs 3"}
    titles = [table.caption.split(":")[0] for table in tables["effects"]]
    assert titles == ["Main effects", "Interactions", "Simple effects", "Shapley shares"]
    assert texts(column(tables["noise"][0], "Variant")) == finished_run.comparisons["variant"].tolist()
    inflation = finished_run.results.groupby("variant", sort=False)["best_epoch_inflation"].mean()
    assert texts(column(tables["overfitting"][0], "Best-epoch gain, points")) == [
        f"+{100 * value:.1f}" for value in inflation
    ]
    assert texts(column(tables["calibration"][0], "Calibration error")) == [
        f"{100 * value:.1f}%"
        for value in finished_run.calibration_error.groupby("variant", sort=False)["calibration_error"].mean()
    ]
    text = (finished_run.folder / "report.md").read_text("utf-8")
    assert "The grid has not been changed since before the first trial." in text


@pytest.mark.slow
def test_two_runs_are_put_side_by_side(finished_run: Run, tiny_study: Study, tmp_path: Path) -> None:
    shorter = tiny_study.model_copy(
        update={
            "name": "shorter",
            "variants": tuple(
                v.model_copy(update={"training": v.training.model_copy(update={"epochs": 1})})
                for v in tiny_study.variants[:2]
            ),
            "factors": {},
        }
    )
    other = run_study(shorter, tmp_path / "other", executor="inline")
    page = finished_run.write_side_by_side(other).read_text("utf-8")
    assert "variants.plain.training.epochs: 2 → 1" in page
    assert "variant +both: removed" in page
    assert "In both runs: plain, +Dropout." in page
    means = [r.results.query("variant == 'plain'")["test_accuracy"].mean() for r in (finished_run, other)]
    for mean in means:
        assert f">{mean:.1%}<" in page
    difference = f"{100 * (means[1] - means[0]):+.1f}".replace("-", "−").replace("+0.0", "+0.00")
    assert re.search(rf">{re.escape(difference)}<", page)
    assert finished_run.verify(finished_run.folder / "report_vs_shorter.html").differences == []
    (finished_run.folder / "report_vs_shorter.html").unlink()
