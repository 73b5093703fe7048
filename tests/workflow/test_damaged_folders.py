"""Whatever happens to a file of finished work, every command that reads it ends with a sentence or succeeds."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from class_makers import edit
from faults import DAMAGE, MAKERS, Made, borne, files_of, finished, nothing_trained
from processes import in_this_process
from silence import Outcome, digests, may_be_silent, outcome, silence

from ablation import Run
from ablation.errors import RunError
from ablation.results.overview import list_runs

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
    return finished("run", tmp_path_factory.mktemp("plain"))


def copied(made: Made, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.folder.parent, folder, symlinks=True)


def damaged(made: Made, folder: Path, chance: random.Random, kind: str = "") -> tuple[Path, str]:
    """Copy finished work into a folder, and damage one of its files; return which one, and how."""
    copied(made, folder)
    file, kind = chance.choice(files_of(folder / "run")), kind or chance.choice(list(DAMAGE))
    DAMAGE[kind](file, chance)
    return file.relative_to(folder), kind


class Trials:
    """Commands on damaged copies of finished work, compared with the same commands on an undamaged copy.

    Args:
        made: The finished work.
        folder: Where the copies are made, one after the other.
        chance: What draws the faults.
    """

    def __init__(self, made: Made, folder: Path, chance: random.Random) -> None:
        self.made, self.folder, self.chance = made, folder, chance
        self._usual: dict[str, Outcome] = {}

    def fault(self, command: Sequence[str]) -> tuple[str, str]:
        """Damage a file and run a command; return what was wrong, empty if nothing, and all in one line."""
        command = [word.replace("RUN", "run") for word in command]
        file, kind = damaged(self.made, self.folder, self.chance)
        before = digests(self.folder)
        what, done = borne(command, self.folder)
        if done and not what and may_be_silent(done):
            now = outcome(command, done, self.folder, before)
            what = silence(now, self.usual(command))
        return what, f"{file}, {kind}: {' '.join(command)}: {what}"

    def usual(self, command: Sequence[str]) -> Outcome:
        """Return what a command prints and writes if nothing is damaged."""
        name = " ".join(command)
        if name not in self._usual:
            copied(self.made, self.folder)
            done = in_this_process(*command, cwd=self.folder)
            assert may_be_silent(done), done.stderr
            self._usual[name] = outcome(command, done, self.folder)
        return self._usual[name]


def test_each_command_bears_damaged_files_and_speaks_of_them(plain: Made, tmp_path: Path) -> None:
    trials, wrong = Trials(plain, tmp_path / "copy", random.Random(0)), []
    for k in range(FAST):
        what, line = trials.fault(plain.commands[k % len(plain.commands)])
        wrong += [line] if what else []
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_faults_are_counted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").mkdir()
    made, chance = finished(name, tmp_path / "made"), random.Random(name)
    trials, wrong = Trials(made, tmp_path / "copy", chance), []
    counts = Counter({"faults": 0, "silent": 0, "traceback": 0, "hang": 0})
    for _ in range(MANY // len(MAKERS)):
        what, line = trials.fault(chance.choice(made.commands))
        counts["faults"] += 1
        if what:
            counts[what.partition(":")[0]] += 1
            wrong.append(line)
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
        f"{run / 'study.json'} has 'power', perhaps from a newer version of ablation; the same `ablation run` command restores it."
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


def test_an_edited_setting_in_the_record_of_a_trial_is_damage(plain: Made, tmp_path: Path) -> None:
    run = Path(shutil.copytree(plain.folder, tmp_path / "run"))
    file = next(run.glob("trials/*/trial.json"))
    file.write_text(file.read_text("utf-8").replace('"batch_size": 16', '"batch_size": 17', 1), "utf-8")
    assert [cause for cause in Run(run).results["cause"] if cause] == [
        "trial.json does not contain what was written: it was damaged or edited after it was written; the same "
        "`ablation run` command trains the trial again"
    ]
    with pytest.raises(RunError, match="cannot be sealed"):
        Run(run).seal()


def test_a_record_of_a_trial_without_a_checksum_is_that_of_an_earlier_version(
    plain: Made, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(plain.folder, tmp_path / "run"))
    for file in run.glob("trials/*/trial.json"):
        record = json.loads(file.read_text("utf-8"))
        del record["checksum"]
        file.write_text(json.dumps(record), "utf-8")
    assert set(Run(run).results["status"]) == {"completed"}


def test_the_runs_of_a_search_whose_record_is_gone_are_listed(tmp_path: Path) -> None:
    made = finished("search", tmp_path)
    (made.folder / "search.json").unlink()
    assert {run.folder.name for run in list_runs(tmp_path)} == {"search", "confirmation"}
