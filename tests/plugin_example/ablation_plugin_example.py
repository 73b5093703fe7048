"""One plug-in of each kind, and a metric that grids can name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablation import DatasetSettings, Drawing, Executor, ExecutorOptions, Progress, Run, Task, TrialResult
from ablation.executors.local import LocalExecutor


def read_shapes(settings: DatasetSettings) -> dict[str, Any]:
    """Return images of bars, which lie or stand, with some noise."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    images = generator.integers(0, 60, (200, 8, 8, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = int(generator.integers(0, 8))
        if label:
            image[:, place] = 255
        else:
            image[place] = 255
    return {"x": images, "y": labels, "class_names": ["lying", "upright"]}


class AnnouncedExecutor:
    """Worker processes on this machine, each of whose tasks is written to a file before it starts."""

    def __init__(self, options: ExecutorOptions) -> None:
        self._file = options.log_folder.parent / "announced.txt"
        self._local = LocalExecutor(options.workers or 1, options.log_folder, options.keep)

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: Callable[[Progress], None]
    ) -> Generator[tuple[Task, TrialResult]]:
        """Yield each task with its result as it ends."""
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(f"{task.trial.variant}\n" for task in tasks)
        yield from self._local.run(tasks, dataset_file, threads, on_progress)

    def close(self) -> None:
        """End the processes that are kept."""
        self._local.close()


def make_executor(options: ExecutorOptions) -> Executor:
    """Return an executor."""
    return AnnouncedExecutor(options)


def write_best(finished: Run) -> Path:
    """Write the name of the variant with the highest mean accuracy, and return where."""
    file = finished.folder / "best.txt"
    file.write_text(str(finished.results.groupby("variant")["test_accuracy"].mean().idxmax()), "utf-8")
    return file


def draw_seconds(run: Run) -> list[Drawing]:
    """Draw how long each trial took."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.barh(run.results["trial_id"], run.results["seconds"])
    axes.set_xlabel("seconds")
    caption = f"Seconds per trial, n = {len(run.results)} trials."
    return [Drawing("seconds", "Seconds", figure, caption, "A bar per trial, as long as it took.")]


def mean_confidence(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean of the highest probabilities: a metric, which worker processes import by its name."""
    return float(probabilities.max(axis=1).mean())
