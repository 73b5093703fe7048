"""What a run says of its trials while it trains: a line at a time, read while it is written."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from conftest import after_epoch

from ablation.store.lock import locked, running_parts
from ablation.store.progress_log import ProgressLine, ProgressLog, ProgressTail, progress_files


def file_of(folder: Path) -> Path:
    (found,) = progress_files(folder)
    assert found[0] == "run"
    return found[1]


def epochs(lines: list[ProgressLine]) -> list[tuple[str, int]]:
    return [(line.trial, line.epoch) for line in lines if line.epoch]


def test_lines_are_read_as_they_come(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path)
    log.planned({"a": 1.5, "b": 2.0})
    tail = ProgressTail(file_of(tmp_path))
    is_another, (line,) = tail.read()
    assert (is_another, line.planned) == (True, {"a": 1.5, "b": 2.0})
    assert tail.read() == (False, [])
    log.started("a")
    log.epoch("a", after_epoch(1))
    log.ended("a", "failed")
    _, (started, epoch, ended) = tail.read()
    assert (started.trial, started.epoch, started.ended) == ("a", 0, "")
    assert (epoch.epoch, epoch.train_accuracy, epoch.val_accuracy, epoch.seconds) == (1, 0.75, 0.5, 1.0)
    assert (ended.trial, ended.ended) == ("a", "failed")


def test_half_a_line_waits_for_its_end_and_nonsense_is_left_out(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path)
    log.planned({"a": 1.0})
    file, tail = file_of(tmp_path), ProgressTail(file_of(tmp_path))
    tail.read()
    line = b'{"at": 1, "trial": "a", "epoch": 3}\n'
    with file.open("ab", buffering=0) as stream:
        stream.write(line[:20])
        assert tail.read() == (False, [])
        stream.write(line[20:])
        assert epochs(tail.read()[1]) == [("a", 3)]
        stream.write(b'{"at": 1}\n[]\n7\n{"at": "x", "trial": 1}\n\xff\n{"at": 1, "planned": [1]}\n\n' + line)
        assert epochs(tail.read()[1]) == [("a", 3)]


def test_another_attempt_keeps_what_was_written_of_its_trials(tmp_path: Path) -> None:
    first = ProgressLog(tmp_path)
    first.planned({"a": 1.0, "b": 1.0})
    for trial in ("a", "b"):
        first.started(trial)
        first.epoch(trial, after_epoch(1))
    first.ended("a", "completed")
    tail = ProgressTail(file_of(tmp_path))
    tail.read()
    with file_of(tmp_path).open("ab") as stream:
        stream.write(b'{"at": 17, "tri')  # it was killed
    second = ProgressLog(tmp_path)
    second.planned({"b": 1.0})
    second.epoch("b", after_epoch(2))
    is_another, lines = tail.read()
    assert is_another
    assert epochs(lines) == [("b", 1), ("b", 2)]
    assert [line.planned for line in lines if line.planned] == [{"b": 1.0}]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("a file where the folder should be")
    log = ProgressLog(tmp_path)
    log.planned({"a": 1.0})
    log.started("a")
    assert list(progress_files(tmp_path)) == []


def test_who_runs_is_seen_without_leaving_a_trace(tmp_path: Path) -> None:
    assert running_parts(tmp_path, lambda _: True) == set()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "shard-1-of-2"), locked(tmp_path, "shard-2-of-2"):
        before = sorted(tmp_path.iterdir())
        assert running_parts(tmp_path, lambda _: False) == {"shard-1-of-2", "shard-2-of-2"}
        assert running_parts(tmp_path, lambda _: False, besides="shard-1-of-2") == {"shard-2-of-2"}
        assert sorted(tmp_path.iterdir()) == before
    assert running_parts(tmp_path, lambda _: True) == set()


@pytest.mark.parametrize("host", ["elsewhere", platform.node()])
def test_an_owner_elsewhere_is_believed_while_its_news_is_recent(tmp_path: Path, host: str) -> None:
    """A killed process leaves its record behind, and the locks of other machines may not be seen."""
    with locked(tmp_path):
        pass
    (tmp_path / "run.owner.json").write_text(json.dumps({"pid": 1, "host": host}))
    assert running_parts(tmp_path, lambda _: True) == ({"run"} if host == "elsewhere" else set())
    assert running_parts(tmp_path, lambda _: False) == set()
