"""Which command is named where something is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation.store.restoring import CLASS, SEARCH, maker_of


def test_the_command_that_made_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, record in (("search/confirmation", SEARCH), ("class", CLASS), ("run", "study.json")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name.partition("/")[0] / record).touch()
    made = {"search/confirmation": "search", "class": "class collect", "run": "run"}
    for name, command in made.items():
        assert maker_of(tmp_path / name) == f"ablation {command}"
        monkeypatch.chdir(tmp_path / name)
        assert maker_of(Path()) == f"ablation {command}"
