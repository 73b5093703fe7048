"""10,000 trials on 200 workers, planned from the measured trials of a run: can one driver keep up?

    pip install '.[benchmark,ray]'
    python experiments/benchmark/large_plan.py RUN      # a finished run folder

The trials are simulated. 200 workers take them in the order in which the executor hands them out. Each
takes as long as a trial of its variant in RUN did, drawn at random. Added to this are the import of
TensorFlow once per worker, the graphs whenever a worker changes variants, and the driver's latency. What
the driver spends per trial, per epoch and per checkpoint is measured: the processor time of all its
threads, on this machine with a real Ray cluster of its own. The size of the store is calculated from RUN's
trials. Exits with 1 if the makespan is over 1.1 times the ideal, or if the driver would need over half a
core.
"""

from __future__ import annotations

import argparse
import heapq
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ablation import Run, Study
from ablation.executors.contract import Task
from ablation.executors.ray_cluster import RayCluster
from ablation.executors.ray_task import _BYTES_A_SECOND, Saved
from ablation.executors.task_queue import TaskQueue
from ablation.files import write_atomically
from ablation.training.checkpoint import CHECKPOINT
from ablation.workflow.observers import NullObserver

TRIALS, WORKERS = 10_000, 200
IMPORT, SLOTS = 3.0, 3  # seconds of starting a process beside the import; weights, and Adam's two moments
TRIVIAL = {
    "study": "trivial",
    "dataset": {"name": "digits", "train_size": 20, "validation_size": 10, "test_size": 10},
    "model": {"family": "dense", "dense": [1]},
}


def simulate(run: Run, latency: float) -> tuple[float, float, float]:
    """Return makespan, ideal, and the workers' time, in seconds."""
    generator = np.random.default_rng(0)
    measured = run.results[run.results["status"] == "completed"].groupby("variant")["seconds"].apply(list)
    results = run.trial_results.values()
    trace = float(np.median([r.timing["trace"] for r in results if "trace" in r.timing]))
    start = IMPORT + float(np.median([r.timing["start"] for r in results if "start" in r.timing]))
    each = TRIALS // len(measured)
    firsts = {trial.variant: trial for trial in run.trials}
    tasks = [
        Task(firsts[name].model_copy(update={"seed": seed}), Path(), seconds=float(np.mean(seconds)))
        for name, seconds in measured.items()
        for seed in range(each)
    ]
    took = {name: iter(generator.choice(seconds, each)) for name, seconds in measured.items()}
    task_queue, total = TaskQueue(tasks), 0.0
    free: list[tuple[float, int, Task | None]] = [(start, worker, None) for worker in range(WORKERS)]
    makespan = 0.0
    while free:
        now, worker, last = heapq.heappop(free)
        task = task_queue.next(last)
        if task is None:
            continue
        variant = task.trial.variant
        seconds = float(next(took[variant]))
        total += seconds
        ends = now + latency + seconds + (trace if not last or last.trial.variant != variant else 0.0)
        makespan = max(makespan, ends)
        heapq.heappush(free, (ends, worker, task))
    return makespan, total / WORKERS, total


def driver_seconds(folder: Path, trials: int, epochs: int) -> float:
    """Return the processor time that the driver spends on trials that are hardly any work."""

    class Clock(NullObserver):
        """Starts once the cluster does, and ends with the last trial."""

        def __init__(self) -> None:
            self.began = self.ended = 0.0

        def progressed(self, _: Any) -> None:
            self.began = self.began or time.process_time()

        def finished(self, *_: Any) -> None:
            self.ended = time.process_time()

    grid, clock = folder / "grid.yaml", Clock()
    training = {"epochs": epochs, "batch_size": 20}
    grid.write_text(json.dumps(TRIVIAL | {"seeds": trials, "training": training}))
    study = Study.from_yaml(grid)
    study.run(folder / f"{trials}x{epochs}", executor="ray", observer=clock)
    return clock.ended - clock.began


def checkpoint_seconds(size: int, folder: Path, count: int = 40) -> float:
    """Return the processor time that the driver spends on a checkpoint of so many bytes."""
    import ray

    def send() -> Iterator[Saved]:
        for _ in range(count):
            yield Saved(np.random.default_rng(0).bytes(size))

    cluster = RayCluster(None, 1, 0)
    cluster.connect(1)
    try:
        began = time.process_time()
        for reference in ray.remote(send).options(num_returns="streaming").remote():
            write_atomically(folder / CHECKPOINT, ray.get(reference).content)
        return (time.process_time() - began) / count
    finally:
        cluster.close()


def main() -> None:
    """Measure, simulate, and print the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run folder")
    run = Run(parser.parse_args().run)
    done = [run.trial_results[trial.id] for trial in run.completed_trials]
    epochs, parameters = float(np.mean([len(r.history) for r in done])), max(r.parameters or 0 for r in done)
    size = 4 * SLOTS * parameters
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, long = driver_seconds(folder, 200, 1), driver_seconds(folder, 200, 41)
        per_epoch = (long - short) / (200 * 40)
        per_trial = short / 200 - per_epoch
        per_checkpoint = checkpoint_seconds(size, folder)
    makespan, ideal, total = simulate(run, per_trial)
    seconds = [record.seconds for result in done for record in result.history]
    pause = max(float(np.mean(seconds)), size / _BYTES_A_SECOND)  # at most one an epoch
    checkpoints = total / pause
    load = (TRIALS * (per_trial + epochs * per_epoch) + checkpoints * per_checkpoint) / makespan
    stored = [sum(f.stat().st_size for f in (run.folder / "trials" / r.trial_id).iterdir()) for r in done]
    mebibyte = 2**20
    print(
        f"the driver's processor: {1e3 * per_trial:.2f} ms a trial, {1e3 * per_epoch:.2f} ms an epoch, "
        f"{1e3 * per_checkpoint:.1f} ms a checkpoint of {size / mebibyte:.1f} MiB\n"
        f"{TRIALS:,} trials like those of {run.study.name}, {total / TRIALS:.0f} s each, on {WORKERS} "
        f"workers: {makespan / 3600:.2f} h; the ideal is {ideal / 3600:.2f} h, "
        f"the ratio {makespan / ideal:.3f}\n"
        f"the driver: {load:.1%} of a core; "
        f"checkpoints come in at {size * checkpoints / makespan / mebibyte:.0f} MiB a second\n"
        f"the store: {np.mean(stored) / 1024:.0f} KiB a trial, {TRIALS * np.mean(stored) / 2**30:.2f} GiB in "
        f"all, and {WORKERS * size / mebibyte:.0f} MiB of checkpoints while it runs"
    )
    raise SystemExit(int(makespan / ideal > 1.1 or load > 0.5))


if __name__ == "__main__":
    main()
