"""Places that cannot be read, that are gone or empty, and outputs that are full: one sentence each, and no waiting."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import in_this_process

from ablation import Run

NOBODY = 65534


@pytest.fixture
def copied(finished_run: Run) -> Iterator[Path]:
    """A copy of a run where every user of the machine may look for it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copytree(finished_run.folder, Path(folder, "run")))


@contextmanager
def as_another_user() -> Iterator[None]:
    """Be a user who is not root, whom permissions bind."""
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("arguments", [["status", ""], ["run", "grid.yaml", "--out", ""], ["runs", ""]])
def test_an_argument_that_is_empty_is_named(arguments: list[str], tmp_path: Path) -> None:
    done = in_this_process(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        f"Error: what follows '{arguments[-2]}' is empty; perhaps a variable of the shell is not set.\n",
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.unix
def test_a_working_folder_that_was_removed_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    here = Path.cwd()
    try:
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        done = in_this_process("runs")
    finally:
        os.chdir(here)
    assert (done.returncode, done.stderr) == (
        2,
        "Error: the working folder cannot be used: no such file or directory. Change to another one.\n",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a device that is always full")
@pytest.mark.parametrize("arguments", [["schema"], ["runs", "--json"]], ids=" ".join)
def test_an_output_that_is_full_is_said(arguments: list[str], tmp_path: Path) -> None:
    code = "from ablation.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
        )
    said = "the output cannot be written: no space left on device."
    expected = f'{{"schema": 1, "error": "{said}"}}\n' if "--json" in arguments else f"Error: {said}\n"
    assert (done.returncode, done.stderr) == (2, expected)


@pytest.mark.unix
@pytest.mark.parametrize("command", ["status", "verify"])
@pytest.mark.parametrize("name", ["", "study.json", "trials"])
def test_what_may_not_be_read_is_named(command: str, name: str, copied: Path) -> None:
    place = copied / name
    place.chmod(0)
    try:
        with as_another_user():
            done = in_this_process(command, copied)
    finally:
        place.chmod(0o755)
    assert (done.returncode, done.stderr) == (2, f"Error: {place} cannot be read: permission denied.\n")


@pytest.mark.unix
def test_a_trial_that_may_not_be_read_is_named(copied: Path, finished_run: Run) -> None:
    place = copied / "trials" / finished_run.trials[0].id
    place.chmod(0)
    try:
        with as_another_user():
            done = in_this_process("status", copied)
    finally:
        place.chmod(0o755)
    assert (done.returncode, done.stderr) == (2, f"Error: {place} cannot be read: permission denied.\n")


@pytest.mark.parametrize("command", ["status", "compare", "runs"])
def test_a_disk_that_fails_is_named(command: str, finished_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(file: Path, *_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error", str(file))

    monkeypatch.setattr(Path, "read_bytes", failing)
    folder = finished_run.folder.parent if command == "runs" else finished_run.folder
    done = in_this_process(command, folder)
    if command == "runs":  # which lists what is damaged among what is not
        assert (done.returncode, done.stderr) == (0, "")
        assert "damaged" in done.stdout
    else:
        file = finished_run.folder / "study.json"
        assert (done.returncode, done.stderr) == (2, f"Error: {file} cannot be read: input/output error.\n")
