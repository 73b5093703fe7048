"""Whatever happens to a file of finished work, every command that reads it ends with a sentence or succeeds."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import DAMAGE, MAKERS, Made, borne, files_of, nothing_trained
from processes import in_this_process

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
