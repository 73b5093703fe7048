"""How the harness copes with a study that has grown: 1,000 finished trials of 30 epochs.

    python experiments/benchmark/growth.py

The trials are synthetic (drawn, not trained), because only what comes after training is measured: the time
and memory of finding that nothing is left to do, of tables, figures and report, and of scheduling. Each
step is a process of its own. Then 1,000 trials that are hardly any work are really trained, to measure what
it costs to hand out a trial and keep its result. Prints a table. Exits with 1 if a step takes longer than
its limit, or over 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ablation import Study, TrialResult, run_study
from ablation.data.datasets import prepare_dataset
from ablation.grid.trial import EpochRecord, InitialWeights, Trial
from ablation.store.run_folder import Store

TRIALS, SEEDS, EPOCHS = 1000, 50, 30
FACTORS = {"dropout": [0, 0.1, 0.2, 0.3, 0.4], "width": [1, 2], "batch_norm": [False, True]}
GRID = """
study: growth
dataset: {{name: digits, train_size: 120, validation_size: 400, test_size: 700}}
model: {{batch_norm_momentum: 0.9}}
training: {{epochs: {epochs}, batch_size: 16}}
factors: {factors}
seeds: {seeds}
"""
TRIVIAL = {
    "study": "trivial",
    "dataset": {"name": "digits", "train_size": 20, "validation_size": 10, "test_size": 10},
    "model": {"family": "dense", "dense": [1]},
    "training": {"epochs": 1, "batch_size": 20},
    "seeds": TRIALS,
}
TWO_TABLES = "run.results.to_csv('r.csv'); run.history.to_csv('h.csv')"
PICTURES = """
import os, pickle
os.chdir(run.folder)
def save(pictures): pickle.dump(pictures, open("pictures", "wb"))
def load(): return pickle.load(open("pictures", "rb"))
"""


def synthetic(trial: Trial, generator: np.random.Generator, images: int) -> tuple[TrialResult, np.ndarray]:
    """Draw a result that looks like a trained trial's."""
    history = []
    for epoch in range(1, EPOCHS + 1):
        train, val = (1 - np.exp(-epoch / 8)) * np.array([0.98, 0.8]) + generator.normal(0, 0.01, 2)
        history.append(
            EpochRecord(
                epoch=epoch, loss=2.3 * (1 - train), accuracy=train - 0.05, active_loss=2.3 * (1 - train),
                active_accuracy=train - 0.03, train_loss=2.3 * (1 - train), train_accuracy=train,
                val_loss=2.3 * (1 - val), val_accuracy=val, seconds=1.0, order="0" * 8,
            )
        )  # fmt: skip
    last = history[-1]
    probabilities = generator.dirichlet(np.full(10, 0.2), images).astype(np.float32)
    result = TrialResult(
        trial_id=trial.id, status="completed", history=tuple(history), best_epoch=EPOCHS, parameters=200_000,
        metrics={
            "train_loss": last.train_loss, "train_accuracy": last.train_accuracy, "val_loss": last.val_loss,
            "val_accuracy": last.val_accuracy, "test_loss": last.val_loss, "test_accuracy": last.val_accuracy,
        },
        seconds=30.0,
        provenance={"tensorflow": "2.21.0"},
        memory=900.0,
        initial_weights={f"layer{k}": InitialWeights(shape=(3, 3), digest=f"{k:08x}") for k in range(6)},
        variance_shift={f"layer{k}_batch_norm": float(generator.uniform(0.9, 2)) for k in range(6)}
        if trial.model.batch_norm
        else {},
    )  # fmt: skip
    return result, probabilities


def grow(folder: Path, factors: dict[str, list[Any]] = FACTORS) -> Path:
    """Write a run folder with all its trials finished; return the grid file."""
    grid = folder / "grid.yaml"
    grid.write_text(GRID.format(epochs=EPOCHS, factors=json.dumps(factors), seeds=SEEDS))
    study = Study.from_yaml(grid)
    dataset = prepare_dataset(study.dataset)
    store = Store(folder / "run")
    store.open(study, dataset)
    generator = np.random.default_rng(0)
    for trial in study.trials(dataset.digest):
        result, probabilities = synthetic(trial, generator, len(dataset.test))
        np.save(store.scratch(trial) / "test_probabilities.npy", probabilities)
        store.commit(trial, result)
    return grid


def measure(code: str) -> tuple[float, float]:
    """Run code in a process of its own; return its seconds, start included, and its peak memory in GiB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {code}")
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


class Clock:
    """Keeps when the trials were handed out, and when the last one was kept."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def planned(self, *_: object) -> None:
        """See `ablation.workflow.observers.Observer`."""
        self.times = [time.perf_counter()] * 2

    def progressed(self, *_: object) -> None:
        """See `ablation.workflow.observers.Observer`."""

    def finished(self, *_: object) -> None:
        """See `ablation.workflow.observers.Observer`."""
        self.times[1] = time.perf_counter()


def schedule(folder: Path) -> float:
    """Train 1,000 trivial trials in one worker; return the seconds a trial that were not its own."""
    grid = folder / "trivial.yaml"
    grid.write_text(json.dumps(TRIVIAL))
    clock = Clock()
    run = run_study(Study.from_yaml(grid), folder / "trivial", workers=1, observer=clock)
    seconds = clock.times[1] - clock.times[0]
    own = sum(r.timing.get("start", 0.0) + r.seconds for r in run.trial_results.values())
    return (seconds - own) / len(run.trials)


def main() -> None:
    """Measure every step and print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        grid = grow(folder)
        seconds = time.perf_counter() - started
        print(f"{TRIALS:,} trials of {EPOCHS} epochs, written in {seconds:.1f} s")
        run = folder / "run"
        steps = [
            ("results.csv and history.csv", _library(run, TWO_TABLES), 3.0),
            ("all tables", _library(run, "run.write_tables()"), None),
            ("all figures", _library(run, "save(run.draw_figures())"), 20.0),
            ("report, its figures drawn before", _library(run, "run.write_report(load())"), 10.0),
            ("ablation status", _command("status", run), None),
            ("ablation run, nothing left to do", _command("run", "--grid", grid, "--out", run), 2.0),
        ]
        print(f"{'step':34} {'seconds':>8} {'bar':>6} {'GiB':>6}")
        failed = False
        for step, code, bar in steps:
            seconds, memory = measure(code)
            failed |= memory > 1 or (bar is not None and seconds > bar)
            print(f"{step:34} {seconds:8.1f} {bar or '':>6} {memory:6.2f}", flush=True)
        overhead = 1000 * schedule(folder)
        print(f"{'scheduling a trial':34} {overhead:5.1f} ms {'10 ms':>6}")
    raise SystemExit(int(failed or overhead > 10))


def _library(run: Path, code: str) -> str:
    return f"from ablation import Run; run = Run({str(run)!r})\n{PICTURES}\n{code}"


def _command(*arguments: object) -> str:
    return f"import sys; from ablation.cli.app import main; sys.argv[1:] = {[*map(str, arguments)]}; main()"


if __name__ == "__main__":
    main()
