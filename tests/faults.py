"""Damage to the files of run folders, and the commands that must bear it: a sentence or success, at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from class_makers import ENVIRONMENTS, write_hand_in
from conftest import after_epoch
from processes import in_this_process

from ablation import Run, Study, collect, run_study
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import writing
from ablation.figures.style import DrawnPictures
from ablation.files import write_atomically
from ablation.grid.trial import TrialResult
from ablation.search.run import run_search
from ablation.search.settings import Search
from ablation.training.epochs import final_measures, order_digest
from ablation.training.fused.lane import SeedTask
from ablation.tuning.run import run_and_tune

LONGEST = {signal.ITIMER_PROF: 10.0, signal.ITIMER_REAL: 60.0}  # seconds of a command, at work and in all
GRID = """
study: tiny
question: Does Dropout help?
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
model: {family: dense, dense: [8]}
training: {epochs: 2, batch_size: 16}
variants: {dropped: {dropout: 0.3}}
seeds: 3
"""
TUNE = (
    "tune: {space: {learning_rate: {range: [0.0001, 0.1], log: true}}, tuner: random, trials: 2, seeds: 1}\n"
)
SEARCH = """
search:
  space: {learning_rate: {range: [0.0001, 0.1], log: true}}
  tuner: random
  trials: 2
  confirm: {best: 1, seeds: 2}
"""


class Made(NamedTuple):
    """A folder of finished work.

    Attributes:
        folder: The folder.
        commands: The commands that read it or restore it, each with arguments relative to a copy's parent.
    """

    folder: Path
    commands: Sequence[Sequence[str]]


def untrained(seeds: Sequence[SeedTask], dataset: Dataset, _: str = "") -> Iterator[TrialResult]:
    """Stand in for the training of trials: their predictions are drawn at random."""
    for seed in seeds:
        trial = seed.trial
        generator = np.random.default_rng([trial.seed, len(trial.variant)])
        images = dataset.of(trial)
        orders = [
            trial.randomness.batch_order(k, len(images.train)) for k in range(1, trial.training.epochs + 1)
        ]
        history = tuple(
            after_epoch(k).model_copy(update={"order": order_digest(order, images)})
            for k, order in enumerate(orders, 1)
        )
        for record in history:
            seed.on_epoch(record)
        metrics = final_measures(history[-1])
        if trial.reads_test:
            predicted = generator.dirichlet(np.ones(10), len(images.test)).astype(np.float32)
            labels = images.test.labels
            np.save(seed.folder / "test_probabilities.npy", predicted)
            of_label = predicted[np.arange(len(labels)), labels].astype(np.float64)
            metrics["test_accuracy"] = float((predicted.argmax(axis=1) == labels).mean())
            metrics["test_loss"] = float(-np.log(of_label).mean())
        yield TrialResult(
            trial_id=trial.id, status="completed", history=history, metrics=metrics, best_epoch=1,
            parameters=100, multiply_adds=100, seconds=1.0, provenance={"keras": "3.15.1"}, structure="s",
        )  # fmt: skip


@contextmanager
def nothing_trained() -> Iterator[None]:
    """Train nothing, and draw no figures for reports: what is damaged is read all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.executors.inline.attempts", untrained)
        for room in ("write", "verify"):
            patch.setattr(f"ablation.report.{room}.draw_figures", _not_drawn)
        yield


def _not_drawn(run: Run, only: Sequence[str] = (), folder: str | Path | None = None) -> DrawnPictures:
    place = Path(folder or run.figures_folder)
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / "captions.md", "")
    return DrawnPictures([], {})


RUN_COMMANDS = tuple(
    line.split()
    for line in """status RUN
status RUN --json
compare RUN
compare RUN --json
plan RUN
report RUN
verify RUN
export RUN --to parquet
audit RUN
runs .
clean RUN
seal RUN
pack RUN --out packed.zip
merge RUN --out merged
run grid.yaml --out RUN --dry-run
run grid.yaml --out RUN --executor inline -q""".splitlines()
)


def plain(folder: Path) -> Made:
    """A finished run."""
    (folder / "grid.yaml").write_text(GRID, "utf-8")
    run_study(Study.from_yaml(folder / "grid.yaml"), folder / "run", executor="inline")
    return Made(folder / "run", RUN_COMMANDS)


def tuned(folder: Path) -> Made:
    (folder / "grid.yaml").write_text(GRID + TUNE, "utf-8")
    run_and_tune(Study.from_yaml(folder / "grid.yaml"), folder / "run", executor="inline")
    more = (["status", "RUN/tuned"], ["report", "RUN/tuned"], ["clean", "RUN/tuned/search-1"])
    return Made(folder / "run", (*RUN_COMMANDS, *more))


def searched(folder: Path) -> Made:
    (folder / "grid.yaml").write_text(GRID + SEARCH, "utf-8")
    run_search(Search.from_yaml(folder / "grid.yaml"), folder / "run", executor="inline")
    commands = [
        line.split()
        for line in """report RUN
status RUN
status RUN/search
compare RUN/search
report RUN/confirmation
verify RUN/confirmation
runs .
search grid.yaml --out RUN --executor inline -q""".splitlines()
    ]
    return Made(folder / "run", commands)


def packed(folder: Path) -> Made:
    made = plain(folder)
    in_this_process("pack", made.folder, "--out", folder / "pack")
    shutil.rmtree(made.folder)
    (folder / "pack").rename(made.folder)
    return Made(made.folder, [command for command in RUN_COMMANDS if command[0] not in ("run", "pack")])


def collected(folder: Path) -> Made:
    (folder / "grid.yaml").write_text(CLASS, "utf-8")
    study = Study.from_yaml(folder / "grid.yaml")
    dataset = prepare_dataset(study.dataset)
    for k in range(3):
        write_hand_in(
            folder / "run" / "handed-in" / f"student-{k}" / "run", study, dataset, [k], ENVIRONMENTS[k]
        )
    collect([folder / "run" / "handed-in"], folder / "run" / "class")
    commands = [
        line.split()
        for line in """class collect RUN/handed-in --out collected
class collect RUN/handed-in --out RUN/class
status RUN/class
report RUN/class
verify RUN/class""".splitlines()
    ]
    return Made(folder / "run", commands)


CLASS = """
study: class
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
model: {family: dense, dense: [8]}
training: {epochs: 2, batch_size: 16}
variants: {wider: {width: 4}, deeper: {depth: 3}, dropped: {dropout: 0.5}}
compare: {margin: 1pp, holds_for: [seeds]}
seeds: 3
"""
MAKERS: dict[str, Callable[[Path], Made]] = {
    "run": plain, "tuned": tuned, "search": searched, "pack": packed, "class": collected,
}  # fmt: skip


def finished(name: str, folder: Path) -> Made:
    """Make finished work in a folder, from within it, as commands that repeat the work are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return MAKERS[name](folder)


# Damage


def _flipped(file: Path, chance: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def _truncated(file: Path, chance: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: chance.randrange(len(content) or 1)])


def _other_value(file: Path, chance: random.Random) -> None:
    """Put something else in the place of a value of a JSON record, and of all of it if it is none."""
    values = [
        None,
        True,
        -1,
        1e400,
        float("nan"),
        10**400,
        "",
        "x",
        [],
        {},
        [[]],
        {"a": 1},
        "\ud800",
        "2" * 5000,
    ]
    value = chance.choice(values)
    try:
        record = json.loads(file.read_text("utf-8"))
    except ValueError:
        record = None
    places = list(_places(record))
    if places:
        holder, key = chance.choice(places)
        if chance.random() < 0.2:
            del holder[key]
        else:
            holder[key] = value
    file.write_text(json.dumps(record if places else value), "utf-8")


def _places(record: Any) -> Iterator[tuple[Any, Any]]:
    items = (
        record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    )
    for key, value in list(items):
        yield record, key
        yield from _places(value)


def _another_version(file: Path, _: random.Random) -> None:
    """Add what a newer version might write."""
    try:
        record = json.loads(file.read_text("utf-8"))
    except ValueError:
        record = {}
    record = record if isinstance(record, dict) else {"was": record}
    for place in [record, *(value for value in record.values() if isinstance(value, dict))]:
        place["of_a_newer_version"] = {"schema": 99}
    file.write_text(json.dumps(record), "utf-8")


def _a_folder(file: Path, _: random.Random) -> None:
    file.unlink()
    file.mkdir()
    (file / "inside").write_text("x", "utf-8")


def _a_pipe(file: Path, _: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def _a_link(file: Path, chance: random.Random) -> None:
    file.unlink()
    file.symlink_to(chance.choice(["/nowhere", file, "/dev/zero", "/etc/hostname", "/"]))


DAMAGE: dict[str, Callable[[Path, random.Random], object]] = {
    "truncated": _truncated,
    "a bit flipped": _flipped,
    "random bytes": lambda file, chance: file.write_bytes(chance.randbytes(chance.choice([1, 100, 5000]))),
    "empty": lambda file, _: file.write_bytes(b""),
    "100,000 brackets": lambda file, chance: file.write_text(chance.choice(["[", '{"a":']) * 100_000, "utf-8"),
    "a number that is too large": lambda file, chance: file.write_text(chance.choice(["1e400", '{"study": 1e400}', "9" * 5000]), "utf-8"),
    "another value": _other_value,
    "of a newer version": _another_version,
    "removed": lambda file, _: file.unlink(),
    "a folder": _a_folder,
    "a pipe": _a_pipe,
    "a link": _a_link,
}  # fmt: skip


def files_of(folder: Path) -> list[Path]:
    """The files of a folder, sorted, those that numbers come from before the others."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


# Commands


class TookTooLongError(BaseException):
    """A command hangs; no handler of `Exception` catches it."""


def borne(command: Sequence[object], cwd: Path) -> tuple[str, subprocess.CompletedProcess[str] | None]:
    """Run a command in this process; return what was wrong with how it ended, empty if nothing, and the end."""

    def end(*_: object) -> None:
        raise TookTooLongError

    before = {number: signal.signal(number, end) for number in (signal.SIGALRM, signal.SIGPROF)}
    for timer, seconds in LONGEST.items():
        signal.setitimer(timer, seconds)
    try:
        done = in_this_process(*command, cwd=cwd)
    except TookTooLongError:
        return "hang", None
    except Exception as error:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/ablation/" in frame.filename] or list(frames)
        return (
            f"traceback: {type(error).__name__}: {str(error)[:200]} at {own[-1].filename.rpartition('/ablation/')[2]}:{own[-1].lineno}",
            None,
        )
    finally:
        for timer in LONGEST:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    if done.returncode == 2 and not done.stderr.startswith(("Error: ", "Warning: ", "{", "Usage")):
        return f"no sentence: {done.stderr[:200]!r}", done
    return "", done
