"""Ten thousand trials cost ten thousand times what one costs: nothing is done for each pair of trials."""

from __future__ import annotations

import builtins
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invented_runs import invented_run, run_of_variants, study_of
from PIL import Image

from ablation import Run
from ablation.charts.data import chart_data
from ablation.figures.readable import MOST_VARIANTS, readable
from ablation.figures.style import DrawnPictures, Picture
from ablation.report.comparison_tables import comparisons_table
from ablation.report.key_results import warnings
from ablation.report.record_sections import trials_section
from ablation.report.tables import cost_table
from ablation.report.trial_links import TrialLinks
from ablation.report.verify import verify_run
from ablation.store import trial_store


def counted_opens(monkeypatch: pytest.MonkeyPatch, read: Callable[[], object]) -> int:
    """Return how many files are opened while something is read."""
    opened, real = [0], io.open

    def counting(*arguments: Any, **named: Any) -> Any:
        opened[0] += 1
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", counting)
        patch.setattr(builtins, "open", counting)
        read()
    return opened[0]


def test_keeping_a_trial_lists_no_other_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, real = [0], trial_store._folders_in

    def counting(folder: Path) -> Iterator[Path]:
        for found in real(folder):
            listed[0] += 1
            yield found

    monkeypatch.setattr(trial_store, "_folders_in", counting)
    monkeypatch.setattr("os.fsync", lambda _: None)
    run = run_of_variants(tmp_path, ["plain", "a", "b", "c"], seeds=50, epochs=1)
    assert len(run.trials) == 200
    assert listed[0] == 0


def test_results_and_verdicts_read_four_files_per_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(seeds: int) -> int:
        run_of_variants(tmp_path / str(seeds), ["plain", "a"], seeds, epochs=1)
        return counted_opens(monkeypatch, lambda: Run(tmp_path / str(seeds)).comparisons)

    opens(5)  # imports what is imported late
    few, many = opens(10), opens(20)
    assert many - few == 20 * 4  # trial.json, result.json, and the predictions, which are checked, then read


def test_figures_of_very_many_variants_show_those_that_differ_most(tmp_path: Path) -> None:
    names = ["plain", *(f"v{k:02d}" for k in range(1, 60))]
    run = run_of_variants(tmp_path, names, seeds=2, epochs=1)
    shown, left_out = readable(run)
    kept = {variant.name for variant in shown.study.variants}
    differences = run.baseline_comparisons.set_index("variant")["difference"]
    worst, others = differences.idxmin(), kept - {"plain"}
    assert {"plain", worst} <= kept
    assert len(kept) == MOST_VARIANTS
    sizes = differences.drop(worst).abs()
    assert sizes[list(others - {worst})].min() >= sizes.drop(list(others - {worst})).max()
    assert set(shown.results["variant"]) == set(shown.history["variant"]) == set(shown.predictions) == kept
    assert left_out == (
        "Shown are plain, the best and the worst of the other variants, and those that differ most from plain: 40 of 60 variants. The tables of the run "
        "folder, such as comparisons.csv, have all of them."
    )
    row = "v07" if "v07" in others else min(others)
    same = shown.comparisons.set_index("variant").loc[row], run.comparisons.set_index("variant").loc[row]
    assert same[0].equals(same[1])  # judged in the family of all variants


def test_the_best_and_the_worst_variant_are_shown_however_the_others_differ(tmp_path: Path) -> None:
    names = ["plain", *(f"v{k:02d}" for k in range(1, 50))]
    levels = {"plain": 0.5, "v07": 0.52} | {f"v{k:02d}": 0.2 for k in range(8, 50)}  # only one is better
    run = invented_run(study_of(names, seeds=2), tmp_path, lambda name: levels.get(name, 0.5), deviation=0.0)
    kept = {variant.name for variant in readable(run)[0].study.variants}
    by_difference = run.baseline_comparisons.set_index("variant")["difference"]
    assert {by_difference.idxmax(), by_difference.idxmin()} <= kept


def test_a_factor_may_have_the_name_of_a_column_that_names_variants(tmp_path: Path) -> None:
    study = study_of(["plain", *(f"v{k:02d}" for k in range(1, 50))], seeds=1)
    variants = [v.model_copy(update={"levels": {"baseline": "new"}}) for v in study.variants]
    study = study.model_copy(update={"variants": tuple(variants), "factors": {"baseline": ("old", "new")}})
    run = invented_run(study, tmp_path, lambda _: 0.5)
    assert len(readable(run)[0].results) == MOST_VARIANTS


def white_pictures(folder: Path) -> DrawnPictures:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (30, 20), "white").save(folder / "blank.png")
    figures = ["forest", "learning_curves", "cost", *["confusion"] * MOST_VARIANTS]
    about = ("blank", "A title", "A caption.", "An alternative.", folder)
    return DrawnPictures([Picture(*about, name, "Digits.") for name in figures], {})


@pytest.fixture(scope="module")
def many_variants(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A reported run of more variants than a page has room for; its pictures are white."""
    folder = tmp_path_factory.mktemp("many")
    run = run_of_variants(folder, ["plain", *(f"v{k:02d}" for k in range(1, 60))], seeds=3, epochs=2)
    run.write_report(white_pictures(run.figures_folder))
    return run


def tables_by_heading(page: str) -> dict[str, list[list[str]]]:
    """Return the rows of the tables of a report in Markdown, by the heading of their section."""
    sections = (text.partition("\n") for text in page.split("\n## ")[1:])
    return {
        heading: [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
        for heading, _, text in sections
    }


def test_a_report_of_very_many_variants_says_which_it_shows_and_where_the_others_are(
    many_variants: Run,
) -> None:
    page = (many_variants.folder / "report.md").read_text("utf-8")
    assert (
        "> Tables, figures and charts show plain, the best and the worst of the other variants, and those that differ most from plain: 40 of 60 variants. The "
        "tables of the run folder, such as comparisons.csv, have all of them." in page
    )
    assert "(the highest mean test accuracy of these 40)" in page
    assert "Matrices without a figure are in `confusion.csv`." in page
    kept = {variant.name for variant in readable(many_variants)[0].study.variants}
    rows = tables_by_heading(page)
    shown = {
        heading: {row[0].split("<br>")[0] for row in rows[heading][2:]}
        for heading in ("Accuracy and cost", "Calibration")
    }
    assert shown == dict.fromkeys(shown, kept)
    charts = chart_data(many_variants, ["forest", "learning_curves", "cost", "confusion"])
    for entries in (charts["variants"], charts["forest"]["variants"], charts["curves"]["variants"],
                    charts["cost"]["variants"], charts["confusion"]["variants"]):  # fmt: skip
        assert {entry["variant"] for entry in entries} == kept


def test_numbers_in_a_shortened_report_name_their_own_trials(many_variants: Run) -> None:
    chart = chart_data(many_variants, ["forest"])["forest"]["variants"]
    for entry in chart:
        behind = [many_variants.trials[place] for place in entry["trials"]]
        assert {(trial.variant, trial.seed) for trial in behind} == {
            (entry["variant"], seed) for seed in range(3)
        }
    table = cost_table(many_variants, TrialLinks(many_variants))
    for row in table.rows:
        assert {many_variants.trials[place].variant for place in row[1].trials} == {row[0].text}
    assert len(table.rows) == MOST_VARIANTS


def test_verdicts_of_a_shortened_report_are_those_of_all_variants(many_variants: Run) -> None:
    rows = comparisons_table(many_variants, TrialLinks(many_variants)).rows
    verdicts = many_variants.comparisons.set_index("variant")["verdict"]
    assert len(rows) == MOST_VARIANTS - 1
    assert all(verdicts[row[0].text] in row[-1].text for row in rows)


def test_a_shortened_report_is_verified(many_variants: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = white_pictures(many_variants.figures_folder)
    monkeypatch.setattr("ablation.report.verify.draw_figures", lambda *_, **__: drawn)
    differences = verify_run(many_variants).differences
    assert [str(d) for d in differences if not d.where.startswith("trial ")] == []  # which were invented


def test_of_very_many_trials_a_part_is_listed_and_said(
    many_variants: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.report.record_sections.MOST_TRIALS", 10)
    section = trials_section(many_variants, {}, TrialLinks(many_variants))
    (table,) = section.tables
    ids = [trial.id for trial in many_variants.trials]
    assert len(table.rows) == 10
    assert all(row[1].text == ids[int(row[0].text)] for row in table.rows)
    assert section.text[0].endswith(
        " Listed are 10 of 180 trials; \x02results.csv\x03 has all of them, and \x02ablation seal\x03 gives one digest "
        "of all fingerprints."
    )


def test_very_many_caveats_are_counted(tmp_path: Path) -> None:
    run = invented_run(
        study_of(["plain", "a"], seeds=60), tmp_path, lambda _: 0.5, fail=lambda trial: trial.seed > 2
    )
    found = [finding.text for finding in warnings(run, TrialLinks(run))]
    assert len(found) == 41
    assert any(text.startswith("a is compared with plain on 3 of 60 pairs") for text in found)
    assert found[-1].endswith(
        "further caveats are not listed here: `ablation compare` prints them, and results.csv has the cause of each "
        "trial that failed."
    )


@pytest.mark.slow
def test_ten_thousand_trials_are_within_the_bars() -> None:
    script = Path(__file__).parents[2] / "experiments" / "benchmark" / "scale.py"
    subprocess.run([sys.executable, script, "300x33"], check=True)


def test_figures_of_few_variants_show_all(tmp_path: Path) -> None:
    run = run_of_variants(tmp_path, ["plain", "a"], seeds=2, epochs=1)
    assert readable(run) == (run, "")
