"""A study from end to end: what is kept, what is run again, and that the numbers come out the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TINY_GRID
from processes import without_times
from studies import SPLIT

from ablation import Run, Study, run_study
from ablation.analysis.trial_tables import HISTORY_COLUMNS, RESULT_COLUMNS
from ablation.data.datasets import prepare_dataset
from ablation.errors import DatasetError, GridError, RunError
from ablation.grid.trial import Trial, TrialResult, slug
from ablation.store.run_folder import Store
from ablation.workflow.place import folder_of_search


class Recorder:
    """An observer that remembers which trials were run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def planned(self, trials: object, pending: object) -> None: ...
    def progressed(self, progress: object) -> None: ...

    def finished(self, trial: Trial, result: TrialResult) -> None:
        self.ran.append(trial.id)


def test_the_tables_have_the_columns_of_the_contract(finished_run: Run) -> None:
    results = pd.read_csv(finished_run.folder / "results.csv")
    assert list(results.columns) == [*RESULT_COLUMNS, "dropout", "batch_norm", "cause"]
    assert len(results) == 8
    assert (results["status"] == "completed").all()
    gap = results["train_accuracy"] - results["val_accuracy"]
    assert results["gap_accuracy"].to_numpy() == pytest.approx(gap.to_numpy(), abs=1e-12)
    history = pd.read_csv(finished_run.folder / "history.csv")
    assert list(history.columns) == HISTORY_COLUMNS
    assert len(history) == 8 * 2
    for name in ("comparisons.csv", "confusion.csv", "report.html", "report.md", "study.json"):
        assert (finished_run.folder / name).stat().st_size > 0


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.usefixtures("without_report")
def test_workers_and_this_process_give_the_same_bytes_in_another_folder(
    workers: int, tiny_study: Study, finished_run: Run, tmp_path: Path
) -> None:
    run_study(tiny_study, tmp_path, workers=workers)
    assert without_times(tmp_path) == without_times(finished_run.folder)


def test_the_plan_says_what_is_pending_and_makes_nothing(tiny_study: Study, tmp_path: Path) -> None:
    from ablation.workflow.dry_run import plan_study

    plan = plan_study(tiny_study, tmp_path / "none")
    assert [row.pending for row in plan.variants] == [2, 2, 2, 2]
    assert not (tmp_path / "none").exists()


def test_the_plan_tells_of_trials_that_are_no_longer_of_the_study(
    finished_run: Run, tiny_study: Study
) -> None:
    from ablation.workflow.dry_run import plan_study

    def others(study: Study) -> list[str]:
        return [note for note in plan_study(study, finished_run.folder).notes if "do not belong" in note]

    assert others(tiny_study) == []
    assert others(tiny_study.model_copy(update={"seeds": (0, 7)})) == [
        f"4 trials in {finished_run.folder} do not belong to this plan: they have different seeds, or come from "
        "earlier settings, images or modules. They are kept but not used."
    ]


@pytest.mark.usefixtures("without_report")
def test_only_what_is_missing_is_run(two_variants: Study, tmp_path: Path) -> None:
    def ran(study: Study, **options: object) -> int:
        recorder = Recorder()
        run_study(study, tmp_path / "run", executor="inline", observer=recorder, **options)  # type: ignore[arg-type]
        return len(recorder.ran)

    assert ran(two_variants, only=["plain"]) == 2
    statuses = pd.read_csv(tmp_path / "run" / "results.csv")["status"]
    assert statuses.value_counts().to_dict() == {"pending": 2, "completed": 2}
    assert ran(two_variants) == 2
    assert ran(two_variants) == 0
    assert ran(two_variants.with_overrides(seeds=[0, 1, 2])) == 2
    failed = tmp_path / "run" / "trials" / Run(tmp_path / "run").trials[0].id / "result.json"
    record = json.loads(failed.read_text())
    failed.write_text(json.dumps(record | {"status": "failed"}))
    assert ran(two_variants) == 1
    failed.write_text("{ damaged")
    assert ran(two_variants) == 1


def test_a_run_with_nothing_left_to_do_writes_nothing_anew(
    finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run", copy_function=shutil.copy2)

    def written() -> dict[str, int]:
        run_study(tiny_study, tmp_path / "run")
        return {
            name: (tmp_path / "run" / name).stat().st_mtime_ns
            for name in ("study.json", "results.csv", "report.html", "figures/captions.md")
        }

    before = written()
    assert written() == before
    (tmp_path / "run" / "report.html").unlink()
    assert written()["report.html"] > before["report.html"]


@pytest.mark.parametrize("harm", ["removed", "edited"])
def test_whatever_follows_from_the_trials_is_restored_if_it_is_gone_or_edited(
    finished_run: Run, tiny_study: Study, tmp_path: Path, harm: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run.folder, run, copy_function=shutil.copy2)
    names = ("results.csv", "effects.csv", "report.md", "figures/forest.png", "figures/captions.md")
    kept = {name: (run / name).read_bytes() for name in names}
    for name in names:
        before = (run / name).stat()
        (run / name).unlink()
        if harm == "edited":
            (run / name).write_bytes(kept[name][:-1])
            os.utime(
                run / name, ns=(before.st_atime_ns, before.st_mtime_ns)
            )  # by the clock, nothing has changed
    recorder = Recorder()
    run_study(tiny_study, run, observer=recorder)
    assert recorder.ran == []
    assert {name: (run / name).read_bytes() for name in names} == kept


@pytest.mark.usefixtures("without_report")
def test_of_a_smaller_study_nothing_is_trained_and_its_tables_are_written(
    finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run", copy_function=shutil.copy2)
    recorder = Recorder()
    run_study(tiny_study.with_overrides(seeds=[0]), tmp_path / "run", observer=recorder)
    assert recorder.ran == []
    assert len(pd.read_csv(tmp_path / "run" / "results.csv")) == 4


@pytest.mark.usefixtures("without_report")
def test_images_that_cannot_have_changed_are_prepared_once(
    finished_run: Run, tiny_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run", copy_function=shutil.copy2)
    prepared = []
    monkeypatch.setattr(
        "ablation.workflow.run_study.prepare_dataset",
        lambda s, vary: prepared.append(s.train_size) or prepare_dataset(s, vary),
    )
    run_study(tiny_study, tmp_path / "run")
    assert prepared == []
    for file in ("study.json", "dataset.npz"):
        (tmp_path / "run" / file).write_text("{ damaged")
        assert run_study(tiny_study, tmp_path / "run").results["status"].eq("completed").all()
    assert prepared == [60, 60]
    smaller = tiny_study.model_copy(
        update={"dataset": tiny_study.dataset.model_copy(update={"train_size": 50})}
    )
    store = Store(tmp_path / "run")
    assert store.prepared_dataset(smaller.dataset) is None
    assert store.prepared_dataset(tiny_study.dataset) is not None
    assert store.prepared_dataset(tiny_study.dataset, SPLIT) is None  # it has no pool to draw from


@pytest.mark.usefixtures("without_report")
def test_saved_models_predict_what_was_tested_and_are_made_up_for(tiny_study: Study, tmp_path: Path) -> None:
    import keras

    run_study(tiny_study, tmp_path, only=["+both"], executor="inline")
    recorder = Recorder()
    study = tiny_study.model_copy(update={"save_models": True})
    run = run_study(study, tmp_path, only=["+both"], executor="inline", observer=recorder)
    assert len(recorder.ran) == 2  # the trials were finished, but their models were not kept
    for trial in run.completed_trials:
        model = keras.models.load_model(run.store.model_file(trial))
        again = model.predict(run.dataset.normalise(run.dataset.test.images), verbose=0)
        np.testing.assert_allclose(again, run.store.test_probabilities(trial), rtol=1e-5, atol=1e-6)


def test_a_trial_that_is_not_committed_does_not_exist(
    tiny_study: Study, finished_run: Run, tmp_path: Path
) -> None:
    from ablation.store.run_folder import Store

    store = Store(tmp_path)
    store.open(tiny_study, finished_run.dataset)
    trial = finished_run.trials[0]
    (store.scratch(trial) / "result.json").write_text("half of a resu")
    assert store.result(trial) is None
    store.commit(trial, TrialResult(trial_id=trial.id, status="failed", cause="first"))
    store.scratch(trial)
    store.commit(trial, TrialResult(trial_id=trial.id, status="completed"))
    result = store.result(trial)
    assert result is not None
    assert result.status == "completed"


def test_the_newest_run_is_found(finished_run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run in"):
        Run.newest(tmp_path)
    assert Run.newest(finished_run.folder.parent).study == finished_run.study
    with pytest.raises(RunError, match="is not a run folder: it has no study.json"):
        Run(tmp_path)


def test_an_unknown_variant_is_told_before_anything_starts(tiny_study: Study, tmp_path: Path) -> None:
    with pytest.raises(GridError, match="^--only: no variant is named 'plane'. Did you mean 'plain'\\?$"):
        run_study(tiny_study, tmp_path / "run", only=["plane"])
    assert not (tmp_path / "run").exists()


def test_more_training_images_than_there_are_is_told_before_anything_starts(
    write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    study = Study.from_yaml(write_grid(TINY_GRID + "    variants: {greedy: {train_size: 61}}"))
    with pytest.raises(DatasetError, match="^training.train_size: cannot take 61 of 60 training images;"):
        run_study(study, tmp_path / "run", executor="inline")
    assert not (tmp_path / "run" / "study.json").exists()


def test_figures_lie_beside_experiments_for_a_run_in_its_usual_place(
    finished_run: Run, tmp_path: Path
) -> None:
    usual = tmp_path / "experiments" / "runs" / "tiny"
    shutil.copytree(finished_run.folder, usual)
    assert Run(usual).figures_folder == tmp_path / "figures" / "tiny"
    assert finished_run.figures_folder == finished_run.folder / "figures"


@pytest.mark.slow
def test_real_cifar10_from_grid_to_report(cifar10_folder: Path, tmp_path: Path) -> None:
    grid = Path(__file__).parents[2] / "experiments" / "cifar10-small.yaml"
    study = Study.from_yaml(grid).with_overrides(data_dir=cifar10_folder, seeds=[0])
    training = study.variants[0].training.model_copy(update={"epochs": 1})
    dataset = study.dataset.model_copy(update={"train_size": 300, "validation_size": 100, "test_size": 100})
    variants = tuple(v.model_copy(update={"training": training}) for v in study.variants)
    study = study.model_copy(update={"variants": variants, "dataset": dataset})
    run = run_study(study, tmp_path, executor="inline")
    assert (run.results["status"] == "completed").all()
    assert run.results.set_index("variant")["parameters"].to_dict() == {
        "plain": 196_074, "+Dropout": 196_074, "+BatchNorm": 205_546, "+both": 205_546
    }  # fmt: skip
    assert "CIFAR-10" in (tmp_path / "report.html").read_text("utf-8")


def test_a_study_whose_name_is_the_same_folder_takes_over_nothing(
    finished_run: Run, tiny_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ablation.workflow.dry_run import plan_study

    monkeypatch.chdir(tmp_path)
    for name, other in (("tiny/1", "tiny:1"), ("a study", "a  study")):
        folder = Path("experiments", "runs", slug(name))
        first = tiny_study.model_copy(update={"name": name})
        second = first.model_copy(update={"name": other})
        Store(folder).open(first, finished_run.dataset)
        before = (folder / "study.json").read_bytes()
        message = (
            f"{folder} holds the study '{name}', and '{other}' would use the same folder. Choose another name under "
            f"`study:`, or another folder with --out. If it is the same with a new name, continue it with --out {folder}."
        )
        for asked in (run_study, plan_study):
            with pytest.raises(RunError) as caught:
                asked(second)
            assert str(caught.value) == message
            assert (folder / "study.json").read_bytes() == before
        assert plan_study(first).pending_ids  # an edited study of the same name goes on
        assert plan_study(second, folder).notes[0] == (
            f"{folder} holds the study '{name}'. Its trials are kept, and count where '{other}' has the same ones; "
            f"tables, figures and report become those of '{other}'."
        )


def test_a_search_and_a_study_do_not_share_a_folder(
    finished_run: Run, tiny_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("experiments", "runs", "tiny-search")
    folder.mkdir(parents=True)
    (folder / "search.json").write_text(json.dumps({"search": {"study": {"name": "tiny"}}}))
    remedy = "Choose another name under `study:`, or another folder with --out."

    def refused(call: Callable[[], object]) -> str:
        with pytest.raises(RunError) as caught:
            call()
        return str(caught.value)

    named = tiny_study.model_copy(update={"name": "tiny-search"})
    alike = tiny_study.model_copy(update={"name": "tiny?"})
    assert refused(lambda: run_study(named)) == (
        f"{folder} holds a search, and 'tiny-search' would use the same folder. {remedy}"
    )
    assert refused(lambda: folder_of_search(alike, None)) == (
        f"{folder} holds the search of the study 'tiny', and 'tiny?' would use the same folder. {remedy} "
        f"If it is the same with a new name, continue it with --out {folder}."
    )
    assert folder_of_search(tiny_study, None) == folder
    (folder / "search.json").unlink()
    Store(folder).open(named, finished_run.dataset)
    assert refused(lambda: folder_of_search(tiny_study, None)) == (
        f"{folder} holds a study, and 'tiny' would use the same folder. {remedy}"
    )
