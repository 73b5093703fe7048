"""The notebook's study on a GPU: are its numbers right, and how long does it take?

    pip install '.[gpu]'
    python experiments/benchmark/gpu.py                      # on images that it makes
    python experiments/benchmark/gpu.py --data-dir FOLDER    # on CIFAR-10, from its python folder

It checks that seeds trained together have the results of seeds trained alone, that a second run has the
same bits, and that a killed run resumes to the same bits. Then it measures images a second for the loop that
one would write (Keras `fit` with JAX, one model after the other). Then it runs the notebook's whole study,
experiments/cifar10.yaml, with `--epochs` epochs. Last, it measures images a second for 1 to 20 seeds at once,
in float32 and in mixed_bfloat16, until `--limit` seconds are over in all. Each part is a process of its own.
Prints a table, and writes it as JSON to `--out` after each part. Exits with 1 if a check fails, or does not
end.

It needs JAX and Keras, and no TensorFlow. Without a GPU it takes long, unless `--images` is small.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = str(HERE.parent.parent)  # so that it also runs where the package is not installed
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])

STUDY = HERE.parent / "cifar10.yaml"
AT_ONCE = (1, 2, 5, 10, 20)
PRECISIONS = ("float32", "mixed_bfloat16")
STEPS = 24_000_000  # images that the whole study trains on: 20 trials of 30 epochs of 40,000
CHECKED = 640  # images of the checks
ONE_STEP = 64  # images of which an epoch is one step: within ten steps, Adam makes rounding grow to 0.0005
LOOP_IMAGES = 12_800  # images of the loop: 200 steps
KILLED_AFTER = 2  # epochs


def made_images(images: int) -> Any:
    """Return images of random colours, in which a class is a shade, as a dataset."""
    from ablation.data.datasets import Dataset
    from ablation.data.splitting import Part

    generator = np.random.default_rng(0)

    def part(count: int) -> Part:
        labels = generator.integers(0, 10, count)
        noise = generator.integers(0, 200, (count, 32, 32, 3))
        return Part((noise + 5 * labels[:, None, None, None]).astype(np.uint8), labels)

    scale, offset = np.full(3, 1 / 255, np.float32), np.zeros(3, np.float32)
    names = tuple(f"class{number}" for number in range(10))
    parts = part(images), part(max(64, images // 4)), part(max(64, images // 4))
    return Dataset(*parts, names, scale, offset, "made images")


def made_folder(folder: Path) -> Path:
    """Write the images of `made_images` as CIFAR-10's python files; return their folder."""
    folder.mkdir()
    made = made_images(50_000)
    names = [f"data_batch_{number}" for number in range(1, 6)]
    parts = zip(np.split(made.train.images, 5), np.split(made.train.labels, 5), strict=True)
    files = dict(zip(names, parts, strict=True))
    files["test_batch"] = (made.test.images[:10_000], made.test.labels[:10_000])
    for name, (images, labels) in files.items():
        batch = {b"data": images.transpose(0, 3, 1, 2).reshape(len(images), -1), b"labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=4))
    classes = {b"label_names": [name.encode() for name in made.class_names]}
    (folder / "batches.meta").write_bytes(pickle.dumps(classes, protocol=4))
    return folder


def trial(variant: str, seed: int, dataset: Any, width: float = 1.0, **training: Any) -> Any:
    """Return a trial of the notebook's model: `plain`, or `both` with Dropout and BatchNorm."""
    from ablation.grid.settings import CnnSettings, TrainingSettings
    from ablation.grid.trial import Trial

    both = {"dropout": 0.2, "batch_norm": True} if variant == "both" else {}
    model = CnnSettings(blocks=((32, 64), (64,), (128,)), dense=(32,), width=width, **both)
    settings = TrainingSettings(**training)
    return Trial(variant=variant, seed=seed, dataset_digest=dataset.digest, model=model, training=settings)


def trained(dataset: Any, seeds: list[int], width: float, folder: Path, kill: bool = False) -> list[Any]:
    """Train seeds together; with ``kill``, end the process after some epochs."""
    from ablation.training.fused.lane import SeedTask
    from ablation.training.fused.runner import run_together

    def report(record: Any) -> None:
        if kill and record.epoch > KILLED_AFTER:
            os._exit(9)

    tasks = []
    for seed in seeds:
        one = trial("both", seed, dataset, width, epochs=4)
        (folder / one.id).mkdir(parents=True, exist_ok=True)
        tasks.append(SeedTask(one, folder / one.id, False, report))
    return list(run_together(tasks, dataset))


def bits(results: list[Any]) -> Any:
    """Return what must be the same in every run."""
    return [(r.metrics, [h.model_copy(update={"seconds": 0.0}) for h in r.history]) for r in results]


def together(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the losses of the first steps of seeds trained together and alone.

    A process of its own, because a program that is compiled already keeps its rounding: TF32, by default on a
    GPU, rounds so much that the shape of a product shows.
    """
    import jax

    dataset, folder, seeds = made_images(ONE_STEP), Path(options.folder), [0, 1, 2]
    with jax.default_matmul_precision("highest"):
        fused = trained(dataset, seeds, options.width, folder / "together")
        alone = [trained(dataset, [seed], options.width, folder / "alone")[0] for seed in seeds[:2]]
    apart = max(
        abs(one.loss - other.loss)
        for a, b in zip(fused, alone, strict=False)
        for one, other in zip(a.history, b.history, strict=True)
    )
    return {"apart": apart, "seeds together = seeds alone": apart < 1e-5}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the bits of seeds trained twice, and after a kill."""
    dataset, folder, seeds, width = made_images(CHECKED), Path(options.folder), [0, 1, 2], options.width
    first, again = (trained(dataset, seeds, width, folder / name) for name in ("first", "again"))
    killed = subprocess.run(command("killed", options), check=False).returncode
    saved = len(list((folder / "resumed").rglob("checkpoint.npz")))
    resumed = trained(dataset, seeds, width, folder / "resumed")
    return {
        "the same bits twice": bits(first) == bits(again),
        "resumed to the same bits": killed == 9 and saved == len(seeds) and bits(resumed) == bits(first),
    }


def killed(options: argparse.Namespace) -> dict[str, Any]:
    """Train, and die after some epochs."""
    trained(made_images(CHECKED), [0, 1, 2], options.width, Path(options.folder) / "resumed", kill=True)
    return {}


def loop(options: argparse.Namespace) -> dict[str, Any]:
    """Return images a second of Keras's `fit`, once it is compiled, for one model after the other.

    It trains only: the study validates after each epoch, too.
    """
    import keras

    from ablation.training.compilation import compiled_model

    dataset = made_images(min(options.images, LOOP_IMAGES))
    images, targets = dataset.normalise(dataset.train.images), np.eye(10)[dataset.train.labels]
    rates = {}
    for precision in PRECISIONS:
        for variant in ("plain", "both"):
            model = compiled_model(trial(variant, 0, dataset, precision=precision), dataset)
            model.compile(model.optimizer, model.loss, metrics=["accuracy"])  # compiled by XLA, as by default
            model.fit(images[:640], targets[:640], batch_size=64, verbose=0)
            started = time.perf_counter()
            model.fit(images, targets, batch_size=64, verbose=0)
            rates[f"{variant} {precision}"] = len(images) / (time.perf_counter() - started)
            print(json.dumps(rates), flush=True)  # what is known, should the time be over
            keras.utils.clear_session()
    return rates


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return images a second of training, by variant, precision and the number of seeds at once."""
    import jax

    from ablation.training.compilation import compiled_model
    from ablation.training.fused.program import FusedProgram

    dataset, rates = made_images(options.images), {}
    for precision in PRECISIONS:
        for variant, counts in (("plain", (5, 20)), ("both", AT_ONCE)):
            trials = [trial(variant, seed, dataset, precision=precision) for seed in range(max(counts))]
            models = [compiled_model(one, dataset) for one in trials]
            for count in counts:
                program = FusedProgram(models[:count], [dataset] * count, trials[0].training)
                orders = [one.randomness.batch_order(1, options.images) for one in trials[:count]]
                program.train(orders)
                started = time.perf_counter()
                program.train(orders)
                jax.block_until_ready(program.state)
                seconds = time.perf_counter() - started
                rates[f"{variant} {precision} {count}"] = count * options.images / seconds
                print(json.dumps(rates), flush=True)
    return rates


class Clock:
    """Prints when each trial ends."""

    def __init__(self, started: float) -> None:
        self._started = started

    def planned(self, *_: object) -> None:
        """Print when the trials begin."""
        self._print("trials begin")

    def progressed(self, progress: Any) -> None:
        """Print when a first epoch has ended."""
        if progress.record and progress.record.epoch == 1:
            self._print(f"{progress.trial.id}: epoch 1 of {progress.record.seconds:.1f} s")

    def finished(self, one: Any, result: Any) -> None:
        """Print when a trial has ended."""
        self._print(f"{one.id}: {result.status} {result.cause}")

    def _print(self, text: str) -> None:
        print(f"{time.perf_counter() - self._started:6.1f} s  {text}", file=sys.stderr)


def study(options: argparse.Namespace) -> dict[str, Any]:
    """Run the notebook's study as `ablation run` does; return its seconds and verdicts."""
    from ablation import Study, run_study

    text = Path(options.study).read_text("utf-8").replace("epochs: 30", f"epochs: {options.epochs}")
    text = text.replace("training:\n", f"training:\n  precision: {options.precision}\n", 1)
    grid = Path(options.folder) / "cifar10.yaml"
    grid.write_text(text, "utf-8")
    data = options.data_dir or made_folder(Path(options.folder) / "made")
    planned = Study.from_yaml(grid, data).with_overrides(engine="jax")
    started = time.perf_counter()
    run = run_study(planned, Path(options.folder) / "run", workers=options.workers, observer=Clock(started))
    seconds = time.perf_counter() - started
    columns = ["train_accuracy", "val_accuracy", "test_accuracy"]
    results = run.results
    spent: dict[str, float] = {}
    for result in run.trial_results.values():
        for name, part in result.timing.items():
            spent[name] = spent.get(name, 0.0) + part
    return {
        "seconds": seconds,
        "statuses": results["status"].value_counts().to_dict(),
        "accuracies": results.groupby("variant", sort=False)[columns].mean().round(4).T.to_dict(),
        "verdicts": dict(zip(run.comparisons["variant"], run.comparisons["verdict"], strict=True)),
        "timing": {name: round(part, 1) for name, part in spent.items()},
    }


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "together": together, "check": check, "loop": loop, "speed": speed, "study": study, "killed": killed,
}  # fmt: skip


def command(part: str, options: argparse.Namespace) -> list[str]:
    """Return the command that runs a part with the same options."""
    pairs = [
        (f"--{name.replace('_', '-')}", value) for name, value in vars(options).items() if name != "part"
    ]
    return [
        sys.executable, str(Path(__file__).resolve()), "--part", part,
        *(text for name, value in pairs if value is not None for text in (name, str(value))),
    ]  # fmt: skip


def measured(part: str, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Return what a part measures in a process of its own, or as much of it as the seconds allow."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        options = argparse.Namespace(**vars(options) | {"folder": folder})
        process = subprocess.Popen(command(part, options), stdout=subprocess.PIPE, text=True)
        try:
            text, _ = process.communicate(timeout=seconds)
            failure = {"failed": f"exit code {process.returncode}"} if process.returncode else {}
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            failure = {"failed": f"the time was over after {seconds:.0f} s"}
    found = json.loads((text.splitlines() or ["{}"])[-1])
    return found | failure | {"all seconds": round(time.perf_counter() - started, 1)}


def rows(found: dict[str, Any]) -> list[str]:
    """Return the table of images a second, and of what the whole study would take at that rate."""
    lines = ["model and precision            seeds at once   images/s   the whole study"]
    rates = [(f"{name} loop", rate) for name, rate in found.get("loop", {}).items()]
    for name, rate in [*rates, *found.get("speed", {}).items()]:
        if name.startswith(("all seconds", "failed")):
            continue
        about, _, at_once = name.rpartition(" ")
        lines.append(f"{about:30} {at_once:>13} {rate:10,.0f} {STEPS / rate:13,.0f} s")
    return lines


def main() -> None:
    """Run all parts, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", help="CIFAR-10's python folder; by default, the images are made")
    parser.add_argument("--images", type=int, default=40_000, help="training images of the speed tests")
    parser.add_argument("--study", default=STUDY, help="the grid file of the study")
    parser.add_argument("--workers", type=int, help="worker processes of the study")
    parser.add_argument("--epochs", type=int, default=30, help="epochs of the study")
    parser.add_argument("--width", type=float, default=1.0, help="width of the model that is checked")
    parser.add_argument("--precision", default="float32", help="precision of the study")
    parser.add_argument("--limit", type=float, default=470, help="seconds after which it stops")
    parser.add_argument("--parts", default="together,check,loop,study,speed", help="which parts to run")
    parser.add_argument("--out", type=Path, help="the JSON file")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        from ablation.tensorflow_setup import start_jax

        if options.part != "study":
            start_jax(os.cpu_count() or 1)
        print(json.dumps(PARTS[options.part](options)))
        return
    found: dict[str, Any] = {}
    ends = time.perf_counter() + options.limit
    for part in options.parts.split(","):
        found[part] = measured(part, options, max(0.0, ends - time.perf_counter()))
        print(f"{part}: {found[part]['all seconds']:.0f} s", file=sys.stderr)
        if options.out:
            options.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print("\n".join(rows(found)))
    for part in ("together", "check", "study"):
        print(part, json.dumps(found.get(part, "not run"), indent=2))
    checks = found.get("together", {}) | found.get("check", {})
    sys.exit(int("failed" in checks or any(value is False for value in checks.values())))


if __name__ == "__main__":
    main()
