"""The memory of a worker that trains many trials, one after another."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from conftest import tiny_trial

from ablation.data.datasets import Dataset
from ablation.grid.settings import Component
from ablation.training.trial_runner import run_trial

WATCHING = (Component(name="ReduceLROnPlateau", arguments={"monitor": "loss"}),)


def graphs() -> int:
    """Return how many graphs of functions are in memory."""
    from tensorflow.python.framework.func_graph import FuncGraph

    gc.collect()
    return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())


@pytest.mark.parametrize("callbacks", [(), WATCHING], ids=["plain", "callbacks"])
def test_no_graph_outlives_its_variant(
    callbacks: tuple[Component, ...], tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """Silu has a custom gradient in each call, the optimizer has one in each graph."""
    counts = []
    for units in range(4, 9):
        settings = {"family": "dense", "dense": (units,), "activation": "silu", "batch_norm": True}
        trial = tiny_trial(tiny_dataset, epochs=1, callbacks=callbacks, **settings)
        run_trial(trial, tiny_dataset, tmp_path)
        counts.append(graphs())
    assert len(set(counts[1:])) == 1, counts


@pytest.mark.slow
@pytest.mark.parametrize("callbacks", [(), WATCHING], ids=["plain", "callbacks"])
def test_memory_is_flat_over_two_hundred_trials_of_twenty_variants(
    callbacks: tuple[Component, ...], tmp_path: Path
) -> None:
    from dataclasses import replace

    import numpy as np

    from ablation.data.datasets import Part, prepare_dataset
    from ablation.grid.dataset_settings import DatasetSettings

    dataset = prepare_dataset(DatasetSettings(train_size=60, validation_size=40, test_size=50))
    images = np.tile(dataset.train.images, (2000, 1, 1, 1))  # 8 MiB, which no graph may keep
    train = Part(images, np.tile(dataset.train.labels, 2000))
    dataset = replace(dataset, train=train)
    memory = []
    for number in range(200):
        trial = tiny_trial(
            dataset, seed=number // 20, epochs=1, dense=(4 + number % 20,), batch_size=1000, train_size=3000,
            dropout=0.2, batch_norm=True, callbacks=callbacks,
        )  # fmt: skip
        memory.append(run_trial(trial, dataset, tmp_path).memory or 0.0)
    assert np.mean(memory[-20:]) - np.mean(memory[20:40]) < 30, memory[::10]
