"""Run folders of machines that share none become one, if they belong together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from processes import in_this_process, without_times
from typer.testing import CliRunner

from ablation import Run, Study, merge_runs, run_study
from ablation.cli.app import app
from ablation.errors import RunError
from ablation.executors.shard import WHOLE, Shard
from ablation.results.left_out import refuse_outdated
from ablation.store.checked_record import checked_text

Part = Callable[..., Path]


@pytest.fixture
def part(tmp_path: Path, finished_run: Run) -> Part:
    """Return a function that makes a run folder with some of the finished trials in it."""

    def make(name: str, seeds: tuple[int, ...] = (0, 1), keep: Shard = WHOLE, **changes: object) -> Path:
        folder = tmp_path / name
        shutil.copytree(finished_run.folder, folder)
        study = finished_run.study.model_copy(update={"seeds": seeds, **changes})
        text = json.dumps(
            {"study": study.model_dump(mode="json"), "dataset_digest": finished_run.dataset.digest}
        )
        for file in ("study.json", "declared.json"):
            (folder / file).write_text(text)
        kept = {trial.id for trial in keep.take(Run(folder).trials, finished_run.dataset)}
        for trial in folder.glob("trials/*-s*"):
            if trial.name not in kept:
                shutil.rmtree(trial)
        return folder

    return make


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
@pytest.mark.usefixtures("without_report")
def test_the_parts_become_the_whole(
    order: tuple[str, ...], part: Part, finished_run: Run, tmp_path: Path
) -> None:
    folders = {"a": part("a", seeds=(0,)), "b": part("b", seeds=(1,))}
    before = {name: sorted(folder.rglob("*")) for name, folder in folders.items()}
    merged = merge_runs([folders[name] for name in order], tmp_path / "merged")
    assert without_times(merged.folder) == without_times(finished_run.folder)
    assert merged.changes == []
    assert {name: sorted(folder.rglob("*")) for name, folder in folders.items()} == before


@pytest.mark.usefixtures("without_figures")
def test_the_whole_is_reported(part: Part, tmp_path: Path) -> None:
    merged = merge_runs([part("a", seeds=(0,)), part("b", seeds=(1,))], tmp_path / "merged")
    assert "4 variants × 2 seeds" in (merged.folder / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("without_report")
def test_merging_again_adds_what_has_come_since(part: Part, finished_run: Run, tmp_path: Path) -> None:
    first, second = part("first", keep=Shard(1, 3)), part("second", keep=Shard(2, 3))
    merged = merge_runs([first, second], tmp_path / "merged")
    assert merged.results["status"].value_counts().to_dict() == {"completed": 6, "pending": 2}
    merged = merge_runs([part("third", keep=Shard(3, 3)), first], tmp_path / "merged")
    assert without_times(merged.folder) == without_times(finished_run.folder)


@pytest.mark.usefixtures("without_report")
def test_a_damaged_trial_is_left_behind_and_an_intact_one_taken(
    part: Part, finished_run: Run, tmp_path: Path
) -> None:
    damaged, whole = part("damaged"), part("whole", keep=Shard(1, 2))
    for file in damaged.glob("trials/*-s*/test_probabilities.npy"):
        file.write_bytes(b"")
    merged = merge_runs([damaged, whole], tmp_path / "merged")
    assert merged.results["status"].value_counts().to_dict() == {"completed": 4, "pending": 4}
    run = run_study(merged.study, merged.folder, executor="inline")  # and the rest is trained
    assert without_times(run.folder) == without_times(finished_run.folder)


def test_what_does_not_belong_together_is_refused(
    part: Part, finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    own, out = part("own"), tmp_path / "merged"
    plain, *rest = finished_run.study.variants
    longer = plain.model_copy(update={"training": plain.training.model_copy(update={"epochs": 3})})
    other = part("other", variants=(longer, *rest), question="Another?")
    with pytest.raises(RunError) as caught:
        merge_runs([own, other], out)
    assert str(caught.value) == (
        f"{own} and {other} cannot be merged: variants.plain.training.epochs: 2 → 3, and 1 further difference. "
        "Only their seeds may differ."
    )
    assert not out.exists()

    images = part("images")
    record = json.loads((images / "study.json").read_text())
    smaller = finished_run.dataset.val
    changed = type(finished_run.dataset)(**{**vars(finished_run.dataset), "test": smaller})
    changed.save(images / "dataset.npz")
    (images / "study.json").write_text(checked_text(record | {"dataset_digest": changed.digest}))
    with pytest.raises(RunError) as caught:
        merge_runs([own, images], out)
    assert str(caught.value) == (
        f"{own} and {images} cannot be merged: their images differ, {finished_run.dataset.describe()} and "
        f"{changed.describe()}. Only their seeds may differ."
    )
    with pytest.raises(RunError, match="is not a run folder: it has no study.json"):
        merge_runs([own, tmp_path], out)


def test_a_trial_with_two_results_is_refused_with_what_tells_the_machines_apart(
    part: Part, finished_run: Run, tmp_path: Path
) -> None:
    own, other = part("own"), part("other")
    trial = finished_run.trials[0]
    result = Run(other).trial_results[trial.id]
    scratch = other / "trials" / ".running" / trial.id
    shutil.copytree(other / "trials" / trial.id, scratch)
    changed = {
        "metrics": result.metrics | {"test_accuracy": 0.5},
        "provenance": result.provenance | {"cpu features": "none"},
    }
    (scratch / "result.json").unlink()
    (scratch / "trial.json").unlink()
    Run(other).store.commit(trial, result.model_copy(update=changed))
    with pytest.raises(RunError) as caught:
        merge_runs([own, other], tmp_path / "merged")
    assert str(caught.value) == (
        f"{trial.id} has different numbers in {other} and in {own} (cpu features: {result.provenance['cpu features']} "
        "and none). Remove one of the two by deleting its folder in trials/, and merge again."
    )


def test_files_that_differ_are_named_where_two_results_differ(
    part: Part, finished_run: Run, tmp_path: Path
) -> None:
    trial = finished_run.trials[0]
    folders = [part("own"), part("other")]
    for k, folder in enumerate(folders):
        store, result = Run(folder).store, Run(folder).trial_results[trial.id]
        changed = {"files": {"k.json": str(k)}, "metrics": result.metrics | {"test_accuracy": k / 2}}
        scratch = store.running_folder(trial)
        shutil.copytree(store.place(trial), scratch)
        shutil.rmtree(store.place(trial))
        for name in ("result.json", "trial.json"):
            (scratch / name).unlink()
        store.commit(trial, result.model_copy(update=changed))
    with pytest.raises(RunError) as caught:
        merge_runs(folders, tmp_path / "merged")
    assert str(caught.value) == (
        f"{trial.id} has different numbers in {folders[1]} and in {folders[0]} (their models were built from different "
        "versions of k.json). Remove one of the two by deleting its folder in trials/, and merge again."
    )


def test_predictions_that_differ_are_found_although_the_metrics_agree(
    part: Part, finished_run: Run, tmp_path: Path
) -> None:
    own, other = part("own"), part("other")
    trial, store = finished_run.trials[0], Run(other).store
    result = Run(other).trial_results[trial.id]
    shutil.copytree(store.place(trial), scratch := store.running_folder(trial))
    for name in ("result.json", "trial.json"):
        (scratch / name).unlink()
    probabilities = np.load(scratch / "test_probabilities.npy")
    probabilities[[3, 7]] = probabilities[[3, 7]][:, ::-1]
    np.save(scratch / "test_probabilities.npy", probabilities)
    store.commit(trial, result)
    with pytest.raises(RunError) as caught:
        merge_runs([own, other], tmp_path / "merged")
    assert str(caught.value) == (
        f"{trial.id} has different predictions for 2 test images, but the same metrics, in {other} and in {own}, although "
        "both record the same environment. Remove one of the two by deleting its folder in trials/, and merge again."
    )
    assert not (tmp_path / "merged").exists()


def test_trials_of_an_earlier_version_do_not_vanish(
    part: Part, finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = part("first", seeds=(0,)), part("second", seeds=(1,))
    report = (first / "report.html").read_bytes()
    monkeypatch.setattr("ablation.grid.trial.TRAINING_VERSION", 99)
    why = "this version of ablation trains differently"
    with pytest.raises(RunError) as caught:
        merge_runs([first, second], tmp_path / "merged")
    assert str(caught.value) == (
        f"{first} cannot be merged: plain seed 0 was trained in it, but {why}. The same `ablation run` command trains it "
        "again."
    )
    names = ", ".join(f"{variant.name} seed 0" for variant in finished_run.study.variants)
    assert Run(first).notes[0] == (
        f"Pending, although trained before: {names}, because {why}. The same `ablation run` command trains them again; "
        "the earlier results are kept and not used."
    )
    with pytest.raises(RunError) as caught:
        refuse_outdated(Run(first))
    assert str(caught.value) == (
        f"{first}: no trial counts any more, because {why}. Tables, figures and report are left as they are; the same "
        "`ablation run` command trains the trials again."
    )
    assert CliRunner().invoke(app, ["report", str(first)]).exit_code
    assert (first / "report.html").read_bytes() == report
    assert "Pending, although trained before" in CliRunner().invoke(app, ["status", str(first)]).output


@pytest.mark.slow
def test_the_command_merges_and_says_what_is_missing(part: Part, tmp_path: Path) -> None:
    done = in_this_process("merge", part("a", keep=Shard(1, 2)), "--out", tmp_path / "merged")
    assert done.returncode == 1, done.stderr
    assert str(tmp_path / "merged" / "report.html") in done.stdout
    done = in_this_process(
        "merge", tmp_path / "merged", part("b", keep=Shard(2, 2)), "--out", tmp_path / "merged"
    )
    assert done.returncode == 0, done.stderr
