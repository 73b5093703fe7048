"""Code of a user that asks, wanders off, says nothing or freezes is the cause of one trial and of no other's end."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from ablation import Run, Study, run_study
from ablation.executors import worker_process
from ablation.grid.user_code import error_summary

MODULE = """
import os, sys
from pathlib import Path
import keras


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def build(image_shape, classes, odd=""):
    if odd == "asks":
        input("Continue? ")
    if odd == "stops":
        breakpoint()
    if odd == "leaves":
        os.chdir("/")
    if odd == "half a character":
        raise ValueError("file \\udce9.png")
    if odd == "silent":
        raise Silent
    if odd == "exits":
        sys.exit("enough")
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")])
"""
CAUSES = {
    "asks": "EOFError: EOF when reading a line (odd_code.py, line {input}); nobody can answer a worker: remove `input()` "
    "and `breakpoint()`, or use `--executor inline`",
    "stops": "BdbQuit (odd_code.py, line {stop}); nobody can answer a worker: remove `input()` and `breakpoint()`, or use `--executor inline`",
    "leaves": "",
    "half a character": "ValueError: file \\udce9.png (odd_code.py, line {half})",
    "silent": "Silent: its text cannot be shown, because of RuntimeError (odd_code.py, line {silent})",
    "exits": "SystemExit: enough (odd_code.py, line {exit})",
    "none": "",
}
ASKING = {"asks", "stops"}  # in this process, they could be answered


@pytest.fixture(params=["inline", pytest.param("local", marks=pytest.mark.slow)])
def odd_run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with a variant for each odd code, in one process, in a folder that is named relative to this one."""
    (tmp_path / "odd_code.py").write_text(MODULE, "utf-8")
    names = CAUSES if request.param == "local" else CAUSES.keys() - ASKING
    variants = "".join(f"  {name}: {{odd: {name}}}\n" for name in CAUSES if name in names)
    (tmp_path / "grid.yaml").write_text(
        textwrap.dedent("""
            study: odd
            dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
            model: {builder: "odd_code:build"}
            training: {epochs: 1, batch_size: 16}
            seeds: 1
            variants:
        """) + variants, "utf-8"
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    return run_study(Study.from_yaml(Path("grid.yaml")), "run", workers=1, executor=request.param)


@pytest.mark.usefixtures("without_report")
def test_what_code_of_a_user_does_is_the_cause_of_its_own_trial_only(odd_run: Run, tmp_path: Path) -> None:
    lines = MODULE.splitlines()
    at = {name: 1 + next(k for k, line in enumerate(lines) if word in line) for name, word in (
        ("input", "input("), ("stop", "breakpoint("), ("half", "ValueError("), ("silent", "raise Silent"), ("exit", "sys.exit("))}  # fmt: skip
    at["stop"] += sys.version_info < (3, 13)  # earlier, the debugger stopped at the line after it
    causes = odd_run.results.set_index("variant")["cause"]
    expected = {name: text.format(**at) for name, text in CAUSES.items()}
    assert causes.drop("plain").to_dict() == {
        name: expected[name] for name in causes.index if name != "plain"
    }
    assert Path.cwd() == tmp_path
    kept = {file.parent.name.partition("-s")[0] for file in (tmp_path / "run" / "trials").glob("*/error.txt")}
    failed = {"asks", "stops", "half a character", "silent", "exits"} & set(causes.index)
    assert kept == {name.replace(" ", "_") for name in failed}


@pytest.mark.unix
@pytest.mark.usefixtures("without_report")
def test_a_worker_that_never_begins_a_trial_is_ended(
    two_variants: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "LONGEST_START", 0.3)
    frozen = tmp_path / "frozen"
    frozen.write_text("#!/bin/sh\nkill -STOP $$\n")
    frozen.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(frozen))
    run = run_study(two_variants, tmp_path / "run", only=["plain"], workers=1)
    causes = run.results.query("variant == 'plain'")["cause"]
    log = tmp_path / "run" / "logs" / "worker-0.log"
    assert set(causes) == {
        f"the worker process died 2 times, the last time because it began no trial in 0.3 s; see {log}"
    }


def test_a_text_that_cannot_be_had_is_said_to_be_missing() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise KeyError

    assert error_summary(SilentError()) == "SilentError: its text cannot be shown, because of KeyError"
