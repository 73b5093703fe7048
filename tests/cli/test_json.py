"""What commands print with --json: one object, with the keys of the page, and errors as objects, too."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TINY_GRID
from typer.testing import CliRunner

from ablation import Run, Study
from ablation.cli.app import app, main
from ablation.errors import RunError
from ablation.workflow.records import plain

PAGE = Path(__file__).parents[2] / "ablation" / "docs" / "shell.md"


def answer(*arguments: object) -> dict[str, Any]:
    """Return what a command prints, which has to be one JSON object and nothing else."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    record: dict[str, Any] = json.loads(done.stdout, parse_constant=lambda text: pytest.fail(text))
    return record


def described_within(command: str) -> dict[str, set[str]]:
    """Return the words in code in the meaning of each key that a list or mapping of our own has."""
    rows = re.findall(r"^\| (`[\w-]+`)? *\| ([^|]+) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    found, of = dict[str, set[str]](), ""
    for name, keys, meaning in rows:
        of = name.strip("`") or of
        if of == command:
            found |= {key: set(re.findall(r"`(\w+)`", meaning)) for key in re.findall(r"`(\w+)`", keys)}
    return found


def require_described(record: dict[str, Any]) -> None:
    """Fail if the page lacks a key of the record, or of what its lists hold; tables have a page of their own."""
    about = {"schema", "command", "folder", "study", "baseline"}
    within = described_within(record["command"])
    assert set(record) - about == set(within) - about
    for key, words in within.items():
        rows = record[key] if isinstance(record[key], list) else [record[key]]
        is_table = (
            key in ("results", "verdicts", "tuned", "pairing", "compare") or record["command"] == "compare"
        )
        for row in () if is_table else rows:
            assert not isinstance(row, dict) or set(row) <= words, key


@pytest.fixture
def grid(write_grid: Any) -> Path:
    path: Path = write_grid(TINY_GRID.replace("      batch_norm: [false, true]\n", ""))
    return path


@pytest.fixture
def one_file_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the seconds of drawing where a test is about what is printed."""
    monkeypatch.setattr("ablation.report.verify._written", lambda run: [run.folder / "results.csv"])


@pytest.mark.usefixtures("one_file_to_verify")
@pytest.mark.parametrize("command", ["status", "compare", "plan", "audit", "verify"])
def test_what_is_known_of_a_run_has_the_keys_of_the_page(command: str, finished_run: Run) -> None:
    record = answer(command, finished_run.folder)
    assert list(record)[:5] == ["schema", "command", "folder", "study", "baseline"]
    assert (record["schema"], record["command"]) == (1, command)
    assert (record["folder"], record["study"]) == (str(finished_run.folder), "tiny")
    require_described(record)
    assert record == json.loads(json.dumps(Run(finished_run.folder).record(command)))


def test_the_other_objects_have_the_keys_of_the_page(finished_run: Run, grid: Path, tmp_path: Path) -> None:
    records = {
        "runs": answer("runs", finished_run.folder.parent),
        "clean": answer("clean", finished_run.folder),
        "check": answer("check", grid),
        "dry-run": answer("run", grid, "--dry-run", "--out", tmp_path / "run"),
    }
    for command, record in records.items():
        assert (record["schema"], record["command"]) == (1, command)
        require_described(record)
    (run,) = records["runs"]["runs"]
    assert (run["study"], run["state"], run["trials"], run["completed"]) == ("tiny", "complete", 8, 8)
    assert records["clean"]["leftovers"] == []
    plain_, dropout = records["check"]["variants"]
    assert (plain_["differences"], [one["layer"] for one in dropout["differences"]]) == (
        [],
        [f"{layer}_dropout" for layer in ("block1_conv1", "block2_conv1", "flatten", "dense1")],
    )
    assert len(records["dry-run"]["pending_ids"]) == 4
    study = Study.from_yaml(grid)
    assert study.plan_record(tmp_path / "run") == records["dry-run"]


def test_a_status_says_what_the_tables_say(finished_run: Run) -> None:
    record = answer("status", finished_run.folder)
    assert record["trials"] == {
        "planned": 8, "completed": 8, "failed": 0, "diverged": 0, "timeout": 0, "pending": 0,
    }  # fmt: skip
    accuracies = [row["test_accuracy"] for row in record["results"]]
    assert list(record["results"][0]) == list(finished_run.results)
    assert accuracies == list(finished_run.results["test_accuracy"])
    assert {row["metric"] for row in record["means"]} == {
        "train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy",
    }  # fmt: skip


def test_what_is_not_known_is_null(finished_run: Run) -> None:
    questions = answer("plan", finished_run.folder)["questions"]
    assert {question["needs"] for question in questions} <= {
        "seeds",
        "two pairs",
        "more test images",
        "more than 10,000 seeds",
    }
    gain = answer("audit", finished_run.folder)["gain"]
    assert [row["variance_saved"] for row in gain] == [None] * 3  # of two pairs, it is not estimated


def test_an_audit_that_finds_no_pairs_still_exits_with_1(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpaired = finished_run.pairing.assign(paired=False)
    monkeypatch.setattr("ablation.workflow.audit.audit_pairing", lambda run, trust: unpaired)
    done = CliRunner().invoke(app, ["audit", str(finished_run.folder), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["paired"]) == (1, False)


def test_any_value_becomes_one_that_json_has() -> None:
    table = pd.DataFrame({"n": pd.array([1, None], "Int64"), "x": [np.inf, 0.5]})
    given = {
        "nan": float("nan"), "numpy": [np.float32(0.5), np.int64(3), np.bool_(True), np.float64("-inf")],
        "missing": (pd.NA, pd.NaT, None), "path": Path("a/b"), 7: table, "when": datetime(2026, 5, 4, 12, 30, tzinfo=UTC),
    }  # fmt: skip
    values = plain(given)
    assert values.pop("when").startswith("2026-05-0")
    assert values == {
        "nan": None, "numpy": [0.5, 3, True, None], "missing": [None] * 3, "path": "a/b",
        "7": [{"n": 1, "x": None}, {"n": None, "x": 0.5}],
    }  # fmt: skip
    json.dumps(values, allow_nan=False)


@pytest.mark.usefixtures("restored_warnings")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "nowhere"], "nowhere is not a run folder: it has no study.json."),
        (["run", "grid.yaml"], "--json needs --dry-run; `ablation status --json` prints the results of a run."),
        (["check", "grid.yaml", "-s", "seed=2"], "-s seed=2: unknown key 'seed'. Did you mean 'seeds'?"),
    ],
)  # fmt: skip
def test_an_error_is_an_object_on_the_error_output(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "grid.yaml").write_text("study: s\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ablation", *arguments, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out) == (2, "")
    assert json.loads(shown.err) == {"schema": 1, "error": message}


@pytest.mark.usefixtures("restored_warnings")
def test_what_else_is_printed_and_warned_of_stays_off_the_standard_output(
    finished_run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import warnings

    from ablation.errors import AblationWarning
    from ablation.workflow import audit

    def talkative(run: Run, trust: bool) -> pd.DataFrame:
        print("a user's module is imported")
        warnings.warn("this may matter", AblationWarning, stacklevel=1)
        return original(run)

    original = audit.audit_pairing
    monkeypatch.setattr(audit, "audit_pairing", talkative)
    monkeypatch.setattr(sys, "argv", ["ablation", "audit", str(finished_run.folder), "--json"])
    monkeypatch.setattr(sys, "__stdout__", sys.stdout)
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capfd.readouterr()
    assert ended.value.code == 0
    assert json.loads(shown.out)["paired"]
    said, warned = shown.err.splitlines()
    assert said == "a user's module is imported"
    assert json.loads(warned) == {"schema": 1, "warning": "this may matter"}


@pytest.fixture
def restored_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line shows warnings in its own way for as long as its process lives."""
    import warnings

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


def test_a_record_that_does_not_exist_is_named(finished_run: Run) -> None:
    with pytest.raises(RunError) as error:
        Run(finished_run.folder).record("verif")
    assert str(error.value) == "there is no record 'verif' of a run. Did you mean 'verify'?"
