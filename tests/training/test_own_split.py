"""A trial whose seed draws its own images trains, measures and resumes on these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tiny_trial
from studies import SPLIT
from test_resume import bits, interrupt, resume

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import Stream
from ablation.grid.trial import Trial, TrialResult
from ablation.training import checkpoint, trial_runner
from ablation.training.trial_runner import planned_initial_state, run_trial

SIZES = {"name": "digits", "train_size": 60, "validation_size": 40, "test_size": 50}


@pytest.fixture(scope="module")
def pool() -> Dataset:
    return prepare_dataset(DatasetSettings.model_validate(SIZES), SPLIT)


def own_split(dataset: Dataset, seed: int = 0, vary: tuple[Stream, ...] = SPLIT, **settings: Any) -> Trial:
    return tiny_trial(dataset, seed=seed, **settings).model_copy(update={"vary": vary})


def train(trial: Trial, dataset: Dataset, folder: Path, **options: Any) -> TrialResult:
    folder.mkdir(exist_ok=True)
    return run_trial(trial, dataset, folder, **options)


def orders(result: TrialResult) -> list[str]:
    return [record.order for record in result.history]


def test_variants_of_a_seed_are_trained_on_the_same_images_and_seeds_on_different_ones(
    pool: Dataset, tmp_path: Path
) -> None:
    plain, dropout, other = (
        orders(train(own_split(pool, **settings), pool, tmp_path))
        for settings in ({}, {"dropout": 0.3}, {"seed": 1})
    )
    assert plain == dropout
    assert not {*plain} & {*other}


def test_the_images_alone_can_follow_the_seed(pool: Dataset, tmp_path: Path) -> None:
    one, two = (train(own_split(pool, seed, vary=("split",)), pool, tmp_path) for seed in (0, 1))
    assert one.initial_weights == two.initial_weights
    assert not {*orders(one)} & {*orders(two)}  # the same order, of different images
    assert one.metrics["test_loss"] != two.metrics["test_loss"]


def test_what_a_trial_will_start_from_is_known_before(pool: Dataset, tmp_path: Path) -> None:
    trial = own_split(pool, seed=2, train_size=30)
    start = planned_initial_state(trial, pool)
    result = train(trial, pool, tmp_path)
    assert list(start.orders) == orders(result)
    assert start.weights == result.initial_weights


def test_training_and_validation_are_measured_on_the_seeds_own_images(pool: Dataset, tmp_path: Path) -> None:
    import keras

    trial = own_split(pool, seed=3, epochs=10)
    result = train(trial, pool, tmp_path, save_model=True)
    model = keras.models.load_model(tmp_path / "model.keras")
    own = pool.of(trial)
    for name, part in (("train", own.train_probe), ("val", own.val), ("test", pool.test)):
        predicted = model.predict(own.normalise(part.images), verbose=0).argmax(1)
        assert result.metrics[f"{name}_accuracy"] == np.mean(predicted == part.labels)


@pytest.mark.parametrize("normalise", ["unit", "standard"])
def test_graphs_that_seeds_share_give_the_bits_of_new_ones(normalise: str, tmp_path: Path) -> None:
    """With one normalisation, seeds share the graphs; with one for each seed, each needs its own."""
    dataset = prepare_dataset(DatasetSettings.model_validate(SIZES | {"normalise": normalise}), SPLIT)
    first, second = (train(own_split(dataset, seed=s, width=1.25), dataset, tmp_path) for s in (0, 1))
    assert ["trace" in result.timing for result in (first, second)] == [True, normalise == "standard"]
    trial_runner._warm.clear()
    alone = train(own_split(dataset, seed=1, width=1.25), dataset, tmp_path / "alone")
    assert bits(alone, tmp_path / "alone") == bits(second, tmp_path)


def test_a_draw_trains_as_a_dataset_of_these_images_does(pool: Dataset, tmp_path: Path) -> None:
    drawn = train(own_split(pool, seed=4), pool, tmp_path / "drawn")
    trial_runner._warm.clear()
    given = train(tiny_trial(pool, seed=4), pool.of(own_split(pool, seed=4)), tmp_path / "given")
    assert drawn.metrics == given.metrics


def test_an_interrupted_trial_comes_to_the_same_bits(
    pool: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_PAUSE", 0)
    trial = own_split(pool, seed=1, epochs=6, dropout=0.3, batch_norm=True)
    whole = train(trial, pool, tmp_path / "whole")
    (tmp_path / "parts").mkdir()
    interrupt(trial, pool, tmp_path / "parts", after=3)
    train(own_split(pool, seed=0, epochs=6, dropout=0.3, batch_norm=True), pool, tmp_path / "another")
    resumed, epochs = resume(trial, pool, tmp_path / "parts")
    assert epochs[0] == 3
    assert bits(resumed, tmp_path / "parts") == bits(whole, tmp_path / "whole")
