"""A seal is the same until a trial, or what was declared before the first one, is no longer what it was."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ablation import Run
from ablation.errors import RunError
from ablation.store.checked_record import checked_text


@pytest.fixture
def copied(finished_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_a_seal_depends_on_trials_and_declared_study_alone(copied: Run, finished_run: Run) -> None:
    seal = copied.seal()
    assert re.fullmatch("sha256:[0-9a-f]{64}", seal)
    for derived in (*copied.folder.glob("*.csv"), copied.folder / "report.html"):
        derived.unlink(missing_ok=True)
    assert Run(copied.folder).seal() == seal == finished_run.seal()

    declared = copied.folder / "declared.json"
    record = json.loads(declared.read_text("utf-8"))
    record["study"]["question"] = "Another one?"
    declared.write_text(checked_text(record), "utf-8")
    assert Run(copied.folder).seal() != seal
    declared.unlink()
    with pytest.raises(RunError) as caught:
        copied.seal()
    assert str(caught.value) == (
        f"{copied.folder} cannot be sealed: declared.json, the study before its first trial, is missing or damaged."
    )


@pytest.mark.parametrize("text", ["abc", "0" * 64, "sha256:" + "0" * 63, "SHA256:" + "0" * 64])
def test_what_is_no_seal_is_not_said_to_be_another_one(finished_run: Run, text: str) -> None:
    with pytest.raises(RunError) as caught:
        finished_run.verify(seal=text)
    assert str(caught.value) == (
        f"the seal must be what `ablation seal` prints, sha256: and 64 hexadecimal digits, not '{text}'."
    )


def test_a_run_with_a_damaged_or_missing_trial_is_not_sealed(copied: Run) -> None:
    trial = copied.trials[-1]
    folder = copied.store.place(trial)
    (folder / "result.json").write_text("{}", "utf-8")
    start = f"{copied.folder} cannot be sealed: {trial.variant}, seed {trial.seed}"
    with pytest.raises(RunError) as caught:
        Run(copied.folder).seal()
    assert str(caught.value) == f"{start}: result.json does not match its checksum."
    shutil.rmtree(folder)
    with pytest.raises(RunError) as caught:
        Run(copied.folder).seal()
    assert str(caught.value) == f"{start}, has no result yet."
