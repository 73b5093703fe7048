"""Label noise: as many labels as were asked for are wrong, the same in every trial, and never those of the test images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_trial
from scipy.stats import chisquare
from studies import SPLIT, SPLIT_AND_TEST

from ablation import Study
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.data.label_noise import noisy
from ablation.errors import GridError
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Stream

LABELS = np.arange(9000) % 10
DIGITS = {"train_size": 60, "validation_size": 40, "test_size": 50}


def test_a_share_of_labels_is_wrong_and_each_other_class_is_as_likely() -> None:
    changed = noisy(LABELS, 0.25, 10, 0)
    wrong = changed != LABELS
    assert wrong.sum() == 2250
    assert changed.dtype == LABELS.dtype
    steps = np.bincount((changed - LABELS)[wrong] % 10, minlength=10)
    assert steps[0] == 0
    assert chisquare(steps[1:]).pvalue > 0.01
    assert chisquare(np.bincount(LABELS[wrong])).pvalue > 0.01


def test_what_is_wrong_at_one_share_is_wrong_in_the_same_way_at_a_larger_one() -> None:
    little, more = noisy(LABELS, 0.1, 10, 3), noisy(LABELS, 0.4, 10, 3)
    wrong = little != LABELS
    np.testing.assert_array_equal(more[wrong], little[wrong])
    assert (noisy(LABELS, 0.1, 10, 4) != little).any()


def test_of_several_labels_a_share_is_the_opposite() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (100, 5), np.uint8)
    changed = noisy(labels, 0.2, 5, 0)
    assert (changed != labels).sum() == 100
    assert set(np.unique(changed)) == {0, 1}


def digits(noise: float, vary: tuple[Stream, ...] = DEFAULT_VARY) -> Dataset:
    return prepare_dataset(DatasetSettings(label_noise=noise, **DIGITS), vary)


def labels_of(
    dataset: Dataset, seed: int = 0, noise: float = 0.0, vary: tuple[Stream, ...] = DEFAULT_VARY
) -> list[np.ndarray]:
    trial = tiny_trial(dataset, seed, label_noise=noise).model_copy(update={"vary": vary})
    of_trial = dataset.of(trial)
    return [part.labels for part in (of_trial.train, of_trial.val, of_trial.test)]


def test_every_trial_is_trained_and_validated_on_the_same_wrong_labels_and_tested_on_the_right_ones() -> None:
    clean, fixed = digits(0), digits(0.25)
    right = labels_of(clean)
    wrong = labels_of(fixed)
    assert [(a != b).sum() for a, b in zip(right, wrong, strict=True)] == [15, 10, 0]
    for again in (
        labels_of(fixed, seed=7),
        labels_of(clean, noise=0.25),
        labels_of(clean, seed=7, noise=0.25),
    ):
        for ours, theirs in zip(again, wrong, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    half = fixed.of(tiny_trial(fixed, train_size=30))
    np.testing.assert_array_equal(half.train.labels, wrong[0][:30])


def test_a_seed_draws_wrong_labels_of_its_own_if_its_streams_say_so() -> None:
    vary: tuple[Stream, ...] = (*DEFAULT_VARY, "label_noise")
    dataset = digits(0.25)
    first, second = labels_of(dataset, 0, vary=vary), labels_of(dataset, 1, vary=vary)
    assert (first[0] != second[0]).any()
    np.testing.assert_array_equal(first[2], second[2])


@pytest.mark.parametrize("vary", [SPLIT, SPLIT_AND_TEST])
def test_images_that_a_seed_draws_have_noise_in_all_labels_but_those_of_the_test_images(
    vary: tuple[Stream, ...],
) -> None:
    clean, fixed = digits(0, vary), digits(0.25, vary)
    for seed in range(3):
        pairs = zip(labels_of(clean, seed, vary=vary), labels_of(fixed, seed, vary=vary), strict=True)
        assert [(a != b).sum() for a, b in pairs] == [15, 10, 0]


def test_noise_names_the_trials_and_is_kept_with_the_images(tmp_path: Path) -> None:
    clean, fixed = digits(0), digits(0.25)
    assert clean.digest == prepare_dataset(DatasetSettings(**DIGITS)).digest != fixed.digest
    assert (
        tiny_trial(clean).id
        == tiny_trial(clean, label_noise=0.0).id
        != tiny_trial(clean, label_noise=0.25).id
    )
    fixed.save(tmp_path / "dataset.npz")
    loaded = Dataset.load(tmp_path / "dataset.npz")
    assert (loaded.label_noise, loaded.digest) == (0.25, fixed.digest)
    assert loaded.describe().endswith(
        "60 training, 40 validation and 50 test images; 25% of the training and validation labels are wrong on purpose"
    )


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("factors: {label_noise: [0, 0.5]}", "factors.label_noise"),
        ("training: {label_noise: 0.5}", "training.label_noise"),
        ("variants: {clean: {training.label_noise: 0}}", "variants.clean.training.label_noise"),
    ],
)
def test_noise_is_set_in_one_place(more: str, place: str, write_grid: Callable[[str], Path]) -> None:
    file = write_grid(f"study: s\ndataset: {{label_noise: 0.25}}\n{more}\n")
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert str(error.value) == (
        f"{file}, line 3, {place}: 'label_noise' is also set under `dataset:`; remove one of the two.\n    3 | {more}"
    )


def test_noise_is_a_factor_like_any_other(write_grid: Callable[[str], Path]) -> None:
    study = Study.from_yaml(write_grid("study: s\nfactors: {label_noise: [0, 0.25], dropout: [0, 0.3]}"))
    assert [v.name for v in study.variants] == ["plain", "+label_noise", "+Dropout", "+both"]
    assert [v.training.label_noise for v in study.variants] == [0, 0.25, 0, 0.25]
