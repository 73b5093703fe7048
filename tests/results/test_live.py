"""What is known of a run while it trains, from its folder alone. Nothing is trained here."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from conftest import after_epoch

from ablation import Run
from ablation.grid.trial import TrialResult
from ablation.results.live import LiveRun, LiveState, TrialState
from ablation.store.lock import locked
from ablation.store.progress_log import ProgressLog


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the small study, with two trials of `+both` left to train and no report."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    for leftover in (*folder.glob("trials/+both-*"), folder / "progress"):
        shutil.rmtree(leftover)
    (folder / "report.html").unlink()
    return Run(folder)


def trial_of(state: LiveState, variant: str, seed: int) -> TrialState:
    return next(trial for trial in state.trials if (trial.variant, trial.seed) == (variant, seed))


def left(run: Run) -> list[str]:
    return [trial.id for trial in run.trials if trial.variant == "+both"]


def test_a_running_trial_shows_its_epochs_and_the_time_left(run: Run) -> None:
    first, second = left(run)
    log, live = ProgressLog(run.folder), LiveRun(run.folder)
    with locked(run.folder):
        assert live.look().phase == "starting"
        log.planned({first: 2.0, second: 2.0})
        log.started(first)
        state = live.look()
        assert (state.phase, state.seconds_left) == ("starting", None)
        assert [trial.status for trial in state.trials].count("completed") == 6
        assert (trial_of(state, "+both", 0).status, trial_of(state, "+both", 1).status) == (
            "running",
            "pending",
        )
        log.epoch(first, after_epoch(1))
        time.sleep(0.05)
        log.epoch(first, after_epoch(2))
        state = live.look()
        assert state.phase == "training"
        assert trial_of(state, "+both", 0).epoch == 2
        assert state.seconds_left is not None
        log.epoch(first, after_epoch(1))  # its worker died, and it went back to its checkpoint
        assert trial_of(live.look(), "+both", 0).epoch == 1


def test_a_killed_run_has_stopped_and_a_resumed_one_goes_on_from_its_epochs(run: Run) -> None:
    first, second = left(run)
    live = LiveRun(run.folder)
    log = ProgressLog(run.folder)
    log.planned({first: 2.0, second: 2.0})
    log.started(first)
    log.epoch(first, after_epoch(1))
    state = live.look()  # no process holds the run folder
    assert state.phase == "stopped"
    assert (trial_of(state, "+both", 0).status, trial_of(state, "+both", 0).epoch) == ("pending", 1)
    with locked(run.folder):
        log.planned({first: 2.0, second: 2.0})
        log.started(first)
        state = live.look()
        assert (trial_of(state, "+both", 0).status, trial_of(state, "+both", 0).epoch) == ("running", 1)


def test_a_run_that_is_killed_before_its_first_epoch_has_not_ended_although_there_is_a_report(
    run: Run,
) -> None:
    """The report was written before the study was given further trials."""
    ProgressLog(run.folder).planned(dict.fromkeys(left(run), 2.0))
    for file in (run.folder / "report.html", run.figures_folder / "captions.md"):
        file.touch()
    assert run.is_reported
    assert LiveRun(run.folder).look().phase == "stopped"


def test_trials_that_a_command_left_out_are_not_asked_for(run: Run) -> None:
    first, second = left(run)
    live = LiveRun(run.folder)
    assert all(trial.is_asked for trial in live.look().trials)  # a run that says nothing of its plans
    log = ProgressLog(run.folder)
    log.planned({first: 2.0})  # as with --only
    asked = {trial.seed: trial.is_asked for trial in live.look().trials if trial.variant == "+both"}
    assert asked == {0: True, 1: False}
    log.planned({first: 2.0, second: 2.0})
    assert all(trial.is_asked for trial in live.look().trials)


def test_a_failed_trial_that_is_trained_again_is_no_failure_meanwhile(run: Run) -> None:
    first, second = (trial for trial in run.trials if trial.variant == "+both")
    run.store.scratch(first)
    run.store.commit(first, TrialResult(trial_id=first.id, status="failed", cause="the disk was full"))
    live = LiveRun(run.folder)
    failed = trial_of(live.look(), "+both", 0)
    assert (failed.status, failed.cause) == ("failed", "the disk was full")
    log = ProgressLog(run.folder)
    with locked(run.folder):
        log.planned({first.id: 1.0, second.id: 1.0})
        assert trial_of(live.look(), "+both", 0).status == "pending"
        log.started(first.id)
        log.ended(first.id, "failed")
        assert trial_of(live.look(), "+both", 0).status == "failed"


def test_a_variant_with_a_failed_trial_is_open_because_it_may_be_trained_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trial, status in zip(
        (t for t in run.trials if t.variant == "+both"), ("failed", "diverged"), strict=True
    ):
        run.store.scratch(trial)
        run.store.commit(trial, TrialResult(trial_id=trial.id, status=status, cause="no memory"))
    live, open_ = LiveRun(run.folder), list[set[str]]()
    monkeypatch.setattr(live, "_judge", lambda variants: open_.append(variants) or [])
    live.look()
    assert open_ == [{"+both"}]
    for file in (run.folder / "report.html", run.figures_folder / "captions.md"):
        file.touch()
    live.look()  # the run has ended, so that this is what it brought
    assert open_ == [{"+both"}, set()]


def test_shards_of_one_folder_are_seen_together(run: Run) -> None:
    first, second = left(run)
    live = LiveRun(run.folder)
    with locked(run.folder, "shard-1-of-2"), locked(run.folder, "shard-2-of-2"):
        for name, trial in (("shard-1-of-2", first), ("shard-2-of-2", second)):
            log = ProgressLog(run.folder, name)
            log.planned({trial: 1.0})
            log.started(trial)
            log.epoch(trial, after_epoch(1))
        state = live.look()
        assert [trial.status for trial in state.trials].count("running") == 2
        ProgressLog(run.folder, "shard-1-of-2").ended(first, "completed")
        assert live.look().phase == "training"
        ProgressLog(run.folder, "shard-2-of-2").ended(second, "completed")
        assert live.look().phase == "reporting"


def test_a_finished_run_has_ended_also_one_of_an_earlier_version(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    shutil.rmtree(folder / "progress")
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    state = LiveRun(folder).look()
    assert state.phase == "ended"
    assert {trial.status for trial in state.trials} == {"completed"}
    means = state.means["plain"]
    expected = finished_run.history.query("variant == 'plain'").groupby("epoch")["val_accuracy"].mean()
    assert [one.val for one in means] == pytest.approx(list(expected))
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before  # it only reads


def test_the_verdicts_of_a_finished_run_are_those_of_its_comparisons(finished_run: Run) -> None:
    state = LiveRun(finished_run.folder).look()
    comparisons = finished_run.comparisons
    assert [row["subject"] for row in state.verdicts] == list(comparisons["variant"])
    assert [row["n"] for row in state.verdicts] == list(comparisons["n"])
    assert [row["difference"] for row in state.verdicts] == pytest.approx(list(comparisons["difference"]))
