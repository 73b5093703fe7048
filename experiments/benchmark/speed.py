"""The same study in three ways, side by side on one machine: what does the harness save?

    pip install '.[benchmark]'
    python experiments/benchmark/speed.py digits                      # the study of digits.yaml
    python experiments/benchmark/speed.py cifar10 --data-dir FOLDER   # a CIFAR-10 python folder
    python experiments/benchmark/speed.py cifar10 --data-dir FOLDER --bfloat16   # (a), (b) in both precisions

(a) `ablation run`, including its evaluation of the training part, tables, figures and report;
(b) a hand-written loop: one process, every model built, compiled and fitted on arrays, with
    `validation_data`, and evaluated on the test images at the end;
(c) keras-tuner's GridSearch over the same four variants, with `executions_per_trial` as the number of seeds.

With `--bfloat16`, (a) and (b) are run in mixed_bfloat16, too, as (a16) and (b16).

All of them train the same models on the same images for the same epochs in the same batches. They take turns,
as often as `--repeats` says. Each is a process of its own, timed from start to end. Prints the wall time,
the ratios, images per second, peak memory, and where the time of the harness's workers went.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ablation.grid.yaml_positions import read_yaml

DIGITS = Path(__file__).parent / "digits.yaml"
CIFAR10: dict[str, Any] = {
    "study": "cifar10",
    "factors": {"dropout": [0, 0.2], "batch_norm": [False, True]},
    "dataset": {"name": "cifar10", "train_size": 4500, "validation_size": 500, "test_size": 1000},
    "training": {"epochs": 2, "batch_size": 64},
    "seeds": 5,
}


def grid_of(
    study: str, data_dir: str | None, train_size: int | None, seeds: int | None = None
) -> dict[str, Any]:
    """Return the study as a grid: the crossed variants of digits.yaml, or the notebook's on CIFAR-10."""
    grid = CIFAR10 if study == "cifar10" else dict(read_yaml(DIGITS).data)
    changes = {"path": data_dir, "train_size": train_size}
    dataset = grid["dataset"] | {key: value for key, value in changes.items() if value}
    return grid | {"dataset": dataset, "seeds": seeds or grid["seeds"]}


def harness(grid: Path, folder: Path) -> dict[str, Any]:
    """(a): return the accuracies, and where the workers' time went."""
    from ablation import Study, run_study
    from ablation.executors.cores import available_cores

    study = Study.from_yaml(grid)
    began: list[float] = []

    class Clock:
        """Tells when the trials began, and keeps when the last one ended."""

        def planned(self, *_: object) -> None:
            began.append(time.perf_counter())

        def progressed(self, *_: object) -> None: ...

        def finished(self, *_: object) -> None:
            began[1:] = [time.perf_counter()]

    started = time.perf_counter()
    run = run_study(study, folder / "run", observer=Clock())
    ended = time.perf_counter()
    workers = min(available_cores(), len(run.trials))
    spent: dict[str, float] = {}
    for result in run.trial_results.values():
        for name, seconds in result.timing.items():
            spent[name] = spent.get(name, 0.0) + seconds
    spent["scheduling, idling"] = workers * (began[1] - began[0]) - sum(spent.values())
    around = {"before the trials": began[0] - started, "tables, figures, report": ended - began[1]}
    return {"val_accuracy": _means(run.results), "workers": spent, "around": around}


def loop(grid: Path, _: Path) -> dict[str, Any]:
    """(b): what a person would write."""
    import keras
    import pandas as pd

    study, images = _arrays(grid)
    rows = []
    for variant in study.variants:
        for seed in study.seeds:
            keras.utils.set_random_seed(seed)
            model = _model(variant.model, images, variant.training)
            model.fit(
                *images["train"], batch_size=variant.training.batch_size, epochs=variant.training.epochs,
                validation_data=images["val"], verbose=0,
            )  # fmt: skip
            model.evaluate(*images["test"], verbose=0)
            rows.append((variant.name, model.history.history["val_accuracy"][-1]))
    return {"val_accuracy": _means(pd.DataFrame(rows, columns=["variant", "val_accuracy"]))}


def tuner(grid: Path, folder: Path) -> dict[str, Any]:
    """(c): keras-tuner's grid search."""
    import keras_tuner

    study, images = _arrays(grid)
    plain = study.variants[0]

    def build(choice: Any) -> Any:
        rates = sorted({variant.model.dropout for variant in study.variants})
        dropout, batch_norm = choice.Choice("dropout", rates), choice.Boolean("batch_norm")
        changes = {"dropout": dropout, "batch_norm": batch_norm}
        return _model(plain.model.model_copy(update=changes), images, plain.training)

    search = keras_tuner.GridSearch(
        build, objective="val_accuracy", executions_per_trial=len(study.seeds), seed=1, directory=folder
    )
    search.search(
        *images["train"], batch_size=plain.training.batch_size, epochs=plain.training.epochs,
        validation_data=images["val"], verbose=0,
    )  # fmt: skip
    trials = search.oracle.trials.values()
    return {"val_accuracy": {str(t.hyperparameters.values): t.score for t in trials}}


def _arrays(grid: Path) -> tuple[Any, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the study, and its images as a person would hold them: normalised, labels one-hot."""
    import keras

    from ablation import Study
    from ablation.data.datasets import prepare_dataset

    study = Study.from_yaml(grid)
    dataset = prepare_dataset(study.dataset)
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    classes = len(dataset.class_names)
    return study, {
        name: (dataset.normalise(part.images), keras.utils.to_categorical(part.labels, classes))
        for name, part in parts.items()
    }


def _model(settings: Any, images: dict[str, tuple[np.ndarray, np.ndarray]], training: Any) -> Any:
    from ablation.grid.seeding import Randomness
    from ablation.models.build import build_model

    x, y = images["train"]
    model = build_model(settings, x.shape[1:], y.shape[1], Randomness(0), training=training)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _means(table: Any) -> dict[str, float]:
    return dict(table.groupby("variant", sort=False)["val_accuracy"].mean())


WAYS = {"a": harness, "b": loop, "c": tuner}


def timed(way: str, grid: Path, folder: Path, script: str = __file__) -> dict[str, Any]:
    """Run one way as a process; return its seconds, its processes' peak memory, and what it returned."""
    import psutil

    started, peak = time.perf_counter(), 0
    report = folder / "report.json"
    command = [sys.executable, script, "--way", way, str(grid), str(folder)]
    with (folder / "log.txt").open("w") as log:
        process = psutil.Popen(command, stdout=log, stderr=log)
        while process.poll() is None:
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(member.memory_info().rss for member in family))
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text()[-3000:])
    seconds = time.perf_counter() - started
    return json.loads(report.read_text()) | {"seconds": seconds, "memory": peak / 2**30}


def compare(study: str, shape: dict[str, Any], repeats: int, bfloat16: bool = False) -> None:
    """Let the ways take turns, and print what came of it."""
    trials = 4 * shape["seeds"]
    images = trials * shape["training"]["epochs"] * shape["dataset"]["train_size"]
    print(
        f"{study}: 4 variants x {shape['seeds']} seeds, {shape['dataset']}, {shape['training']}", flush=True
    )
    ways = [*WAYS, "a16", "b16"] if bfloat16 else list(WAYS)
    in_bfloat16 = shape | {"training": shape["training"] | {"precision": "mixed_bfloat16"}}
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for turn in range(repeats):
        for way in ways:
            with tempfile.TemporaryDirectory() as name:
                grid = Path(name) / "grid.yaml"
                grid.write_text(json.dumps(in_bfloat16 if way.endswith("16") else shape))  # JSON is YAML
                found[way].append(timed(way.removesuffix("16"), grid, Path(name)))
            last = found[way][-1]
            print(f"  turn {turn + 1} ({way}) {last['seconds']:6.1f} s  {last['val_accuracy']}", flush=True)
    print("way     seconds (each turn)            images/s   GiB")
    for way, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        each = ", ".join(f"{s:.1f}" for s in seconds)
        rate, memory = images / statistics.median(seconds), max(run["memory"] for run in runs)
        print(f"{f'({way})':7} {each:30} {rate:8.0f} {memory:6.2f}")
    pairs = [
        ("a", "b"),
        ("a", "c"),
        *([("a16", "b"), ("a16", "b16"), ("a16", "a"), ("b16", "b")] if bfloat16 else []),
    ]
    for one, other in pairs:
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(found[one], found[other], strict=True)]
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if repeats > 1 else ""
        print(f"({one}) / ({other}): {statistics.median(ratios):.2f}{spread}")
    _print_workers(found["a"][-1])


def _print_workers(run: dict[str, Any]) -> None:
    total = sum(run["workers"].values())
    print(f"the workers' {total:.1f} s in the last turn:")
    for name, seconds in sorted(run["workers"].items(), key=lambda item: -item[1]):
        print(f"  {name:20} {seconds:7.2f} s  {seconds / total:6.1%}")
    steps = run["workers"]["train"] + run["workers"]["evaluate"]
    print(f"training and evaluation steps: {steps / total:.1%} of worker time")
    for name, seconds in run["around"].items():
        print(f"  {name:24} {seconds:5.1f} s")


def main() -> None:
    """Parse the command line; `--way` is how this script starts itself."""
    if sys.argv[1] == "--way":
        way, grid, folder = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
        (folder / "report.json").write_text(json.dumps(WAYS[way](grid, folder)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=["digits", "cifar10"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bfloat16", action="store_true", help="(a) and (b) in mixed_bfloat16, too")
    options = parser.parse_args()
    data_dir = str(options.data_dir.absolute()) if options.data_dir else None
    shape = grid_of(options.study, data_dir, options.train_size, options.seeds)
    compare(options.study, shape, options.repeats, options.bfloat16)


if __name__ == "__main__":
    main()
