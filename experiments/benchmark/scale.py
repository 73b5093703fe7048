"""How the harness copes with 10,000 trials: of few, of many and of very many variants.

    python experiments/benchmark/scale.py                  # the three plans, 10,000 trials each
    python experiments/benchmark/scale.py 300x4 --keep FOLDER         # variants x seeds

The training is pretended (an executor draws each result, of one epoch and 200 test images), because what is
measured is all the rest: handing out trials and keeping their results, and what is made of them. Times are
those of the processor, of all threads and child processes, so that they hardly depend on what else the
machine does. Each step is a process of its own. Prints a table per plan, and exits with 1 if a bar is not
met.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from ablation import Study, TrialResult, run_study
from ablation.data.datasets import Dataset
from ablation.executors.contract import OnProgress, Progress, Task
from ablation.grid.trial import EpochRecord, InitialWeights
from ablation.training.epochs import order_digest
from ablation.workflow.observers import NullObserver

PLANS = ("60x166", "100x100", "300x33")
IMAGES, CLASSES, THOUSAND = 200, 10, 1000
DATASET = {"name": "digits", "train_size": 100, "validation_size": 50, "test_size": IMAGES}
STEPS: dict[str, tuple[str, float]] = {
    "ablation status": ("command('status')", 4.0),
    "tables": ("write_tables(run())", 10.0),
    "figures and report": ("write_report(run())", 60.0),
    "ablation verify": ("command('verify')", 120.0),
    "ablation run, nothing left to do": ("again(folder)", 10.0),
}
MIB, GIB = 2**20, 2**30
MOST_MEMORY, LARGEST_REPORT = 2.0, 10.0  # GiB and MiB
SETUP = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from scale import again
from ablation import Run
from ablation.cli.app import main
from ablation.export.tables import write_tables
from ablation.report.write import write_report
folder = {folder!r}
run = lambda: Run(folder)
def command(name):
    sys.argv[1:] = [name, folder]
    main()
"""


class PretendExecutor:
    """Draws the result of each trial; the accuracies of the variants are 0.5 to 0.8."""

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """See `ablation.executors.contract.Executor`."""
        dataset = Dataset.load(dataset_file)
        for k, task in enumerate(tasks):
            on_progress(Progress(task.trial, None))
            result = pretended(task, dataset, np.random.default_rng(k))
            on_progress(Progress(task.trial, result.history[0]))
            yield task, result


def pretended(task: Task, dataset: Dataset, generator: np.random.Generator) -> TrialResult:
    """Write the predictions of a trial, and return a result that agrees with them and with its seed."""
    labels, images = dataset.test.labels, dataset.of(task.trial)
    accuracy = 0.5 + 0.3 * (int(task.trial.training.learning_rate * 1e5) % 97) / 97
    is_right = generator.random(len(labels)) < accuracy
    guesses = np.where(is_right, labels, (labels + generator.integers(1, CLASSES, len(labels))) % CLASSES)
    probabilities = np.full((len(labels), CLASSES), 0.3 / (CLASSES - 1), np.float32)
    probabilities[np.arange(len(labels)), guesses] = 0.7
    np.save(task.folder / "test_probabilities.npy", probabilities)
    loss = float(-np.log(probabilities[np.arange(len(labels)), labels].astype(float)).mean())
    right = float((guesses == labels).mean())
    measured = {"train_loss": 0.5, "train_accuracy": accuracy + 0.1, "val_loss": 0.7, "val_accuracy": right}
    epoch = EpochRecord(
        epoch=1, loss=0.6, accuracy=accuracy, active_loss=0.6, active_accuracy=accuracy, seconds=0.01,
        order=order_digest(task.trial.randomness.batch_order(1, len(images.train)), images), **measured,
    )  # fmt: skip
    return TrialResult(
        trial_id=task.trial.id, status="completed", history=(epoch,), best_epoch=1, parameters=1000,
        multiply_adds=1000, metrics=measured | {"test_accuracy": right, "test_loss": loss}, seconds=0.01,
        memory=500.0, structure="same", provenance={"tensorflow": "2.21.0"},
        initial_weights={"dense_1": InitialWeights(shape=(1,), digest=f"{task.trial.seed:08x}")},
    )  # fmt: skip


class Meter(NullObserver):
    """Reads the processor time and the memory of this process whenever a trial has ended."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.memory: list[int] = []

    def finished(self, *_: Any) -> None:
        """See `ablation.workflow.observers.Observer`."""
        self.seconds.append(time.process_time())
        self.memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())


def plan(variants: int, seeds: int) -> dict[str, Any]:
    """Return a grid; the variants differ in their learning rate."""
    others = {f"rate {k:03d}": {"learning_rate": round(1e-3 + k * 1e-5, 6)} for k in range(1, variants)}
    return {
        "study": "scale", "dataset": DATASET, "model": {"family": "dense", "dense": [4]},
        "training": {"epochs": 1, "batch_size": 50, "learning_rate": 1e-3}, "variants": others,
        "seeds": seeds,
    }  # fmt: skip


def train(variants: int, seeds: int, folder: Path, observer: Any = None) -> None:
    """Run the plan up to its last trial: tables, figures and report are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = folder / "grid.yaml"
    grid.write_text(json.dumps(plan(variants, seeds)))
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    with (
        patch("ablation.workflow.run_study.make_executor", lambda *_, **__: PretendExecutor()),
        patch("ablation.workflow.run_study.write_tables", nothing),
        patch("ablation.workflow.run_study.write_report", nothing),
    ):
        run_study(Study.from_yaml(grid), folder / "run", observer=observer)


def again(folder: str) -> None:
    """Run a finished plan again."""
    run_study(Study.from_yaml(Path(folder).parent / "grid.yaml"), folder)


def measure(code: str, folder: Path) -> tuple[float, int]:
    """Run code in a process of its own; return the seconds of processor time and the peak memory in bytes."""
    setup = SETUP.format(here=str(Path(__file__).parent), folder=str(folder))
    with (folder.parent / "output.txt").open("a") as output:
        process = subprocess.Popen([sys.executable, "-c", setup + code], stdout=output)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {code}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measured_plan(variants: int, seeds: int, folder: Path) -> list[tuple[str, float, float, str]]:
    """Return what was measured of a plan: each with its name, value, bar and unit."""
    meter = Meter()
    train(variants, seeds, folder, meter)
    few = min(THOUSAND, len(meter.seconds) // 4)
    first = (meter.seconds[few] - meter.seconds[0]) / few
    last = (meter.seconds[-1] - meter.seconds[-1 - few]) / few
    grown = (meter.memory[-1] - meter.memory[few]) / MIB
    rows = [
        ("a trial, the first thousand", 1000 * first, 20.0, "ms"),
        ("a trial, the last thousand", 1000 * last, 1500 * first, "ms"),
        ("memory gained since the first thousand", grown, 20.0, "MiB"),
    ]
    for step, (code, bar) in STEPS.items():
        seconds, memory = measure(code, folder / "run")
        rows += [
            (step, seconds, bar, "s"),
            (f"{step}: peak memory", memory / 2**30, MOST_MEMORY, "GiB"),
        ]
    size = (folder / "run" / "report.html").stat().st_size
    return [*rows, ("report.html", size / MIB, LARGEST_REPORT, "MiB")]


def main() -> None:
    """Measure the plans and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("plans", nargs="*", default=PLANS, help="VARIANTSxSEEDS")
    parser.add_argument("--keep", type=Path, help="a new folder in which the runs are kept")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        for text in arguments.plans:
            variants, seeds = map(int, text.split("x"))
            print(f"\n{variants} variants × {seeds} seeds = {variants * seeds:,} trials", flush=True)
            folder = (arguments.keep or Path(temporary)) / text
            for name, value, bar, unit in measured_plan(variants, seeds, folder):
                failed |= value > bar
                says = "over" if value > bar else "of"
                print(f"{name:46} {value:8.2f} {unit:4} {says:>4} {bar:.4g}", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
