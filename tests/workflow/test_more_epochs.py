"""A finished study with more epochs goes on where it ended, if the state was kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import without_times

from ablation import Study, run_study
from ablation.workflow.dry_run import plan_study

pytestmark = pytest.mark.usefixtures("without_report")


def with_epochs(study: Study, epochs: int, **changes: object) -> Study:
    variants = tuple(
        v.model_copy(update={"training": v.training.model_copy(update={"epochs": epochs})})
        for v in study.variants
    )
    return study.model_copy(update={"seeds": (0,), "variants": variants, **changes})


@pytest.mark.parametrize("save_models", [True, False])
def test_more_epochs_go_on_to_the_same_bits_or_say_that_they_do_not(
    save_models: bool, two_variants: Study, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run_study(with_epochs(two_variants, 2, save_models=save_models), out, executor="inline")
    longer = with_epochs(two_variants, 3, save_models=save_models)
    assert plan_study(longer, out).notes[0] == (
        "Continued from the end of an earlier training of 2 epochs (2 trials)."
        if save_models
        else "Trained from epoch 1, because the last state of an earlier training of 2 epochs was not kept; "
        "`save_models: true` keeps it (2 trials)."
    )
    ran: list[int] = []

    class Epochs:
        def planned(self, *_: object) -> None: ...
        def finished(self, *_: object) -> None: ...
        def progressed(self, progress: object) -> None:
            ran.extend([progress.record.epoch] if progress.record else [])  # type: ignore[attr-defined]

    run_study(longer, out, executor="inline", observer=Epochs())
    assert ran == ([3, 3] if save_models else [1, 2, 3, 1, 2, 3])
    run_study(longer, tmp_path / "whole", executor="inline")
    assert without_times(out) == without_times(tmp_path / "whole")


def test_fewer_epochs_begin_at_the_first(two_variants: Study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_study(with_epochs(two_variants, 2, save_models=True), out, only=["plain"], executor="inline")
    plan = plan_study(with_epochs(two_variants, 1, save_models=True), out, only=["plain"])
    assert len(plan.pending_ids) == 1
    assert not [note for note in plan.notes if note.startswith(("Trained", "Continued"))]
