"""Seeds are added where verdicts are open, and nowhere else; what was declared is remembered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import results_of, study_of

from ablation import Run, Study, run_study
from ablation.analysis.answers import study_answers
from ablation.data.datasets import Dataset
from ablation.errors import GridError
from ablation.executors.contract import Task
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study_diff import study_changes, study_digest
from ablation.report.sections import study_report
from ablation.store.checked_record import checked_text
from ablation.store.run_folder import Store
from ablation.workflow.dry_run import plan_study
from ablation.workflow.sequential import further_seeds, with_anytime_intervals, with_earlier_seeds

WriteGrid = Callable[[str], Path]
# A rate of 0.95 learns nothing in so few updates, so its verdict is soon known; the other changes little.
GRID = """
study: open
dataset: {name: digits, train_size: 100, validation_size: 40, test_size: 300}
model: {family: dense, dense: [16]}
training: {epochs: 6, batch_size: 10, learning_rate: 0.01}
variants:
  asleep: {dropout: 0.95}
  similar: {learning_rate: 0.0101}
compare: {margin: 0.1pp}
seeds: 3
"""


@pytest.fixture
def study(write_grid: WriteGrid) -> Study:
    return Study.from_yaml(write_grid(GRID))


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run until its verdicts are resolved, without its report; tests copy it."""
    folder = tmp_path_factory.mktemp("resolved")
    (folder / "grid.yaml").write_text(GRID, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        study = Study.from_yaml(folder / "grid.yaml")
        return run_study(study, folder / "run", executor="inline", max_seeds=8).folder


@pytest.fixture
def run(resolved: Path, tmp_path: Path) -> Run:
    shutil.copytree(resolved, tmp_path / "run", copy_function=shutil.copy2)
    return Run(tmp_path / "run")


@pytest.mark.usefixtures("without_report")
def test_seeds_are_added_until_all_is_resolved_or_the_budget_ends(
    run: Run, study: Study, tmp_path: Path
) -> None:
    counts = run.results.groupby("variant")["seed"].nunique()
    assert counts["similar"] == counts["plain"] == 8
    assert 3 < counts["asleep"] < 8
    verdicts = run.comparisons.set_index("variant")
    assert verdicts["verdict"].to_dict() == {"asleep": "worse", "similar": "unresolved"}
    assert set(verdicts["test"]) == {"anytime-valid paired t"}
    assert (run.results["status"] == "completed").all()
    # the same command again goes the same way, trains nothing, and ends with the same bytes
    written = (run.folder / "comparisons.csv").read_bytes()
    ran: list[object] = []

    class Recorder:
        def planned(self, trials: object, pending: list[object]) -> None:
            ran.extend(pending)

        def progressed(self, progress: object) -> None: ...
        def finished(self, trial: object, result: object) -> None: ...

    again = run_study(study, tmp_path / "run", executor="inline", max_seeds=8, observer=Recorder())  # type: ignore[arg-type]
    assert ran == []
    assert (again.folder / "comparisons.csv").read_bytes() == written
    assert again.study.further_seeds == run.study.further_seeds
    assert [line for line in again.changes or [] if "looks" in line] == []  # declared with the first trial


@pytest.mark.usefixtures("without_report")
def test_a_plain_run_keeps_the_seeds_that_were_added_and_how_they_are_judged(
    run: Run, study: Study, tmp_path: Path
) -> None:
    written = {name: (run.folder / name).read_bytes() for name in ("study.json", "comparisons.csv")}
    (note,) = (note for note in run.notes if note.startswith("Seeds were added"))
    added = len(run.study.further_seeds["asleep"])
    assert note == (
        f"Seeds were added while verdicts were open ({added} to asleep; 5 to plain, similar): a later run of the same "
        "grid keeps them, and its verdicts are anytime-valid, because results decided how many seeds there are."
    )
    again = run_study(study, run.folder, executor="inline")
    assert (again.study.compare.looks, again.study.further_seeds) == ("any", run.study.further_seeds)
    assert {name: (run.folder / name).read_bytes() for name in written} == written
    assert note in again.notes
    plan = plan_study(study, run.folder)
    assert [variant.trials for variant in plan.variants] == [8, 3 + added, 8]
    assert plan.pending_ids == ()


def test_the_plan_until_all_is_resolved_names_the_next_round(run: Run, study: Study) -> None:
    plan = plan_study(study, run.folder, max_seeds=12)
    assert [variant.pending for variant in plan.variants] == [2, 0, 2]
    assert [trial_id[:-9] for trial_id in plan.pending_ids] == [
        "plain-s8", "plain-s9", "similar-s8", "similar-s9",
    ]  # fmt: skip
    assert plan.notes[0] == (
        "This is the next round of trials. Its results decide which questions are still open, and get further seeds, "
        "at most 12 per variant."
    )
    assert plan_study(study, run.folder, max_seeds=8).pending_ids == ()
    assert plan_study(study, run.folder, max_seeds=4).pending_ids == ()  # what was added stays


@pytest.mark.usefixtures("without_report")
def test_a_run_that_adds_seeds_does_not_say_that_nothing_is_left(run: Run, study: Study) -> None:
    planned: list[list[str]] = []

    class Recorder:
        def planned(self, trials: object, pending: list[Task]) -> None:
            planned.append([task.trial.id[:-9] for task in pending])

        def progressed(self, progress: object) -> None: ...
        def finished(self, trial: object, result: object) -> None: ...

    again = run_study(study, run.folder, executor="inline", max_seeds=9, observer=Recorder())  # type: ignore[arg-type]
    assert planned == [["plain-s8", "similar-s8"]]
    seeds = {name: len(again.study.seeds_of(name)) for name in ("plain", "similar")}
    assert seeds == {"plain": 9, "similar": 9}


def test_the_header_of_the_report_counts_the_seeds_that_were_added(run: Run) -> None:
    added = 3 + len(run.study.further_seeds["asleep"])
    assert study_report(run, []).lead == f"open · 3 variants × {added} to 8 seeds (0 to 7)"


def test_seeds_are_kept_for_the_variants_that_were_looked_at(
    study: Study, tmp_path: Path, tiny_dataset: Dataset
) -> None:
    def kept(study: Study, digest: str = tiny_dataset.digest) -> tuple[str, dict[str, tuple[int, ...]]]:
        now = with_earlier_seeds(study, store, digest)
        return now.compare.looks, now.further_seeds

    store = Store(tmp_path / "run")
    assert kept(study) == ("once", {})  # there is no folder yet
    store.open(study, tiny_dataset)
    assert kept(study) == ("once", {})
    added = {"similar": (3, 4), "plain": (3, 4), "asleep": (3,)}
    store.open(with_anytime_intervals(study, 5).model_copy(update={"further_seeds": added}), tiny_dataset)
    assert kept(study) == ("any", added)
    plain, asleep, similar = study.variants
    slower = similar.model_copy(
        update={"training": similar.training.model_copy(update={"learning_rate": 0.02})}
    )
    other = study.model_copy(update={"variants": (plain, asleep, slower)})
    assert kept(other) == ("any", {"plain": (3, 4), "asleep": (3,)})  # the new rate has no results yet
    fewer = study.model_copy(update={"variants": (plain, similar)})
    assert kept(fewer) == ("any", {"similar": (3, 4), "plain": (3, 4)})
    assert kept(study.with_overrides(seeds=[0, 1])) == ("once", {})
    assert kept(study.with_overrides(seeds=range(4))) == ("any", {"similar": (4,), "plain": (4,)})
    assert kept(study.with_overrides(seeds=range(5))) == ("once", {})  # of which another note warns
    assert kept(study, "0" * 32) == ("once", {})  # other images
    store.study_file.write_text("{")
    assert kept(study) == ("once", {})


def test_a_budget_below_the_seeds_is_refused(study: Study) -> None:
    with pytest.raises(GridError, match="^--max-seeds: the study has 3 seeds already, more than 2.$"):
        with_anytime_intervals(study, 2)


class FakeRun:
    """A run of a study with these verdicts against the baseline, without a folder."""

    def __init__(self, study: Study, **verdicts: str) -> None:
        self.study, self.compare = study, study.compare
        compared = [v.name for v in study.variants if v.name != study.baseline]
        self.comparisons = pd.DataFrame(
            {"variant": compared, "declared": True, "verdict": [verdicts[name] for name in compared]}
        )
        self.effects = pd.DataFrame(columns=["declared", "verdict"])


def test_open_variants_grow_by_a_quarter_and_the_baseline_with_them(study: Study) -> None:
    everything = {"plain", "asleep", "similar"}
    run = FakeRun(study, asleep="worse", similar="unresolved")
    assert further_seeds(run, everything, 20) == {"similar": (3,), "plain": (3,)}  # type: ignore[arg-type]
    assert further_seeds(run, {"asleep"}, 20) == {}  # type: ignore[arg-type]
    eight = study.model_copy(
        update={"further_seeds": {"similar": tuple(range(3, 8)), "plain": tuple(range(3, 8))}}
    )
    assert further_seeds(FakeRun(eight, asleep="worse", similar=""), everything, 20) == {  # type: ignore[arg-type]
        "similar": (3, 4, 5, 6, 7, 8, 9), "plain": (3, 4, 5, 6, 7, 8, 9),
    }  # fmt: skip
    assert further_seeds(FakeRun(eight, asleep="worse", similar=""), everything, 8) == {}  # type: ignore[arg-type]
    assert further_seeds(FakeRun(study, asleep="worse", similar="equivalent"), everything, 20) == {}  # type: ignore[arg-type]


def test_an_open_effect_adds_seeds_to_all_of_its_variants() -> None:
    cells = {
        name: {"dropout": a, "batch_norm": b}
        for name, a, b in (("plain", "0", "0"), ("d", "1", "0"), ("b", "0", "1"), ("both", "1", "1"))
    }
    factors = {"dropout": ("0", "1"), "batch_norm": ("0", "1")}
    crossed = study_of(cells, CompareSettings(questions="effects", looks="any"), factors)
    generator = np.random.default_rng(0)
    table = results_of({name: list(generator.normal(0.5, 0.1, 5)) for name in cells})

    class Answered(FakeRun):
        def __init__(self) -> None:
            self.study, self.compare = crossed, crossed.compare
            self.comparisons, self.effects = study_answers(table, crossed)

    assert further_seeds(Answered(), set(cells), 6) == dict.fromkeys(["plain", "d", "b", "both"], (5,))  # type: ignore[arg-type]


def test_changes_since_the_first_trial_are_listed(
    finished_run: Run, tiny_study: Study, tmp_path: Path
) -> None:
    shutil.copytree(finished_run.folder, tmp_path / "run", copy_function=shutil.copy2)
    assert Run(tmp_path / "run").changes == []
    record = json.loads((tmp_path / "run" / "study.json").read_text())
    record["study"]["compare"]["margin"] = 0.02
    record["study"]["seeds"] = [0, 1, 2]
    (tmp_path / "run" / "study.json").write_text(checked_text(record))
    run = Run(tmp_path / "run")
    assert run.changes == ["compare.margin: 0.005 → 0.02", "seeds: [0, 1] → [0, 1, 2]"]
    assert any(
        note.startswith("Seeds were added after the first trial, 3 instead of 2:") for note in run.notes
    )
    record["dataset_digest"] = "0" * 32
    (tmp_path / "run" / "study.json").write_text(checked_text(record))
    assert (Run(tmp_path / "run").changes or [])[-1] == (
        "dataset: its images, their labels or their order have changed"
    )
    (tmp_path / "run" / "declared.json").unlink()
    assert Run(tmp_path / "run").changes is None


def test_a_grid_may_change_until_a_trial_is_there(tiny_study: Study, tmp_path: Path) -> None:
    from ablation.data.datasets import prepare_dataset
    from ablation.store.run_folder import Store

    store, dataset = Store(tmp_path / "run"), prepare_dataset(tiny_study.dataset)
    store.open(tiny_study, dataset)
    other = tiny_study.model_copy(update={"seeds": (0, 1, 2)})
    store.open(other, dataset)
    declared = store.declared()
    assert declared is not None
    assert declared[0].model_dump() == other.model_dump()


def test_variants_that_came_or_went_are_a_line_each(write_grid: WriteGrid) -> None:
    first = Study.from_yaml(write_grid("{study: s, variants: {wide: {width: 2}, deep.er: {depth: 2}}}"))
    now = Study.from_yaml(write_grid("{study: s, variants: {wide: {width: 3}, new: {depth: 3}}}"))
    assert study_changes(first, now) == [
        "variant new: added",
        "variant deep.er: removed",
        "variants.wide.model.width: 2.0 → 3.0",
    ]
    assert study_digest(first) != study_digest(now)
    assert study_digest(first) == study_digest(first.with_overrides(data_dir=None))
