"""The report shows the run's own numbers, and shows hostile text as text."""

from __future__ import annotations

import re
from pathlib import Path

from ablation.grid import Study
from ablation.report import report_content
from ablation.run import Run
from ablation.study import run_study


def test_the_report_is_one_file_with_its_pictures_inside(finished_run: Run) -> None:
    page = (finished_run.folder / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') == 9
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for image in re.findall(r"<img[^>]*>", page):
        assert re.search(r'alt="[^"]+"', image)


def test_its_numbers_are_those_of_the_tables(finished_run: Run) -> None:
    content = report_content(finished_run)
    completed = finished_run.results.groupby("variant", sort=False)
    for row, (variant, own) in zip(content.rows, completed, strict=True):
        assert row.name == variant
        assert row.test == f"{100 * own['test_accuracy'].mean():.1f}%"
        assert row.gap == f"{100 * own['gap_accuracy'].mean():+.1f}".replace("-", "−")
        assert row.completed == "2 of 2"
    assert [row.changes for row in content.rows] == [
        "", "dropout = 0.3", "batch_norm = true", "dropout = 0.3, batch_norm = true"
    ]  # fmt: skip


def test_settings_are_shown_as_a_reader_would_write_them(finished_run: Run) -> None:
    settings = dict(report_content(finished_run).settings)
    assert settings["dataset validation size"] == "40"
    assert settings["blocks"] == "[4], [6]"
    assert settings["dropout after"] == "conv, flatten, dense"
    assert settings["early stopping"] == settings["augmentation"] == "none"
    assert settings["learning rate"] == "0.001"
    assert settings["streams that follow the seed"] == "init, order, dropout, augmentation"
    assert "dropout" not in settings  # a factor is no shared setting


def test_markdown_links_to_pictures_that_exist(finished_run: Run) -> None:
    text = (finished_run.folder / "report.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 9
    from urllib.parse import unquote

    assert all((finished_run.folder / unquote(link)).is_file() for link in links)


def test_hostile_names_are_shown_as_text(tiny_study: Study, tmp_path: Path) -> None:
    nasty = "<script>alert('x')</script>|`"
    plain = tiny_study.variants[0].model_copy(update={"name": nasty, "levels": {}})
    study = tiny_study.model_copy(
        update={"name": nasty, "question": nasty, "variants": (plain,), "factors": {}, "baseline": nasty}
    )
    run = run_study(study, tmp_path / "run", executor="inline")
    page = (run.folder / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    text = (run.folder / "report.md").read_text("utf-8")
    assert "<script" not in text
    assert r"\|\`" in text


def test_trials_that_failed_or_have_not_run_are_named_at_the_top(tiny_study: Study, tmp_path: Path) -> None:
    from ablation.trial import TrialResult

    run = run_study(tiny_study, tmp_path, only=["plain"], executor="inline")
    trial = run.trials[2]
    run.store.scratch(trial)
    run.store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of <memory>"))
    again = Run(tmp_path)
    again.write_tables()
    page = again.write_report().read_text("utf-8")
    assert page.index("1 trial did not complete") < page.index("The variants")
    assert f"<code>{trial.id}</code>: failed, out of &lt;memory&gt;" in page
    assert "5 planned trials have not run." in page


def test_it_says_what_the_data_support(finished_run: Run) -> None:
    content = report_content(finished_run)
    assert [row[0] for row in content.comparisons.rows] == finished_run.comparisons["variant"].tolist()
    assert {row[-1] for row in content.comparisons.rows} == {"2 pairs; a verdict needs 3"}
    titles = [table.title.split(":")[0] for table in content.effects]
    assert titles == ["Main effects", "Interactions", "Simple effects", "Shapley shares"]
    assert content.not_estimated == ""
    assert [row[0] for row in content.noise.rows] == finished_run.comparisons["variant"].tolist()
    inflation = finished_run.results.groupby("variant")["best_epoch_inflation"].mean()
    assert {row[0]: row[1] for row in content.inflation.rows} == {
        name: f"+{100 * value:.1f}" for name, value in inflation.items()
    }
    text = (finished_run.folder / "report.md").read_text("utf-8")
    assert f"`{content.declared}`. Nothing was changed since before the first trial." in text
