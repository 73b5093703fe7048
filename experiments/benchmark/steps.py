"""How long a training step takes, in Keras's own train step and in ours, in float32 and in bfloat16.

    python experiments/benchmark/steps.py --data-dir FOLDER   # a CIFAR-10 python folder

Prints milliseconds of processor time per step of the model of ../cifar10.yaml, with 64 images on one core,
and the share of float32's time that mixed_bfloat16 takes. All columns of a variant take turns; the number is
the fastest of five turns, so that other processes hardly matter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import CnnSettings, TrainingSettings
from ablation.grid.trial import Trial
from ablation.tensorflow_setup import configure_tensorflow
from ablation.training.compilation import compiled_model
from ablation.training.loop import CompiledLoop

VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "+Dropout": {"dropout": 0.2},
    "+BatchNorm": {"batch_norm": True},
    "+both": {"dropout": 0.2, "batch_norm": True},
}
PRECISIONS = ("float32", "mixed_bfloat16")
STEPS, BATCH, TURNS = 8, 64, 5


def trial_of(dataset: Dataset, changes: dict[str, object], precision: str) -> Trial:
    """Return a trial of one of the variants."""
    training = TrainingSettings.model_validate({"batch_size": BATCH, "precision": precision})
    model = CnnSettings.model_validate(changes)
    return Trial(variant="", seed=0, dataset_digest=dataset.digest, model=model, training=training)


def our_steps(dataset: Dataset, trial: Trial) -> Callable[[], object]:
    """Return a function that trains for some steps in the compiled loop."""
    loop = CompiledLoop(compiled_model(trial, dataset), dataset, trial.training)
    order = np.arange(BATCH * STEPS, dtype=np.int32)
    return lambda: loop.train(order)


def kerass_steps(dataset: Dataset, trial: Trial) -> Callable[[], object]:
    """Return a function that trains for as many steps in what `fit` compiles, without tf.data."""
    import tensorflow as tf

    model = compiled_model(trial, dataset)
    model.make_train_function()
    images = tf.constant(dataset.normalise(dataset.train.images))
    labels = tf.one_hot(dataset.train.labels, len(dataset.class_names))
    batches = [(images[at : at + BATCH], labels[at : at + BATCH]) for at in range(0, BATCH * STEPS, BATCH)]
    return lambda: [model.train_function(iter([batch])) for batch in batches]


def milliseconds(steps: Callable[[], object]) -> float:
    """Return how long a step takes."""
    started = time.process_time()
    steps()
    return 1000 * (time.process_time() - started) / STEPS


def main() -> None:
    """Time every variant in both loops and both precisions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    folder = str(parser.parse_args().data_dir)
    configure_tensorflow(1)
    sizes = {"train_size": BATCH * STEPS, "validation_size": 256, "test_size": 256}
    dataset = prepare_dataset(DatasetSettings.model_validate({"name": "cifar10", "path": folder, **sizes}))
    print("             Keras's                    ours")
    print("variant      float32 bfloat16  share    float32 bfloat16  share")
    for name, changes in VARIANTS.items():
        columns = [
            build(dataset, trial_of(dataset, changes, precision))
            for build in (kerass_steps, our_steps)
            for precision in PRECISIONS
        ]
        for steps in columns:
            steps()  # compiles
        turns = [[milliseconds(steps) for steps in columns] for _ in range(TURNS)]
        best = [min(column) for column in zip(*turns, strict=True)]
        print(f"{name:12}", *(_pair(*best[at : at + 2]) for at in (0, 2)), flush=True)


def _pair(float32: float, bfloat16: float) -> str:
    return f"{float32:7.0f} {bfloat16:8.0f} {bfloat16 / float32:6.2f}   "


if __name__ == "__main__":
    main()
