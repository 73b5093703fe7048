"""A processor's speed is measured once per machine; what bfloat16 saves is said before a run, and in its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import tiny_trial

from ablation import Run, Study
from ablation.analysis.phrases import bfloat16_saves
from ablation.data.datasets import Dataset
from ablation.executors.contract import Task
from ablation.executors.processor_speed import (
    PROVENANCE_KEY,
    machine_key,
    multiplies_bfloat16,
    processor_speed,
)
from ablation.grid.settings import CnnSettings, TrainingSettings
from ablation.grid.trial import TrialResult
from ablation.models.cost import Speed, guess_seconds
from ablation.results.precision import bfloat16_note
from ablation.store.run_folder import Store
from ablation.training import processor_speed as measuring
from ablation.workflow.dry_run import plan_study
from ablation.workflow.pending import pending_tasks, task_notes

SAVES = "This processor multiplies bfloat16: `precision: mixed_bfloat16` would take about 0.6 of the time."
LARGE = """
    study: large
    dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
    model: {blocks: [[512, 512]]}
    training: {epochs: 1000, batch_size: 60}
    seeds: 2
"""


@pytest.fixture
def large_study(write_grid: Callable[[str], Path]) -> Study:
    """A study that would take minutes."""
    return Study.from_yaml(write_grid(LARGE))


@pytest.fixture
def keep_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that sets what was measured on this machine before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def keep(share: float, multiply_adds: float = 5e10) -> None:
        file = tmp_path / "cache" / "ablation" / "processor_speed.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        speed = {"multiply_adds": multiply_adds, "bfloat16_share": share}
        file.write_text(json.dumps({machine_key(): speed}), "utf-8")
        processor_speed.cache_clear()

    yield keep
    processor_speed.cache_clear()


def test_it_is_measured_once_per_machine(
    tmp_path: Path, keep_speed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_speed(0.25, 4e10)
    assert processor_speed() == Speed(4e10, 0.25)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")  # which takes other kernels
    processor_speed.cache_clear()
    speed = processor_speed()
    assert speed
    kept = json.loads((tmp_path / "cache" / "ablation" / "processor_speed.json").read_text("utf-8"))
    assert asdict(speed) == kept[machine_key()]
    assert 0.1 < speed.bfloat16_share < 100
    assert 1e9 < speed.multiply_adds < 1e12
    assert len(kept) == 2


def test_it_is_measured_by_a_clock_that_ticks_64_times_a_second_as_that_of_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, takes = 0.0, {"float32": 0.008, "bfloat16": 0.005}

    def step_of(dtype: str) -> Callable[[], None]:
        def step() -> None:
            nonlocal now
            now += takes[dtype]

        return step

    monkeypatch.setattr(measuring, "_step", step_of)
    monkeypatch.setattr(measuring.time, "process_time", lambda: int(now * 64) / 64)
    speed = measuring.speed()
    assert speed.multiply_adds == pytest.approx(906e6 / 0.008, rel=0.2)
    assert speed.bfloat16_share == pytest.approx(5 / 8, rel=0.3)


def test_a_damaged_file_of_what_was_measured_is_measured_again(
    tmp_path: Path, keep_speed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Speed(3e10, 0.4)
    monkeypatch.setattr("ablation.executors.processor_speed._measured", lambda: measured)
    keep_speed(0.25)
    file = tmp_path / "cache" / "ablation" / "processor_speed.json"
    for damaged in ("", "[]", "{", json.dumps({machine_key(): 0.25}), json.dumps({machine_key(): {}})):
        file.write_text(damaged, "utf-8")
        processor_speed.cache_clear()
        assert processor_speed() == measured


def test_the_time_of_a_long_study_is_that_of_this_machine(
    large_study: Study, keep_speed: Callable[..., None], tmp_path: Path
) -> None:
    keep_speed(1.0, 1e11)
    fast = plan_study(large_study, tmp_path).seconds
    keep_speed(1.0, 2e10)
    assert plan_study(large_study, tmp_path).seconds == pytest.approx(5 * fast, rel=0.1)


def test_convolutions_take_less_time_and_the_rest_does_not(tiny_dataset: Dataset) -> None:
    model = CnnSettings(width=8)

    def seconds(precision: str, share: float, **changes: object) -> float:
        training = TrainingSettings.model_validate({"epochs": 100, "precision": precision})
        speed = Speed(bfloat16_share=share)
        return guess_seconds(model.model_copy(update=changes), training, tiny_dataset, speed)

    whole, half = seconds("float32", 0.5), seconds("mixed_bfloat16", 0.5)
    assert seconds("float32", 1.0) == whole == seconds("mixed_bfloat16", 1.0)
    assert 0.5 * whole < half < 0.6 * whole
    assert seconds("mixed_bfloat16", 0.5, dropout=0.2) / seconds("float32", 0.5, dropout=0.2) > half / whole


def test_it_is_said_where_it_saves_time(tiny_dataset: Dataset) -> None:
    def task(seconds: float, in_bfloat16: float | None) -> Task:
        return Task(tiny_trial(tiny_dataset), Path(), seconds=seconds, bfloat16_seconds=in_bfloat16)

    assert task_notes([task(100, 50), task(10, 10)]) == [SAVES.replace("0.6", "0.5")]
    assert task_notes([task(100, 95)]) == task_notes([task(100, None)]) == task_notes([]) == []
    assert bfloat16_saves(100, 150) == ""
    other = tiny_trial(tiny_dataset, precision="mixed_bfloat16")
    assert task_notes([task(100, 50), Task(other, Path(), seconds=50, bfloat16_seconds=50)]) == []


def test_nothing_is_measured_for_a_study_that_takes_seconds(
    tiny_study: Study,
    large_study: Study,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[Speed] = []

    def measure() -> Speed:
        measured.append(Speed(5e10, 0.6))
        return measured[-1]

    monkeypatch.setattr("ablation.workflow.pending.processor_speed", measure)
    for study, times in ((tiny_study, 0), (large_study, 1)):
        tasks = pending_tasks(study, tiny_dataset, Store(tmp_path / study.name), {}, {"plain"})
        assert len(measured) == times
        is_said = bool(times and multiplies_bfloat16())
        assert [task.bfloat16_seconds is not None for task in tasks] == [is_said] * 2


def test_the_plan_takes_the_precision_into_account(
    large_study: Study, keep_speed: Callable[..., None], tmp_path: Path
) -> None:
    keep_speed(0.6)
    plan = plan_study(large_study, tmp_path)
    in_bfloat16 = plan_study(large_study.with_overrides(precision="mixed_bfloat16"), tmp_path)
    assert in_bfloat16.seconds == pytest.approx(0.6 * plan.seconds, rel=0.05)
    assert (SAVES in plan.notes) == bool(multiplies_bfloat16())
    assert SAVES not in in_bfloat16.notes


def test_a_precision_that_takes_longer_is_noted(
    large_study: Study, keep_speed: Callable[..., None], tmp_path: Path
) -> None:
    keep_speed(2.63)
    bfloat16, float16 = (
        plan_study(large_study.with_overrides(precision=of), tmp_path).notes[0]
        for of in ("mixed_bfloat16", "mixed_float16")
    )
    reason = (
        "this processor does not multiply bfloat16, and takes longer to imitate it than to compute in float32"
        if multiplies_bfloat16() is False
        else "a convolution takes 2.6 times as long as in float32"
    )
    assert bfloat16 == f"`precision: mixed_bfloat16` brings nothing here: {reason} (2 trials)."
    assert float16 == (
        "`precision: mixed_float16` is for GPUs; a processor takes several times as long for it (2 trials)."
    )


def test_the_report_says_what_was_measured_where_the_trials_ran(
    large_study: Study, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    for share, note in ((0.6, SAVES), (0.97, ""), (None, "")):
        store = Store(tmp_path / str(share))
        measured = {} if share is None else {PROVENANCE_KEY: str(share)}
        with store.locked("", lambda _, store=store: store.open(large_study, tiny_dataset)):
            for trial in large_study.trials(tiny_dataset.digest):
                store.scratch(trial)
                store.commit(trial, TrialResult(trial_id=trial.id, status="failed", provenance=measured))
        assert bfloat16_note(Run(store.folder)) == note
