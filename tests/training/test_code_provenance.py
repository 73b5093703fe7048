"""The commit of the code is known, and reading it runs nothing that a repository's configuration names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ablation.training.provenance import code_provenance


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "builder.py").write_text("WIDTH = 1\n", "utf-8")
    (folder / ".gitattributes").write_text("*.py filter=planted\n", "utf-8")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def test_commit_and_changes_are_known(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert code_provenance(repository) == {"git commit": commit, "git dirty": "no"}
    (repository / "notes.txt").touch()  # not tracked
    assert code_provenance(repository) == {"git commit": commit, "git dirty": "no"}
    (repository / "builder.py").write_text("WIDTH = 2\n", "utf-8")
    assert code_provenance(repository) == {"git commit": commit, "git dirty": "yes"}


def test_outside_of_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert code_provenance(tmp_path) == {}


@pytest.mark.parametrize(
    ("setting", "dirty"),
    [
        ("core.fsmonitor", "yes"),
        ("core.sshCommand", "yes"),
        ("diff.external", "yes"),
        ("core.pager", "yes"),
        ("filter.planted.clean", "unknown"),
        ("filter.planted.process", "unknown"),
    ],
)
def test_a_repository_runs_nothing(repository: Path, tmp_path: Path, setting: str, dirty: str) -> None:
    ran = tmp_path / "it ran"
    program = tmp_path / "planted.sh"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\ncat\n", "utf-8")
    program.chmod(0o755)
    git(repository, "config", setting, str(program))
    (repository / "builder.py").write_text("WIDTH = 3\n", "utf-8")
    if setting in ("core.fsmonitor", "filter.planted.clean"):
        subprocess.run(
            ["git", "-C", repository, "status"], check=False, capture_output=True, stdin=subprocess.DEVNULL
        )
        assert ran.exists()  # so the attack is a real one
        ran.unlink()
    assert code_provenance(repository) == {
        "git commit": git(repository, "rev-parse", "HEAD"),
        "git dirty": dirty,
    }
    assert not ran.exists()
