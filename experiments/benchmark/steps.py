"""How long a training step takes, with Keras's own BatchNorm and Dropout and with the faster kernels.

    python experiments/benchmark/steps.py --data-dir FOLDER   # a CIFAR-10 python folder

Prints milliseconds per step of the model of ../cifar10.yaml, with 64 images on one core. The variants take
turns; the number is the fastest of three turns.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np

import ablation.training.loop
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import CnnSettings, TrainingSettings
from ablation.grid.trial import Trial
from ablation.tensorflow_setup import configure_tensorflow
from ablation.training.compilation import compiled_model
from ablation.training.loop import CompiledLoop

VARIANTS = {
    "plain": {},
    "+Dropout": {"dropout": 0.2},
    "+BatchNorm": {"batch_norm": True},
    "+both": {"dropout": 0.2, "batch_norm": True},
}
STEPS = 16


def loop_of(dataset: Dataset, changes: dict[str, object], faster: bool) -> CompiledLoop:
    """Return a traced loop."""
    training = TrainingSettings(batch_size=64)
    model = CnnSettings.model_validate(changes)
    trial = Trial(variant="", seed=0, dataset_digest=dataset.digest, model=model, training=training)
    loop = CompiledLoop(compiled_model(trial, dataset), dataset, training)
    with nullcontext() if faster else patch.object(ablation.training.loop, "faster_kernels", nullcontext):
        loop.trace()
    return loop


def milliseconds(loop: CompiledLoop) -> float:
    """Return how long a step takes."""
    order = np.arange(64 * STEPS, dtype=np.int32)
    started = time.perf_counter()
    loop.train(order)
    return 1000 * (time.perf_counter() - started) / STEPS


def main() -> None:
    """Time every variant both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    folder = str(parser.parse_args().data_dir)
    configure_tensorflow(1)
    sizes = {"train_size": 64 * STEPS, "validation_size": 512, "test_size": 500}
    dataset = prepare_dataset(DatasetSettings(name="cifar10", path=folder, **sizes))
    print("variant      Keras's    ours")
    for name, changes in VARIANTS.items():
        loops = [loop_of(dataset, changes, faster) for faster in (False, True)]
        for loop in loops:
            loop.train(np.arange(64, dtype=np.int32))
        turns = [[milliseconds(loop) for loop in loops] for _ in range(3)]
        print(f"{name:12} {min(t[0] for t in turns):7.0f} {min(t[1] for t in turns):7.0f}", flush=True)


if __name__ == "__main__":
    main()
