"""What the live display counts, and what a status says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import after_epoch, tiny_trial
from invented_runs import run_of_variants
from rich.console import Console

from ablation import Run, Study
from ablation.analysis.phrases import duration, rough_duration
from ablation.cli.console import print_item
from ablation.cli.terminal import (
    print_audit,
    print_comparisons,
    print_plan,
    print_results,
    print_seeds_needed,
    print_status,
)
from ablation.data.datasets import Dataset
from ablation.executors.contract import Progress, Task
from ablation.grid.trial import TrialResult
from ablation.workflow.dry_run import plan_study
from ablation.workflow.progress import LiveProgress


def test_a_trial_that_starts_again_is_counted_from_its_start(tiny_dataset: Dataset, tmp_path: Path) -> None:
    progress = LiveProgress(Console(file=io.StringIO()))
    first, second = (tiny_trial(tiny_dataset, seed=seed, epochs=10) for seed in (0, 1))
    progress.planned([first, second], [Task(first, tmp_path), Task(second, tmp_path)])
    for epoch in range(1, 9):
        progress.progressed(Progress(first, after_epoch(epoch)))
    assert progress.epochs_done == 8
    progress.progressed(Progress(first, None))  # its worker died; another one begins anew
    assert progress.epochs_done == 0
    progress.progressed(Progress(first, after_epoch(1)))
    progress.progressed(Progress(second, after_epoch(1)))
    assert progress.epochs_done == 2
    progress.finished(first, TrialResult(trial_id=first.id, status="failed", cause="stopped early"))
    assert progress.epochs_done == 11  # nothing of a trial that has ended is left to wait for


def test_the_display_shows_trials_epochs_metrics_and_time(tiny_dataset: Dataset, tmp_path: Path) -> None:
    screen = io.StringIO()
    trial = tiny_trial(tiny_dataset, epochs=10)
    with LiveProgress(Console(file=screen, force_terminal=True, width=100)) as progress:
        progress.planned([trial], [Task(trial, tmp_path, seconds=10)])
        for epoch in (1, 2, 3):
            progress.progressed(Progress(trial, after_epoch(epoch)))
    shown = screen.getvalue()
    for text in ("0 of 1 trial ", "3/10", "75.0%", "50.0%", "+25.0 pp", "left"):
        assert text in shown


def test_when_all_trials_have_ended_one_line_says_what_is_being_done(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    screen, trial = io.StringIO(), tiny_trial(tiny_dataset)
    progress = LiveProgress(Console(file=io.StringIO()))
    progress.planned([trial], [Task(trial, tmp_path)])
    progress.finished(trial, TrialResult(trial_id=trial.id, status="failed", cause="out of memory"))
    Console(file=screen, width=80).print(progress._draw())
    (line,) = screen.getvalue().splitlines()
    assert line.split()[:4] == ["1", "of", "1", "trial"]
    assert line.endswith("0 s so far writing the report")


@pytest.mark.parametrize(
    ("is_terminal", "lines"),
    [
        (True, ["  ▲ +Dropout is better than plain in", "    test accuracy (+15.1 points)."]),
        (False, ["  ▲ +Dropout is better than plain in test accuracy (+15.1 points)."]),
    ],
)
def test_a_sentence_is_broken_between_words_on_a_terminal_only(is_terminal: bool, lines: list[str]) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, color_system=None, width=40)
    print_item(console, "▲", "+Dropout is better than plain in test accuracy (+15.1 points).")
    assert console.file.getvalue().splitlines() == lines


def test_durations_read_well() -> None:
    assert [duration(s) for s in (-1, 45.4, 200, 7500)] == ["0 s", "45 s", "3 min 20 s", "2 h 5 min"]
    estimates = [45.4, 58, 180, 197, 599, 2280, 3570, 3599, 7500, 15_600]
    assert [rough_duration(s) for s in estimates] == [
        "45 s", "58 s", "3 min", "3 min 20 s", "10 min", "38 min", "1 h", "1 h", "2 h", "4 h 20 min",
    ]  # fmt: skip


def test_status_of_a_run_in_progress_shows_the_verdicts_that_are_safe_already(
    finished_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run, generator = Run(finished_run.folder), np.random.default_rng(0)
    rows = []
    for name, gain in (("plain", 0.0), ("+Dropout", 0.1), ("+BatchNorm", 0.0), ("+both", 0.0)):
        row = finished_run.results[finished_run.results["variant"] == name].iloc[0]
        for seed in range(12):
            accuracy = 0.5 + gain + generator.normal(0, 0.01)
            rows.append(row.to_dict() | {"seed": seed, "test_accuracy": accuracy})
    rows[-1] |= {"status": "pending"}
    run.__dict__["results"] = pd.DataFrame(rows).astype({"parameters": "Int64"})
    print_status(run)
    shown = " ".join(capsys.readouterr().out.split())
    assert "47 completed 1 pending" in shown
    assert (
        "Verdicts so far (they stay valid when the pending trials are done) paired t-test over seeds and test images, "
        "alpha 0.05, Holm, margin 0.5 pp ▲ +Dropout is better than" in shown
    )
    assert "? unresolved against plain: +BatchNorm, +both" in shown
    run.__dict__["results"] = run.results.assign(status="completed")
    for name in ("comparisons", "effects", "_answers"):
        run.__dict__.pop(name, None)
    for show in (print_status, print_results):  # a run ends with what it came to
        show(run)
        shown = " ".join(capsys.readouterr().out.split())
        assert (
            "Verdicts paired t-test over seeds and test images, alpha 0.05, Holm, margin 0.5 pp ▲ +Dropout is "
            "better than plain"
        ) in shown


def test_a_narrow_terminal_cuts_nothing_off(
    finished_run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_comparisons(finished_run)
    shown = capsys.readouterr().out
    for text in ("interaction", "adjusted", "dropout=0.3", "needs 3"):
        assert text in shown
    assert "…" not in shown


def test_names_of_twenty_letters_stay_whole_in_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["plain", *(f"+Dropout 0.{k} +BN 128" for k in range(1, 4))]
    assert {len(name) for name in names[1:]} == {20}
    run = run_of_variants(tmp_path / "run", names, seeds=4, epochs=2)
    shows = {
        "status": lambda: print_status(run),
        "compare": lambda: print_comparisons(run),
        "plan": lambda: print_seeds_needed(run),
        "audit": lambda: print_audit(run, run.pairing),
        "dry run": lambda: print_plan(plan_study(run.study)),
    }
    for command, show in shows.items():
        show()
        lines = capsys.readouterr().out.splitlines()
        rows = [line for line in lines if line.startswith("+Dropout") and "  " in line]  # not of a note
        assert [row for row in rows if not row.startswith(tuple(names[1:]))] == [], command
        assert max(map(len, rows)) <= 80, command
        assert len(rows) >= 3, command


def test_the_seeds_needed_fit_80_columns(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = Run(finished_run.folder)
    needed = run.seeds_needed.assign(
        variant=["+Dropout", "+BatchNorm", "+both"],
        n=[1, 5, 12],
        deviation=[np.nan, 0.1667, 0.0],
        seeds=[np.nan, 9999.0, 3.0],
        seeds_low=[np.nan, 1784.0, 3.0],
        seeds_high=[np.nan, 10_000.0, 3.0],
        hours=[np.nan, 159.4, 0.0],
        equivalent_if_zero=[np.nan, 0.6049, np.nan],
        better_or_worse_if_margin=[np.nan, 0.8031, np.nan],
    )
    monkeypatch.setattr(Run, "seeds_needed", needed)
    print_seeds_needed(run)
    table = capsys.readouterr().out.splitlines()[1:-1]
    assert max(map(len, table)) <= 80
    assert not any("…" in line for line in table)
    large = next(line for line in table if "9,999" in line)
    for cell in ("16.7 pp (5)", "1,784 to 10,000", "159 h", "60%", "80%"):
        assert cell in large
    assert any("needs 2 pairs" in line and "– (1)" in line for line in table)
    assert any("0.00 pp (12)" in line and line.rstrip().endswith("–") for line in table)


def test_an_audit_of_many_variants_keeps_its_seeds_at_80_columns(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pairing = finished_run.pairing
    more = [pairing.assign(variant=pairing["variant"] + f" {k}") for k in range(3)]
    print_audit(finished_run, pd.concat([pairing, *(m[m["variant"] != "plain"] for m in more)]))
    lines = capsys.readouterr().out.splitlines()
    headings = [line for line in lines if line.startswith("seed ")]
    assert len(headings) > 1
    assert " ".join(headings).count("batch order") == len(headings)
    assert [line.split()[0] for line in lines if line[:1] in "01" and "✓" in line] == ["0", "1"] * len(
        headings
    )
    assert not [line for line in lines if "…" in line]


def test_one_trial_is_no_trials(
    two_variants: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plan(plan_study(two_variants.with_overrides(seeds=[0]), tmp_path / "run", only=["plain"]))
    assert "\n1 trial to train, 1 at a time: " in capsys.readouterr().out
