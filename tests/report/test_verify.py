"""A report that is not what the trials say is told so, wherever it differs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from processes import in_this_process

from ablation import Run
from ablation.errors import RunError
from ablation.figures.style import Picture
from ablation.report.render import REPORT_VERSION
from ablation.store.checked_record import checked_text


@pytest.fixture
def run(finished_run: Run, pictures: list[Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the finished run, to do harm to; its figures are drawn once, not for each test."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    monkeypatch.setattr("ablation.report.verify.draw_figures", lambda run, folder: pictures)
    return Run(tmp_path / "run")


def differences(run: Run) -> list[str]:
    return [str(difference) for difference in Run(run.folder).verify().differences]


def test_an_untouched_run_is_verified(run: Run) -> None:
    found = run.verify()
    assert found.differences == []
    assert [file.name for file in found.files[:3]] == ["report.html", "report.md", "results.csv"]
    assert found.numbers > 1000
    assert not found.skipped


def test_files_that_are_gone_are_counted_if_they_are_many_and_their_names_can_be_shown(run: Run) -> None:
    file = run.folder / "derived.json"
    record = json.loads(file.read_text("utf-8"))
    record["files"] = dict.fromkeys(["a\x1b.csv", *(f"{k}.png" for k in range(30))], "")
    file.write_text(json.dumps(record), "utf-8")
    assert run.verify().skipped == (
        r"not compared, because missing: a\x1b.csv, 0.png, 1.png and 28 other files; "
        f"`ablation report {run.folder}` writes what is missing"
    )


def test_a_digit_changed_in_the_report_is_named_with_its_place(run: Run) -> None:
    file = run.folder / "report.html"
    results = run.results.set_index("variant")
    mean = f"{results.loc['+both', 'test_accuracy'].mean():.1%}"
    page = file.read_text("utf-8")
    start = page.index('<th scope="row">+both<')
    place = page.index(f">{mean}<", start) + 1
    file.write_text(page[:place] + "9" + page[place + 1 :], "utf-8")
    assert differences(run) == [
        f"report.html, Variants, row +both, Test accuracy: says '9{mean[1:]}', the trials say '{mean}'"
    ]


@pytest.mark.parametrize("place", ["figcaption", "alt", "data-trials", "src"])
def test_a_digit_changed_anywhere_else_in_the_report_is_noticed(run: Run, place: str) -> None:
    file = run.folder / "report.html"
    page = file.read_text("utf-8")
    pattern = {
        "figcaption": r"<figcaption[^>]*>[^<]*?(\d)",
        "alt": r'alt="[^"]*?(\d)',
        "data-trials": r'trials="(\d)',
    }
    digit = re.search(pattern.get(place, r"base64,[^\"]{3000}[^\"\d]*(\d)"), page)
    assert digit
    changed = str((int(digit[1]) + 1) % 10)
    file.write_text(page[: digit.start(1)] + changed + page[digit.end(1) :], "utf-8")
    found = differences(run)
    assert len(found) == 1
    assert found[0].startswith("report.html, summary")


@pytest.mark.parametrize("name", ["report.md", "results.csv", "history.csv", "cost.csv"])
def test_a_digit_changed_in_another_file_is_named_with_its_line(run: Run, name: str) -> None:
    file = run.folder / name
    lines = file.read_text("utf-8").splitlines(keepends=True)
    number = next(k for k, line in enumerate(lines) if k and re.search(r"\d\.\d", line))
    lines[number] = re.sub(r"(\d)\.(\d)", lambda m: f"{m[1]}.{(int(m[2]) + 1) % 10}", lines[number], count=1)
    file.write_text("".join(lines), "utf-8")
    found = differences(run)
    assert len(found) == 1
    assert found[0].startswith(f"{name}, line {number + 1}: says '")


@pytest.mark.parametrize("name", ["result.json", "test_probabilities.npy", "trial.json"])
def test_a_digit_changed_in_a_trials_file_is_named(run: Run, name: str) -> None:
    trial = run.trials[3]
    file = run.folder / "trials" / trial.id / name
    content = file.read_bytes()
    place = len(content) // 2
    while name.endswith("json") and not content[place : place + 1].isdigit():
        place += 1
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    found = differences(run)
    assert any(trial.id in line for line in found)
    if name != "trial.json":
        said = f"trial {trial.id}: {name} does not match its checksum: damaged or edited since it was written"
        assert found[0] == said


def of_trials(run: Run) -> list[str]:
    """Return the differences that are no mere consequences in tables and reports."""
    return [difference for difference in differences(run) if difference.startswith("trial ")]


def forge(run: Run, trial_id: str, **metrics: float) -> None:
    """Change metrics of a trial, and write its checksums so that they agree."""
    folder = run.folder / "trials" / trial_id
    result = json.loads((folder / "result.json").read_text("utf-8"))
    result["metrics"] |= metrics
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    record = json.loads((folder / "trial.json").read_text("utf-8"))
    record["files"]["result.json"] = hashlib.sha256((folder / "result.json").read_bytes()).hexdigest()
    (folder / "trial.json").write_text(checked_text(record), "utf-8")


def test_metrics_that_the_predictions_do_not_give_are_named_though_all_checksums_agree(run: Run) -> None:
    trial = run.trials[0]
    before = run.trial_results[trial.id].metrics["test_accuracy"]
    forge(run, trial.id, test_accuracy=0.99)
    assert of_trials(run) == [
        f"trial {trial.id}: test_accuracy is 0.9900, and its predictions give {before:.4f}: edited since it was "
        "trained"
    ]
    forge(run, trial.id, test_accuracy=before, val_accuracy=0.99)
    assert re.fullmatch(
        rf"trial {trial.id}: val_accuracy is 0\.9900, and the history of the epochs says 0\.\d{{4}}: edited since "
        "it was trained",
        *of_trials(run),
    )


def test_a_number_changed_in_the_data_of_the_charts_is_named_with_its_place(run: Run) -> None:
    file = run.folder / "report.html"
    page = file.read_text("utf-8")
    start = page.index('"variant":"+both"', page.index('"forest":'))
    digit = re.compile(r'"values":\[0\.(\d)').search(page, start)
    assert digit
    changed = str((int(digit[1]) + 1) % 10)
    file.write_text(page[: digit.start(1)] + changed + page[digit.end(1) :], "utf-8")
    found = differences(run)
    assert len(found) == 1
    assert found[0].startswith(
        f"report.html, the data of the charts, forest, variants, +both, values: says '0.{changed}"
    )


def test_a_charting_library_that_was_changed_is_noticed_and_data_that_cannot_be_read(run: Run) -> None:
    file = run.folder / "report.html"
    page = file.read_text("utf-8")
    library = re.search(r'id="chart-library">.{2000}(.)', page)
    assert library
    other = "A" if library[1] != "A" else "B"
    changed = page[: library.start(1)] + other + page[library.end(1) :]
    file.write_text(changed, "utf-8")
    assert [line.split(": says")[0] for line in differences(run)] == ["report.html, the charting library"]
    file.write_text(page.replace('id="chart-data">{', 'id="chart-data">{{'), "utf-8")
    assert any("says 'what is not JSON'" in line for line in differences(run))


def test_a_whole_row_that_is_gone_is_noticed(run: Run) -> None:
    file = run.folder / "report.html"
    page = file.read_text("utf-8")
    start = page.index('<th scope="row">+both<')
    row = page[page.rindex("<tr", 0, start) : page.index("</tr>", start) + 5]
    file.write_text(page.replace(row, "", 1), "utf-8")
    found = differences(run)
    assert any("says 'nothing', the trials say '+both'" in line for line in found)


def test_pictures_of_another_matplotlib_are_not_compared_and_that_is_said(run: Run) -> None:
    file = run.folder / "report.html"
    page = file.read_text("utf-8")
    page = re.sub(r'(name="drawn-with" content=")[^"]*', r"\1matplotlib 1.0", page)
    file.write_text(re.sub('base64,[^"]*', "base64,AAAA", page), "utf-8")
    found = Run(run.folder).verify()
    assert [d for d in found.differences if "bitmap" in str(d)] == []
    assert found.skipped.startswith(
        "figures are not compared: drawn with matplotlib 1.0, and this is matplotlib"
    )


def test_a_report_that_lies_elsewhere_is_compared_with_its_run(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "sent.html"
    shutil.copy(run.folder / "report.html", elsewhere)
    assert run.verify(elsewhere).differences == []
    with pytest.raises(RunError, match=r"there is no report; `ablation report .*run` writes one"):
        run.verify(tmp_path / "none.html")


def test_the_command_says_so_with_its_exit_code(run: Run) -> None:
    file = run.folder / "report.html"
    file.write_text(file.read_text("utf-8").replace("4 variants", "5 variants"), "utf-8")
    bad = in_this_process("verify", file)
    assert bad.returncode == 1
    assert "says 'tiny · 5 variants × 2 seeds (0, 1)', the trials say 'tiny · 4 variants" in bad.stdout


def test_a_parquet_file_that_was_edited_or_damaged_is_told(run: Run) -> None:
    pytest.importorskip("pyarrow")
    edited, damaged = (run.folder / f"{name}.parquet" for name in ("results", "history"))
    table = pd.read_parquet(edited)
    table.loc[0, "test_accuracy"] = 0.99
    table.to_parquet(edited)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    found = differences(run)
    assert found[0].startswith("results.parquet, line 2: says 'plain,0,completed,")
    assert ",0.99," in found[0]
    assert {difference.split(",")[0] for difference in found[1:]} == {"history.parquet"}


def as_written_by_version_1(run: Run) -> None:
    """Take from the reports what tells their version, put some of their words as they were, add report.tex."""
    for name, mark in (
        ("html", f'<meta name="report-version" content="{REPORT_VERSION}">'),
        ("md", f"<!-- report version {REPORT_VERSION} -->"),
    ):
        file = run.folder / f"report.{name}"
        text = file.read_text("utf-8")
        assert mark in text
        file.write_text(
            text.replace(mark, "").replace("Training", "Trained").replace("overfitting", "gap"), "utf-8"
        )
    rows = [
        f"{k} & {row.trial_id} & {row.variant} & {row.seed} & {row.status} & {100 * row.test_accuracy:.2f}\\% & "
        f"{run.store.fingerprint(run.trials[k])} \\\\"
        for k, row in enumerate(run.results.itertuples())
    ]
    head = "% The same report for a paper: take the tables and figures that you need."
    titles = "Trial & Id & Variant & Seed & Status & Test accuracy & Fingerprint"
    lines = [head, "\\section{Variants}", "plain & 99.9 & better", "\\section{Trials}", titles, *rows]
    (run.folder / "report.tex").write_text("\n".join(lines), "utf-8")


def test_of_reports_of_another_version_the_trials_are_compared(run: Run) -> None:
    """Their comparisons were judged by other rules, so a changed verdict cannot be found in them."""
    as_written_by_version_1(run)
    table = run.folder / "comparisons.csv"
    table.write_text(table.read_text("utf-8").replace("declared,", "", 1), "utf-8")
    verification = run.verify()
    assert verification.differences == []
    assert verification.numbers > 100
    assert verification.skipped == (
        "of reports and tables that an older version of ablation wrote, only the trials are compared, because "
        "comparisons were judged by other rules; `ablation report` writes them again"
    )


def test_a_report_of_the_version_before_is_not_compared_by_its_wording(run: Run) -> None:
    """Its first screen named every comparison, and its captions named the images."""
    file = run.folder / "report.html"
    mark = 'name="report-version" content="{}"'
    text = file.read_text("utf-8")
    assert mark.format(REPORT_VERSION) in text
    text = text.replace(mark.format(REPORT_VERSION), mark.format(REPORT_VERSION - 1))
    file.write_text(text.replace("</figcaption>", " 60 training images.</figcaption>"), "utf-8")
    assert run.verify(file).differences == []


@pytest.mark.parametrize("name", ["html", "md", "tex"])
def test_a_trials_number_changed_in_a_report_of_another_version_is_named(run: Run, name: str) -> None:
    as_written_by_version_1(run)
    file = run.folder / f"report.{name}"
    text = file.read_text("utf-8")
    accuracy = f"{run.results['test_accuracy'].iloc[-1]:.2%}"
    written = accuracy.replace("%", r"\%") if name == "tex" else accuracy
    place = text.rindex(written)
    file.write_text(f"{text[:place]}99.9{text[place + 4 :]}", "utf-8")
    found = differences(run)
    assert len(found) == 1
    assert "99.9" in found[0]


def test_a_version_that_is_not_known_is_compared_as_a_whole(run: Run) -> None:
    file = run.folder / "report.html"
    text = file.read_text("utf-8").replace(
        f'name="report-version" content="{REPORT_VERSION}"', 'name="report-version" content="9"'
    )
    file.write_text(text.replace("Training", "Trained"), "utf-8")
    assert differences(run) != []


def test_a_latex_report_of_an_earlier_version_is_removed_with_the_next_report(run: Run) -> None:
    as_written_by_version_1(run)
    run.write_report([])
    assert not (run.folder / "report.tex").exists()
    (run.folder / "report.tex").write_text("My own text.", "utf-8")
    run.write_report([])
    assert (run.folder / "report.tex").read_text("utf-8") == "My own text."
