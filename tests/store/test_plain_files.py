"""A run folder from somebody else leads nowhere: a link in it is refused, and none is followed by a writer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ablation import Run
from ablation.errors import RunError
from ablation.files import write_atomically
from ablation.store.checked_record import checked_text


@pytest.fixture
def copied(finished_run: Run, tmp_path: Path) -> Path:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return tmp_path / "run"


def trial_file(run: Path) -> Path:
    return next(run.glob("trials/*/result.json"))


PLACES: dict[str, Callable[[Path], Path]] = {
    "a table": lambda run: run / "results.csv",
    "what was a temporary file": lambda run: run / ".results.csv.partial",
    "the study": lambda run: run / "study.json",
    "the figures": lambda run: run / "figures",
    "a caption": lambda run: run / "figures" / "captions.md",
    "all trials": lambda run: run / "trials",
    "a trial": lambda run: trial_file(run).parent,
    "a trial's result": trial_file,
    "a lock": lambda run: run / "run.lock",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_link_in_a_run_folder_is_refused_and_nothing_is_written(
    copied: Path, tmp_path: Path, name: str
) -> None:
    place, outside = PLACES[name](copied), tmp_path / "outside"
    if place.exists():
        place.rename(outside)
    else:
        place.parent.mkdir(exist_ok=True)
        outside.write_text("mine", "utf-8")
    place.symlink_to(outside)
    before = outside.stat().st_mtime_ns
    with pytest.raises(RunError) as caught:
        Run(copied)
    assert str(caught.value) == (
        f"{place} is a link, which may lead out of the run folder. Put what it leads to in its place, or remove it."
    )
    assert outside.stat().st_mtime_ns == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
@pytest.mark.parametrize("name", ["the study", "a table", "a trial's result"])
def test_a_pipe_in_a_run_folder_is_refused_and_nobody_waits_for_it(copied: Path, name: str) -> None:
    place = PLACES[name](copied)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(RunError) as caught:
        Run(copied)
    assert str(caught.value) == f"{place} is neither a file nor a folder. Remove it."


def test_the_run_folder_itself_may_be_reached_by_a_link(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(copied)
    assert len(Run(tmp_path / "elsewhere").results) == len(Run(copied).results)


@pytest.mark.parametrize("name", ["../../study.json", "/etc/hostname", "C:\\boot.ini", "..\\study.json"])
def test_a_trial_names_files_of_its_own_only(copied: Path, name: str) -> None:
    record = trial_file(copied).with_name("trial.json")
    content = json.loads(record.read_text("utf-8"))
    content["files"][name] = "0" * 64
    record.write_text(checked_text(content), "utf-8")
    run = Run(copied)
    (trial,) = (trial for trial in run.trials if trial.id == record.parent.name)
    assert run.store.damage(trial) == f"trial.json names {name!r}, which is no file of the trial"
    assert run.trial_results[trial.id].status == "failed"


def test_a_writer_replaces_a_link_and_leaves_what_it_leads_to(tmp_path: Path) -> None:
    outside, file = tmp_path / "outside", tmp_path / "results.csv"
    outside.write_text("mine", "utf-8")
    file.symlink_to(outside)
    (tmp_path / f".results.csv.{os.getpid()}.partial").symlink_to(outside)
    assert write_atomically(file, "a table").read_text("utf-8") == "a table"
    assert (file.is_symlink(), outside.read_text("utf-8")) == (False, "mine")


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    folder, endless = tmp_path / "run", tmp_path / "endless"
    (folder / "study.json").mkdir(parents=True)
    endless.symlink_to(endless)
    for place, message in (
        (
            folder,
            f"{folder / 'study.json'} cannot be read: is a directory. Remove it, and repeat the command that wrote it.",
        ),
        (endless, f"{endless} cannot be read: too many levels of symbolic links."),
    ):
        with pytest.raises(RunError) as caught:
            Run(place)
        assert str(caught.value) == message
