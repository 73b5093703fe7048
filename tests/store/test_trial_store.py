"""How trials are kept: found by their settings whatever their variant is called, and replaced whole."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import tiny_trial

from ablation import Run, Study, run_study
from ablation.data.datasets import Dataset
from ablation.grid.study_diff import study_changes
from ablation.grid.trial import Trial, TrialResult
from ablation.store.run_folder import Store
from ablation.training.checkpoint import CHECKPOINT
from ablation.workflow.dry_run import plan_study
from ablation.workflow.sequential import with_earlier_seeds

GRID = """
    study: life
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {family: dense, dense: [8]}
    training: {epochs: 1, batch_size: 30}
    factors: {dropout: [0, 0.3]}
    variants: {broad: {width: 2}}
    seeds: 2
"""
WriteGrid = Callable[[str], Path]


def committed(store: Store, trial: Trial, status: str = "completed") -> None:
    store.scratch(trial)
    store.commit(trial, TrialResult(trial_id=trial.id, status=status))  # type: ignore[arg-type]


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("broad", "wide", ["plain", "+Dropout", "wide"]),
        ("[0, 0.3]", "[0, 0.3, 0.5]", ["plain", "+Dropout 0.3", "+Dropout 0.5", "broad"]),
    ],
)
def test_trials_are_found_by_their_settings_and_get_the_names_of_the_grid(
    write_grid: WriteGrid, tmp_path: Path, old: str, new: str, names: list[str]
) -> None:
    first = run_study(Study.from_yaml(write_grid(GRID)), tmp_path / "run", executor="inline")
    renamed = Study.from_yaml(write_grid(GRID.replace(old, new)))
    assert [variant.name for variant in renamed.variants] == names
    added = 2 * (len(names) - 3)
    assert len(plan_study(renamed, tmp_path / "run").pending_ids) == added
    run = run_study(renamed, tmp_path / "run", executor="inline")
    assert (run.results["status"] == "completed").all()
    kept = {folder.name for folder in (tmp_path / "run" / "trials").iterdir() if folder.name != ".running"}
    assert kept == set(run.results["trial_id"])
    common = first.results.set_index("parameters")["test_loss"]
    assert set(common) <= set(run.results["test_loss"])
    assert plan_study(renamed, tmp_path / "run").pending_ids == ()


def test_a_variant_that_was_renamed_is_one_change(write_grid: WriteGrid) -> None:
    first, now = (Study.from_yaml(write_grid(GRID.replace("broad", name))) for name in ("broad", "wide"))
    assert study_changes(first, now) == ["variant broad: renamed to wide"]


def test_seeds_that_were_added_follow_a_variant_that_is_renamed(
    write_grid: WriteGrid, tmp_path: Path, tiny_dataset: Dataset
) -> None:
    first, now = (Study.from_yaml(write_grid(GRID.replace("broad", name))) for name in ("broad", "wide"))
    store = Store(tmp_path / "run")
    store.open(first.model_copy(update={"further_seeds": {"broad": (2,), "plain": (2,)}}), tiny_dataset)
    assert with_earlier_seeds(now, store, tiny_dataset.digest).further_seeds == {"wide": (2,), "plain": (2,)}


def test_reading_a_run_renames_nothing(tmp_path: Path, tiny_dataset: Dataset) -> None:
    store, trial = Store(tmp_path / "run"), tiny_trial(tiny_dataset)
    committed(store, trial)
    renamed = trial.model_copy(update={"variant": "other"})
    result = store.result(renamed)
    assert result is not None
    assert (result.trial_id, result.status) == (renamed.id, "completed")
    assert store.place(renamed).name == trial.id
    assert store.damage(renamed) == ""
    assert store.fingerprint(renamed) == store.fingerprint(trial) != ""
    assert store.count_others([renamed]) == 0
    assert store.result(tiny_trial(tiny_dataset, seed=1)) is None


def test_a_trial_that_was_interrupted_keeps_its_checkpoint_under_its_new_name(
    tmp_path: Path, tiny_dataset: Dataset
) -> None:
    store, trial = Store(tmp_path / "run"), tiny_trial(tiny_dataset)
    (store.scratch(trial) / CHECKPOINT).write_text("state")
    renamed = trial.model_copy(update={"variant": "other"})
    store.rename([renamed])
    assert (store.scratch(renamed) / CHECKPOINT).read_text() == "state"


def test_two_variants_that_swap_their_names_keep_their_trials(tmp_path: Path, tiny_dataset: Dataset) -> None:
    store = Store(tmp_path / "run")
    one, two = (tiny_trial(tiny_dataset, width=width) for width in (1, 2))
    one, two = one.model_copy(update={"variant": "one"}), two.model_copy(update={"variant": "two"})
    committed(store, one)
    committed(store, two, "diverged")
    swapped = [one.model_copy(update={"variant": "two"}), two.model_copy(update={"variant": "one"})]
    store.rename(swapped)
    found = [store.result(trial) for trial in swapped]
    assert [result and result.status for result in found] == ["completed", "diverged"]


def test_a_trial_that_fails_again_and_again_is_replaced_each_time(
    tmp_path: Path, tiny_dataset: Dataset
) -> None:
    """Also beside another shard, which keeps what is left in the folder of running trials."""
    store, trial = Store(tmp_path / "run"), tiny_trial(tiny_dataset)
    for _ in range(4):
        committed(store, trial, "failed")
    assert list((tmp_path / "run" / "trials" / ".running").iterdir()) == []
    left = tmp_path / "run" / "trials" / ".running" / f"{trial.id}.replaced"
    left.mkdir()  # as by a process that was killed in between
    (left / "trial.json").write_text("{}")
    committed(store, trial)
    assert not left.exists()


def test_what_is_flushed_to_the_disk_is_open_for_writing(
    tmp_path: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to flush any other file."""
    import fcntl

    modes = []
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE))
    committed(Store(tmp_path / "run"), tiny_trial(tiny_dataset))
    assert modes
    assert set(modes) <= {os.O_RDWR, os.O_WRONLY}


def test_run_folders_of_earlier_versions_are_read(finished_run: Run) -> None:
    """Their results have no structure, files or model."""
    (trial, *_) = finished_run.trials
    result = finished_run.trial_results[trial.id]
    old = result.model_dump(exclude={"structure", "files", "model", "unsaved"})
    assert TrialResult.model_validate(old).structure == ""


def test_a_large_file_of_a_callback_is_not_read_into_memory(tmp_path: Path, tiny_dataset: Dataset) -> None:
    store, trial = Store(tmp_path / "run"), tiny_trial(tiny_dataset)
    (store.scratch(trial) / "weights.bin").write_bytes(bytes(20_000_000))
    store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="none"))
    tracemalloc.start()
    try:
        assert store.damage(trial) == ""
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    (store.place(trial) / "weights.bin").write_bytes(bytes(20_000_001))
    assert store.damage(trial) == "weights.bin does not match its checksum"
