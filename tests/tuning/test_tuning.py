"""Every variant is tuned with the same budget, and compared at its own best beside as given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

import ablation
from ablation import Run, Study
from ablation.cli.console_tuning import print_tuning
from ablation.errors import GridError, RunError
from ablation.executors.contract import Progress, Task
from ablation.executors.shard import Shard
from ablation.grid.trial import Trial, TrialResult
from ablation.results.run import Run as PlainRun
from ablation.tuning.plan import plan_run

pytestmark = pytest.mark.slow  # they train dozens of models

EXAMPLE = Path(__file__).parents[2] / "experiments" / "tuned.yaml"
# At the learning rate that suits `plain`, Adam with few units, SGD hardly learns; at its own, it is far ahead.
PLANTED = (
    EXAMPLE.read_text("utf-8")
    .replace("seeds: 5", "seeds: 4")
    .replace("trials: 8", "trials: 4")
    .replace("seeds: 2", "budgets: [1]\n  seeds: 1")
)


def report_in_brief(run: PlainRun) -> Path:
    """Stand in for a report; those of single runs are tested elsewhere."""
    run.figures_folder.mkdir(exist_ok=True)
    (run.figures_folder / "captions.md").write_text("")
    return run.store.write("report.html", "")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The planted study, tuned; tests only read it."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "grid.yaml").write_text(PLANTED, "utf-8")
    study = Study.from_yaml(folder / "grid.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", report_in_brief)
        return ablation.run_study(study, folder / "out", executor="inline")


@pytest.fixture
def copied(planted: Run, tmp_path: Path) -> Run:
    """A copy of the planted run that a test may change."""
    return Run(shutil.copytree(planted.folder, tmp_path / "out", copy_function=shutil.copy2))


class Planned:
    """Keeps what is planned, and can interrupt a run after some trials."""

    def __init__(self, most: int = 10**9) -> None:
        self.pending: list[Task] = []
        self._left = most

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        self.pending += pending

    def progressed(self, progress: Progress) -> None:
        pass

    def finished(self, trial: Trial, result: TrialResult) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt


def at(run: Run, budget: int) -> pd.Series:
    return run.tuned.query("variant == 'wide' and budget == @budget").iloc[0]


# The verdict


def test_a_variant_that_is_worse_as_given_and_better_at_its_own_best_is_reported_as_both(
    planted: Run,
) -> None:
    given, tuned = at(planted, 0), at(planted, 4)
    assert given["verdict"] == "worse"
    assert given["high"] < 0
    assert tuned["verdict"] == "better"
    assert tuned["low"] > 0
    report = (planted.folder / "report.md").read_text("utf-8")
    assert "With each variant tuned: wide is better than plain in test accuracy" in report
    assert "As given, it was worse." in report
    assert "## Each variant at its own best" in report
    row = next(line for line in report.split("## Each variant")[1].splitlines() if line.startswith("| wide"))
    assert "▼ worse" in row
    assert "▲ better" in row
    assert row.index("▼ worse") < row.index("▲ better")


def test_the_report_says_at_which_budget_a_verdict_changes(planted: Run) -> None:
    assert at(planted, 1)["verdict"] != "better"
    assert at(planted, 1)["exploratory"]
    assert not at(planted, 4)["exploratory"]
    assert not at(planted, 0)["exploratory"]
    report = (planted.folder / "report.md").read_text("utf-8")
    assert "in the first search, behind after 1, ahead from 2 on" in report


def test_a_tuned_mean_below_that_as_given_is_a_finding(planted: Run) -> None:
    means = planted.tuned.query("variant == 'plain'").set_index("budget")["mean"]
    sentence = (
        f"Tuned, plain ({means[4]:.1%} after {means[0]:.1%}) has a worse mean test accuracy than as given."
    )
    report = (planted.folder / "report.md").read_text("utf-8")
    assert (sentence in report) == (means[4] < means[0])


# The budget, the seeds, and the test set


def test_every_variant_gets_the_same_budget_in_both_searches(planted: Run) -> None:
    assert planted.proposals.groupby(["variant", "search"]).size().tolist() == [4] * 4


def test_the_two_searches_propose_different_settings(planted: Run) -> None:
    first, second = (set(rows["settings"]) for _, rows in planted.proposals.groupby("search"))
    assert not first & second


def test_no_seed_is_used_twice_and_searches_do_not_read_the_test_set(planted: Run) -> None:
    tuned = planted.folder / "tuned"
    runs = [planted, Run(tuned / "search-1"), Run(tuned / "search-2"), Run(tuned)]
    seeds = [seed for run in runs for seed in run.study.seeds]
    assert len(seeds) == len(set(seeds)) == 4 + 1 + 1 + 4
    assert [bool(run.results["test_accuracy"].notna().any()) for run in runs] == [True, False, False, True]


def test_only_the_space_differs_between_given_and_tuned(planted: Run) -> None:
    for given, tuned in zip(
        planted.study.variants, Run(planted.folder / "tuned").study.variants, strict=True
    ):
        changed = {key for key, value in given.settings.items() if tuned.settings[key] != value}
        assert changed == {"learning_rate"}


# Again, and after an interruption


def test_a_second_run_asks_trains_and_writes_nothing(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("an oracle was asked")

    before = {file: file.stat().st_mtime_ns for file in copied.folder.rglob("*.*") if file.suffix != ".lock"}
    monkeypatch.setattr("ablation.tuning.search.make_proposer", asked)
    monkeypatch.setattr("ablation.workflow.run_study.write_report", report_in_brief)
    planned = Planned()
    ablation.run_study(copied.study, copied.folder, executor="inline", observer=planned)
    assert planned.pending == []
    after = {file: file.stat().st_mtime_ns for file in before}
    assert {file.name for file in before if after[file] != before[file]} <= {"declared.json"}


def test_what_was_lost_is_trained_again_and_gives_the_same_tables(
    copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {name: (copied.folder / name).read_text() for name in ("tuned.csv", "proposals.csv")}
    monkeypatch.setattr("ablation.workflow.run_study.write_report", report_in_brief)
    monkeypatch.setattr("ablation.tuning.run.write_report", report_in_brief)
    for folder in ("search-2", "."):
        shutil.rmtree(next((copied.folder / "tuned" / folder / "trials").glob("wide*")))
    (copied.folder / "tuned" / "search-1" / "searched.json").unlink()  # as if killed before its end
    for name in tables:
        (copied.folder / name).unlink()
    planned = Planned()
    ablation.run_study(copied.study, copied.folder, executor="inline", observer=planned)
    assert len(planned.pending) == 2
    assert tables == {name: (copied.folder / name).read_text() for name in tables}


@pytest.mark.slow
def test_a_run_that_is_interrupted_four_times_gives_the_same_tables(
    planted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.workflow.run_study.write_report", report_in_brief)
    monkeypatch.setattr("ablation.tuning.run.write_report", report_in_brief)
    for most in (3, 7, 11, 9):  # as given, in each search, and among the tuned variants
        with pytest.raises(KeyboardInterrupt):
            ablation.run_study(planted.study, tmp_path, executor="inline", observer=Planned(most))
    ablation.run_study(planted.study, tmp_path, executor="inline")
    for name in ("tuned.csv", "proposals.csv", "comparisons.csv", "tuned/comparisons.csv"):
        assert (tmp_path / name).read_text() == (planted.folder / name).read_text()


def test_a_search_of_another_space_does_not_count(planted: Run) -> None:
    assert planted.study.tune
    space = {"batch_size": planted.study.tune.space["learning_rate"]}
    other = planted.study.model_copy(update={"tune": planted.study.tune.model_copy(update={"space": space})})
    changed = planted.with_study(other, planted.dataset.digest)
    assert changed.tuning.searches == {}
    assert changed.tuning.comparisons == {}
    assert set(changed.tuned["budget"]) == {0}


def test_an_added_variant_is_not_tuned_yet(planted: Run) -> None:
    third = planted.study.variants[1].model_copy(update={"name": "third"})
    study = planted.study.model_copy(update={"variants": (*planted.study.variants, third)})
    changed = planted.with_study(study, planted.dataset.digest)
    assert changed.tuning.progress() == [
        "Tuning, search 1: 8 of 8 proposed trials trained",
        "Tuning, search 2: 8 of 8 proposed trials trained",
        "Tuning is not finished; `ablation run` without --only and --shard continues it.",
    ]


def test_parts_of_a_run_are_not_tuned(copied: Run) -> None:
    shutil.rmtree(copied.folder / "tuned")
    ablation.run_study(copied.study, copied.folder, executor="inline", only=["wide"])
    ablation.run_study(copied.study, copied.folder, executor="inline", shard=Shard(1, 2))
    assert not (copied.folder / "tuned").exists()


# What is shown, and whether it is true


def test_verify_recomputes_the_tables_of_the_tuning_and_nothing_else_differs(copied: Run) -> None:
    file = copied.folder / "tuned.csv"
    file.write_text(file.read_text().replace("better", "worse"))
    assert {d.where.split(",")[0] for d in Run(copied.folder).verify().differences} == {"tuned.csv"}


def test_a_damaged_trial_of_a_search_has_no_score(copied: Run) -> None:
    without_score = copied.proposals["objective"].isna().sum()
    trial = next((copied.folder / "tuned" / "search-1" / "trials").glob("wide*"))
    result = json.loads((trial / "result.json").read_text())
    result["metrics"]["val_accuracy"] = 1.0
    (trial / "result.json").write_text(json.dumps(result))
    scores = Run(copied.folder).proposals["objective"]
    assert scores.isna().sum() == without_score + 1


def test_the_terminal_puts_as_given_beside_tuned(planted: Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_tuning(planted)
    shown = capsys.readouterr().out
    assert "Difference from plain as given, and each tuned (4 proposals)" in shown
    assert "worse" in shown.splitlines()[-1]
    assert "better" in shown.splitlines()[-1]


def test_a_plan_counts_the_trials_of_the_tuning(
    planted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablation.tuning.plan.rough_duration", lambda seconds: "a minute")
    assert plan_run(planted.study, tmp_path / "new").notes[0] == (
        "Tuning follows: two searches of 4 proposals per variant, at most 16 trials without the test set, and "
        "then at most 16 trials that compare the tuned variants. In all, they take roughly a minute, if each "
        "takes as long as its variant as given. Trials that are finished are not trained again."
    )
    assert plan_run(planted.study, planted.folder).notes[0] == "Tuning is finished."
    assert plan_run(planted.study, tmp_path / "new", only=["wide"]).notes[0] == (
        "Tuning is left to a run of the whole grid, without --only and --shard."
    )


def test_a_report_before_the_end_says_how_to_go_on(copied: Run) -> None:
    shutil.rmtree(copied.folder / "tuned")
    run = Run(copied.folder)
    run.write_report([])
    assert (
        "The grid declares `tune:`, and tuning is not finished. The same `ablation run` command, without --only "
        "and --shard, continues it." in (run.folder / "report.md").read_text("utf-8")
    )


# What cannot be tuned


def test_seeds_of_the_command_line_must_leave_room(planted: Run, tmp_path: Path) -> None:
    study = planted.study.with_overrides(seeds=[1_000_000])
    with pytest.raises(GridError) as caught:
        ablation.run_study(study, tmp_path)
    assert str(caught.value) == (
        "--seeds: tuning needs seeds below 1,000,000; searches and tuned variants use those above."
    )


def test_a_variant_of_which_no_proposal_completes_is_named(
    write_grid: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLANTED.replace("range: [0.001, 0.3], log: true", "choice: [1.0e+30, 2.0e+30]")
    text = text.replace("epochs: 6", "epochs: 1").replace("seeds: 4", "seeds: 1")
    monkeypatch.setattr("ablation.workflow.run_study.write_report", report_in_brief)
    with pytest.raises(RunError) as caught:
        ablation.run_study(Study.from_yaml(write_grid(text)), tmp_path / "out", executor="inline")
    folder = tmp_path / "out" / "tuned" / "search-1"
    assert str(caught.value) == (
        f"{folder}: no proposal for 'plain' was trained with all of its seeds, so that it has no tuned settings. "
        f"`ablation status {folder}` says why."
    )


def test_a_packed_run_holds_the_searches_and_the_tuned_run(copied: Run, tmp_path: Path) -> None:
    copied.write_report()
    packed = Run(copied.pack(tmp_path / "packed"))
    for table in ("tuned", "proposals", "comparisons"):
        assert packed.table_text(table) == copied.table_text(table)
    assert packed.tuning.progress() == copied.tuning.progress()
