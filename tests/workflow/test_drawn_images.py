"""A study in which each seed draws its own images, from the grid file to the audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY_GRID

from ablation import Run, Study, run_study
from ablation.workflow.check import check_study
from ablation.workflow.dry_run import plan_study

ONE_FACTOR = TINY_GRID.replace("      batch_norm: [false, true]\n", "").replace(
    "{blocks: [[4], [6]], dense: [8], batch_norm_momentum: 0.5}", "{family: dense, dense: [8]}"
)
OWN_SPLIT = ONE_FACTOR + "    vary: [init, order, dropout, augmentation, split]\n"

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def own_split(write_grid: Callable[[str], Path]) -> Study:
    return Study.from_yaml(write_grid(OWN_SPLIT))


def test_trials_are_pairs_on_different_images_for_each_seed(own_split: Study, tmp_path: Path) -> None:
    planned = plan_study(own_split, tmp_path / "run")
    run = run_study(own_split, tmp_path / "run", only=["plain"], executor="inline")
    assert set(planned.pending_ids) == {trial.id for trial in run.trials}
    before = run.audit()
    run = run_study(own_split, tmp_path / "run", executor="inline")
    assert run.pairing["paired"].all()
    assert run.pairing["order"].nunique() == 2  # one for each seed
    assert before.equals(run.pairing)
    assert plan_study(own_split, tmp_path / "run").pending_ids == ()


def test_workers_draw_what_this_process_draws(own_split: Study, tmp_path: Path) -> None:
    here = run_study(own_split, tmp_path / "here", executor="inline")
    there = run_study(own_split, tmp_path / "there", workers=1)
    accuracies = ["variant", "seed", "train_loss", "val_loss", "test_loss"]
    assert here.results[accuracies].equals(there.results[accuracies])


def test_a_run_and_a_check_name_the_pool(own_split: Study, tmp_path: Path) -> None:
    text = (
        "Handwritten digits (8x8 scans, from scikit-learn): 60 training and 40 validation images, which each "
        "seed draws from 1,747, and 50 test images"
    )
    run = run_study(own_split, tmp_path / "run", only=["plain"], executor="inline")
    assert Run(tmp_path / "run").dataset.describe() == text
    assert run.dataset.pool is not None
    assert text in check_study(own_split).description


def test_a_folder_serves_the_study_with_the_fixed_split_and_that_without(
    own_split: Study, write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    fixed = Study.from_yaml(write_grid(ONE_FACTOR))
    ids = [
        {trial.id for trial in run_study(study, tmp_path / "run", executor="inline").trials}
        for study in (fixed, own_split, fixed)
    ]
    assert ids[0] == ids[2]
    assert not ids[0] & ids[1]
    run = Run(tmp_path / "run")
    assert run.dataset.pool is None
    assert run.results["status"].eq("completed").all()
