"""With ``split`` in ``vary``, each seed draws its own training and validation images from one pool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import SPLIT

from ablation.data.datasets import Dataset, Part, prepare_dataset
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Stream
from ablation.grid.settings import CnnSettings, TrainingSettings
from ablation.grid.trial import Trial

CLASSES = np.repeat([0, 1, 2], [120, 60, 20])  # 60, 30 and 10% of the images
SIZES = {"test_size": 50, "validation_size": 30, "train_size": 40}


def dataset_of(
    folder: Path, vary: tuple[Stream, ...] = SPLIT, labels: Any = CLASSES, **settings: Any
) -> Dataset:
    """A dataset of 200 images, each with a number of its own as its first pixel."""
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    np.savez(folder / "own.npz", x=images, y=labels)
    return prepare_dataset(
        DatasetSettings(name="npz", path=str(folder / "own.npz"), **(SIZES | settings)), vary
    )


def trial_of(seed: int, variant: str = "plain", vary: tuple[Stream, ...] = SPLIT, **training: Any) -> Trial:
    settings = CnnSettings(dropout=0.0 if variant == "plain" else 0.5)
    return Trial(
        variant=variant,
        seed=seed,
        dataset_digest="d",
        model=settings,
        training=TrainingSettings(**training),
        vary=vary,
    )


def numbers(part: Part) -> list[int]:
    return part.images[:, 0, 0, 0].tolist()


def drawn(dataset: Dataset, seed: int, **changes: Any) -> tuple[list[int], list[int]]:
    of_trial = dataset.of(trial_of(seed, **changes))
    return numbers(of_trial.train), numbers(of_trial.val)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path)


def test_every_seed_draws_its_own_images(dataset: Dataset) -> None:
    draws = [drawn(dataset, seed) for seed in range(4)]
    for part in (0, 1):
        assert len({frozenset(draw[part]) for draw in draws}) == 4


def test_every_variant_of_a_seed_gets_the_same_images_in_the_same_order(dataset: Dataset) -> None:
    assert drawn(dataset, 3, variant="dropout") == drawn(dataset, 3)
    assert drawn(dataset, 3, vary=("split",)) == drawn(dataset, 3)  # whatever else follows the seed


def test_a_draw_is_as_large_as_the_fixed_split_and_its_parts_have_no_image_in_common(
    dataset: Dataset,
) -> None:
    for seed in range(4):
        train, val = drawn(dataset, seed)
        assert (len(set(train)), len(set(val))) == (40, 30)
        assert not {*train} & {*val}


def test_the_pool_is_all_that_is_not_tested_even_what_the_fixed_split_leaves_over(dataset: Dataset) -> None:
    pool = set(range(200)) - set(numbers(dataset.test))
    seen: set[int] = set()
    for seed in range(60):
        train, val = drawn(dataset, seed)
        seen |= {*train, *val}
    assert seen == pool


def test_the_test_images_are_the_same_for_every_seed(dataset: Dataset) -> None:
    for seed in range(3):
        assert dataset.of(trial_of(seed)).test is dataset.test


def test_each_part_has_the_classes_in_their_shares(dataset: Dataset) -> None:
    for seed in range(20):
        of_trial = dataset.of(trial_of(seed))
        for part, size in ((of_trial.train, 40), (of_trial.val, 30)):
            assert np.abs(np.bincount(part.labels, minlength=3) - size * np.array([0.6, 0.3, 0.1])).max() <= 2
        assert all(CLASSES[number] == label for number, label in zip(numbers(part), part.labels, strict=True))


def test_every_image_is_drawn_equally_often(dataset: Dataset) -> None:
    """The images of a small class are not drawn more often than others, nor the first ones of the pool."""
    counts = np.zeros(200)
    for seed in range(600):
        counts[drawn(dataset, seed)[0]] += 1
    pool = counts[sorted(set(range(200)) - set(numbers(dataset.test)))]
    expected = 600 * 40 / 150
    assert pool.mean() == expected
    assert np.abs(pool - expected).max() < 5 * np.sqrt(expected)


def test_images_with_several_labels_are_drawn_at_random(tmp_path: Path) -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], np.uint8)[np.arange(200) % 4]
    dataset = dataset_of(tmp_path, labels=labels)
    train, val = drawn(dataset, 0)
    assert (len(set(train)), len(set(val))) == (40, 30)
    assert drawn(dataset, 1) != (train, val)


def test_without_a_size_a_seed_trains_on_all_that_it_does_not_validate_on(tmp_path: Path) -> None:
    train, val = drawn(dataset_of(tmp_path, train_size=None), 0)
    assert (len(train), len(val)) == (120, 30)


def test_a_smaller_training_set_is_the_first_part_of_the_seeds_draw(dataset: Dataset) -> None:
    whole, val = drawn(dataset, 2)
    assert drawn(dataset, 2, train_size=15) == (whole[:15], val)
    with pytest.raises(DatasetError, match="cannot take 41 of 40 training images"):
        drawn(dataset, 2, train_size=41)


def test_the_probe_is_a_part_of_the_seeds_own_training_images(dataset: Dataset) -> None:
    of_trial = dataset.of(trial_of(1))
    assert numbers(of_trial.train_probe) == numbers(of_trial.train)[:30]


def test_images_are_normalised_by_the_seeds_own_training_images(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, normalise="standard")
    for seed in (0, 1):
        of_trial = dataset.of(trial_of(seed))
        normalised = of_trial.normalise(of_trial.train.images)
        assert normalised.mean() == pytest.approx(0, abs=1e-5)
        assert normalised.std() == pytest.approx(1, abs=1e-5)
        assert of_trial.normalise(of_trial.val.images).mean() != pytest.approx(0, abs=1e-5)
    unit = dataset_of(tmp_path)
    assert np.array_equal(unit.of(trial_of(0)).scale, unit.scale)


def test_the_places_of_the_training_images_say_which_images_of_the_pool_they_are(dataset: Dataset) -> None:
    places = [dataset.of(trial_of(seed)).places for seed in (0, 0, 1)]
    assert places[0] is not None
    assert np.array_equal(places[0], places[1])
    assert not np.array_equal(places[0], places[2])
    assert dataset.of(trial_of(0, vary=DEFAULT_VARY)).places is None


def test_without_split_every_seed_has_the_fixed_split(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, vary=DEFAULT_VARY)
    assert dataset.of(trial_of(0, vary=DEFAULT_VARY)) is dataset
    assert dataset.pool is None
    with pytest.raises(DatasetError, match="no pool of images to draw from"):
        dataset.of(trial_of(0))


def test_the_fixed_split_is_what_it_was(tmp_path: Path) -> None:
    fixed, pooled = dataset_of(tmp_path, vary=DEFAULT_VARY), dataset_of(tmp_path)
    for part in ("train", "val", "test"):
        assert numbers(getattr(fixed, part)) == numbers(getattr(pooled, part))
    # Pinned: the id of every trial without `split` contains it.
    assert prepare_dataset(DatasetSettings(train_size=120, validation_size=400)).digest == "d39d0246543c2bb2"


def test_the_digest_is_that_of_the_whole_pool(tmp_path: Path) -> None:
    """An image that only the draw of another seed contains changes the names of all trials."""
    first = dataset_of(tmp_path)
    assert first.digest != dataset_of(tmp_path, vary=DEFAULT_VARY).digest
    assert first.digest == dataset_of(tmp_path).digest
    assert first.pool is not None
    first.pool.rest.images[-1] += 1
    assert first.digest != dataset_of(tmp_path).digest


def test_a_pool_survives_its_file(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, normalise="standard")
    dataset.save(tmp_path / "dataset.npz")
    loaded = Dataset.load(tmp_path / "dataset.npz")
    assert loaded.digest == dataset.digest
    assert loaded.describe() == dataset.describe()
    for seed in (0, 1):
        ours, theirs = (side.of(trial_of(seed)) for side in (dataset, loaded))
        assert (numbers(ours.train), numbers(ours.val)) == (numbers(theirs.train), numbers(theirs.val))
        assert np.array_equal(ours.scale, theirs.scale)


def test_another_process_draws_the_same_images(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path / "dataset.npz")
    code = (
        "import sys; from pathlib import Path; from ablation.data.datasets import Dataset; "
        "from ablation.grid.trial import Trial; "
        "of_trial = Dataset.load(Path(sys.argv[1])).of(Trial.model_validate_json(sys.argv[2])); "
        "print(*of_trial.train.images[:, 0, 0, 0], *of_trial.val.images[:, 0, 0, 0])"
    )
    for seed in (0, 7):
        arguments = [str(tmp_path / "dataset.npz"), trial_of(seed).model_dump_json()]
        told = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        train, val = drawn(dataset, seed)
        assert [int(number) for number in told.stdout.split()] == [*train, *val]


def test_the_draws_of_a_seed_never_change_by_accident(dataset: Dataset) -> None:
    # Pinned: a trial's id names the seed and the pool, and with them these images.
    assert drawn(dataset, 0)[0][:8] == [153, 14, 79, 148, 93, 193, 73, 175]


def test_the_description_names_the_pool(dataset: Dataset) -> None:
    assert dataset.describe() == (
        "own.npz: 40 training and 30 validation images, which each seed draws from 150, and 50 test images"
    )
