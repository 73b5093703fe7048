"""`ablation runs` lists what there is, and `ablation clean` removes what no trial of the study needs."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_folder_arguments import command
from untrained_runs import untrained_run

import ablation
from ablation import Run, TrialResult
from ablation.errors import RunError
from ablation.grid.value_text import size_text
from ablation.results.overview import list_runs
from ablation.store.checked_record import checked_text
from ablation.store.lock import locked
from ablation.store.run_folder import Store
from ablation.training.checkpoint import CHECKPOINT

GRID = "study: small\nfactors: {dropout: [0, 0.3]}\nseeds: 3\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of two variants and three seeds, without training."""
    return untrained_run(GRID, tmp_path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(folder)): f.read_bytes()
        for f in folder.rglob("*")
        if f.is_file() and f.suffix != ".lock"
    }


def other_study(run: Run, seeds: tuple[int, ...]) -> Run:
    """Run the study with other seeds in the same folder, as an edited grid file would."""
    run.store.open(run.study.model_copy(update={"seeds": seeds}), run.dataset)
    return Run(run.folder)


def test_runs_are_listed_with_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlucky(trial: ablation.Trial, result: TrialResult) -> TrialResult | None:
        kept = {0: result, 1: result.model_copy(update={"status": "diverged"}), 2: None}
        return kept[trial.seed]

    runs = tmp_path / "experiments" / "runs"
    for name in ("whole", "part", "bad"):
        (tmp_path / name).mkdir()
        made = untrained_run(GRID, tmp_path / name, *([unlucky] if name == "part" else []))
        shutil.copytree(made.folder, runs / name)
    (runs / "bad" / "study.json").write_text("{")
    (runs / "s-search").mkdir()
    (runs / "s-search" / "search.json").write_text("{}")
    shutil.copytree(runs / "whole", runs / "s-search" / "confirmation")
    (runs / "notes").mkdir()
    order = ("part", "s-search/confirmation", "whole", "bad")
    for k, name in enumerate(order):
        moment = datetime(2026, 5, 4, 12, 30 - k).timestamp()
        os.utime(runs / name / "study.json", (moment, moment))
    monkeypatch.chdir(tmp_path)
    with locked(runs / "part"):
        lines = [line.rstrip() for line in command("runs").splitlines()]
    assert [line.split() for line in lines] == [
        ["run", "study", "started", "state"],
        "experiments/runs/part small 2026-05-04 12:30 2 of 6, 2 failed, running".split(),
        "experiments/runs/s-search/confirmation small 2026-05-04 12:29 complete (6 trials)".split(),
        "experiments/runs/whole small 2026-05-04 12:28 complete (6 trials)".split(),
        "experiments/runs/bad – 2026-05-04 12:27 study.json is damaged".split(),
    ]
    states = [run.state for run in ablation.list_runs()]
    assert states == ["incomplete", "complete", "complete", "damaged"]


def test_a_folder_without_runs_is_an_answer_and_one_that_is_not_there_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("runs") == "There is no run in experiments/runs.\n"
    assert json.loads(command("runs", "--json"))["runs"] == []
    for folder, message in (
        ("nowhere", "there is no folder nowhere."),
        ("file", "file is a file; name a folder."),
    ):
        (tmp_path / "file").touch()
        with pytest.raises(RunError) as error:
            command("runs", folder)
        assert str(error.value) == message


def test_trials_of_the_study_are_never_touched(run: Run) -> None:
    before = files_of(run.folder)
    said = command("clean", run.folder, "--yes")
    assert said == f"{run.folder}: there is nothing to remove.\n"
    assert files_of(run.folder) == before


def test_trials_of_an_earlier_version_are_shown_and_removed_when_that_is_asked_for(run: Run) -> None:
    before = files_of(run.folder)
    dropped = {trial.id for trial in run.trials if trial.seed != 1}
    now = other_study(run, (1,))
    kept = files_of(run.folder)
    said = command("clean", run.folder)
    first, *listed, last = said.splitlines()
    size = sum(len(content) for name, content in before.items() if dropped.intersection(Path(name).parts))
    assert (
        first == f"{size_text(size)}: trials of other settings, seeds, images or code than the study has now"
    )
    assert {Path(line.split()[-1]).name for line in listed} == dropped
    assert last == f"`ablation clean {run.folder} --yes` removes {size_text(size)}."
    assert files_of(run.folder) == kept
    said = command("clean", run.folder, "--yes")
    assert said.splitlines()[-1] == f"Removed {size_text(size)}. The trials of the study are untouched."
    after = files_of(run.folder)
    assert after == {name: content for name, content in kept.items() if dropped.isdisjoint(Path(name).parts)}
    assert set(Run(run.folder).results["status"]) == {"completed"}
    assert {trial.id for trial in now.trials}.isdisjoint(dropped)


def test_a_renamed_variant_keeps_its_trials(run: Run) -> None:
    variants = [
        v.model_copy(update={"name": "renamed"}) if v.name == "+Dropout" else v for v in run.study.variants
    ]
    record = json.loads(run.store.study_file.read_text("utf-8"))
    study = run.study.model_copy(update={"variants": tuple(variants)})
    record["study"] = study.model_dump(mode="json")  # as a run that was killed before it renamed the folders
    run.store.study_file.write_text(checked_text(record), "utf-8")
    assert ablation.clean_run(run.folder) == []


def test_what_interrupted_processes_left_is_unfinished_and_a_state_that_is_needed_stays(
    tmp_path: Path,
) -> None:
    run = untrained_run(GRID, tmp_path, lambda trial, result: result if trial.seed else None)
    running = run.folder / "trials" / ".running"
    pending, completed = run.trials[0], run.trials[1]
    for name, file in (
        (pending.id, CHECKPOINT), (completed.id, CHECKPOINT), (run.trials[3].id, "half.csv"),
        (f"{completed.id}.adopted", "result.json"), ("gone-s0-0badbad0", CHECKPOINT),
    ):  # fmt: skip
        (running / name).mkdir(parents=True, exist_ok=True)
        (running / name / file).write_bytes(b"12345")
    (run.folder / ".report.html.partial").write_bytes(b"123")
    earlier = run.folder / "trials" / f"{completed.id}.0badbad0"
    shutil.copytree(run.store.place(completed), earlier)
    found = ablation.clean_run(run.folder)
    assert {(leftover.path.name, leftover.kind) for leftover in found} == {
        (earlier.name, "earlier result"),
        (completed.id, "kept state"),
        (run.trials[3].id, "unfinished"),
        (f"{completed.id}.adopted", "unfinished"),
        ("gone-s0-0badbad0", "unfinished"),
        (".report.html.partial", "unfinished"),
    }
    assert sorted(leftover.bytes for leftover in found)[:2] == [3, 5]
    assert ablation.clean_run(run.folder, remove=True) == found
    assert [path.name for path in running.iterdir()] == [pending.id]
    assert ablation.clean_run(run.folder) == []
    assert set(Run(run.folder).trial_results) == {trial.id for trial in run.trials if trial.seed}


def test_a_link_is_refused_and_what_it_leads_to_stays(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("keep me")
    link = run.folder / "trials" / "linked-s9-0badbad0"
    link.symlink_to(elsewhere)
    with pytest.raises(RunError) as error:
        ablation.clean_run(run.folder, remove=True)
    assert str(error.value) == (
        f"{link} is a link, which may lead out of the run folder. Put what it leads to in its place, or remove it."
    )
    assert (elsewhere / "precious").is_file()


def test_a_run_in_progress_is_left_alone(run: Run) -> None:
    other_study(run, (1,))
    before = files_of(run.folder)
    with locked(run.folder):
        owner = json.loads((run.folder / "run.owner.json").read_text("utf-8"))
        with pytest.raises(RunError) as error:
            command("clean", run.folder, "--yes")
    who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    assert str(error.value) == f"{run.folder} is in use by {who}; wait until it ends."
    assert files_of(run.folder) == before


def test_the_trials_of_a_search_stay(run: Run) -> None:
    run.store.open(run.study.model_copy(update={"reads_test": False}), run.dataset)
    with pytest.raises(RunError) as error:
        command("clean", run.folder, "--yes")
    assert str(error.value) == (
        f"{run.folder} holds the trials of a search, which makes its proposals again when it is continued and then needs all "
        "of them; nothing is removed there."
    )


def test_the_trials_of_a_tuning_stay(tmp_path: Path) -> None:
    """Those of smaller budgets are not in the plan of the tuned variants, and are needed all the same."""
    grid = GRID + "tune: {space: {learning_rate: {choice: [0.01, 0.001]}}, trials: 2, seeds: 1}\n"
    run = untrained_run(grid, tmp_path)
    tuned = run.folder / "tuned"
    Store(tuned).open(run.study.model_copy(update={"tune": None}), run.dataset)
    with pytest.raises(RunError, match="nothing is removed there"):
        ablation.clean_run(tuned)


@settings(deadline=None)
@given(st.integers(0, 10**15))
def test_a_size_is_short_and_near(size: int) -> None:
    number, unit = size_text(size).split()
    scale = 1000.0 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert abs(float(number) * scale - size) <= 0.051 * max(size, 1) + 0.5 * (scale == 1)
    assert len(number) <= 4


def test_a_folder_of_another_user_is_passed_over(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, is_file = tmp_path / "theirs", Path.is_file
    theirs.mkdir()
    run.folder.rename(tmp_path / "mine")

    def refused(path: Path) -> bool:
        if path.parent == theirs:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert [listed.folder.name for listed in list_runs(tmp_path)] == ["mine"]
