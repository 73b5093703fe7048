"""Whatever happens to a file of finished work, every command that reads it ends with a sentence or succeeds."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from class_makers import edit
from faults import DAMAGE, MAKERS, Made, borne, files_of, nothing_trained
from processes import in_this_process

from ablation import Run
from ablation.errors import RunError

pytestmark = pytest.mark.unix
FAST = 24  # faults in the gate
MANY = 2000  # faults of the slow proof


@pytest.fixture(scope="module", autouse=True)
def only_reading() -> Iterator[None]:
    with nothing_trained():
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, only_reading: None) -> Made:
    """A finished run that was not trained."""
    return MAKERS["run"](tmp_path_factory.mktemp("plain"))


def damaged(made: Made, folder: Path, chance: random.Random, kind: str = "") -> tuple[Path, str]:
    """Copy finished work into a folder, and damage one of its files; return which one, and how."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.folder.parent, folder, symlinks=True)
    file, kind = chance.choice(files_of(folder / "run")), kind or chance.choice(list(DAMAGE))
    DAMAGE[kind](file, chance)
    return file.relative_to(folder), kind


def test_each_command_bears_damaged_files(plain: Made, tmp_path: Path) -> None:
    chance, wrong = random.Random(0), []
    for k in range(FAST):
        file, kind = damaged(plain, tmp_path / "copy", chance)
        command = [word.replace("RUN", "run") for word in plain.commands[k % len(plain.commands)]]
        if what := borne(command, tmp_path / "copy")[0]:
            wrong.append(f"{file}, {kind}: {' '.join(command)}: {what}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_faults_are_counted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").mkdir()
    made, chance = MAKERS[name](tmp_path / "made"), random.Random(name)
    counts, wrong = Counter[str](), []
    for _ in range(MANY // len(MAKERS)):
        file, kind = damaged(made, tmp_path / "copy", chance)
        command = [word.replace("RUN", "run") for word in chance.choice(made.commands)]
        what, _ = borne(command, tmp_path / "copy")
        counts["faults"] += 1
        if what:
            counts[what.partition(":")[0]] += 1
            wrong.append(f"{file}, {kind}: {' '.join(command)}: {what}")
    with capsys.disabled():
        print(f"\n{name}: {dict(counts)}")
    assert not wrong, "\n".join(wrong)


NUMBERS = ("study.json", "dataset.npz", "trial.json", "result.json", "test_probabilities.npy")
"""The files that every number follows from."""
BYTES = (
    "random bytes",
    "truncated",
    "a bit flipped",
    "empty",
    "100,000 brackets",
    "another value",
    "removed",
)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "kind", [BYTES[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in BYTES[1:])]
)
def test_no_damage_to_what_numbers_follow_from_is_silent_and_the_same_command_mends_it(
    name: str, kind: str, plain: Made, tmp_path: Path
) -> None:
    shutil.copytree(plain.folder.parent, tmp_path / "copy")
    file = next(file for file in files_of(tmp_path / "copy" / "run") if file.name == name)
    before = file.read_bytes()
    DAMAGE[kind](file, random.Random(1))
    if file.is_file() and file.read_bytes() == before:
        return
    seen = in_this_process("verify", "run", cwd=tmp_path / "copy")
    assert seen.returncode in (1, 2), seen.stdout
    again = in_this_process(
        "run", "grid.yaml", "--out", "run", "--executor", "inline", "-q", cwd=tmp_path / "copy"
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert in_this_process("verify", "run", cwd=tmp_path / "copy").returncode == 0


def test_a_record_of_a_newer_version_is_named(plain: Made, tmp_path: Path) -> None:
    run = Path(shutil.copytree(plain.folder, tmp_path / "run"))
    trial = next(run.glob("trials/*/result.json")).parent
    record = json.loads((trial / "result.json").read_text("utf-8")) | {"watts": 3}
    edit(trial, "result.json", json.dumps(record).encode(), with_checksum=True)
    causes = [cause for cause in Run(run).results["cause"] if cause]
    assert causes == [
        "result.json has 'watts': it may be from a newer version of ablation; the same `ablation run` command trains the "
        "trial again"
    ]
    study = json.loads((run / "study.json").read_text("utf-8"))
    study["study"]["power"] = "low"
    (run / "study.json").write_text(json.dumps(study), "utf-8")
    with pytest.raises(RunError) as caught:
        Run(run)
    assert str(caught.value) == (
        f"{run / 'study.json'} has 'power', perhaps from a newer version of ablation; run the grid again to restore it."
    )


def test_a_folder_in_the_place_of_a_record_is_named(plain: Made, tmp_path: Path) -> None:
    run = Path(shutil.copytree(plain.folder, tmp_path / "run"))
    (run / "study.json").unlink()
    (run / "study.json").mkdir()
    with pytest.raises(RunError) as caught:
        Run(run)
    assert str(caught.value) == (
        f"{run / 'study.json'} cannot be read: is a directory. Remove it, and repeat the command that wrote it."
    )
