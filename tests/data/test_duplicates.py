"""Images that occur more than once are counted, within the parts and across them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from studies import SPLIT, SPLIT_AND_TEST

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.data.duplicates import duplicate_notes
from ablation.data.splitting import Part
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Stream

X = np.random.default_rng(0).integers(0, 256, (90, 3, 3, 1), np.uint8)
Y = np.arange(90) % 3


def prepared(folder: Path, vary: tuple[Stream, ...] = DEFAULT_VARY, **arrays: Any) -> Dataset:
    np.savez(folder / "d.npz", **arrays)
    return prepare_dataset(DatasetSettings(name="npz", path=str(folder / "d.npz")), vary)


def test_copies_are_counted_within_the_parts_and_across_them(tmp_path: Path) -> None:
    x = X.copy()
    x[1], x[60], x[61], x[80] = x[0], x[2], x[3], x[62]  # one within training, two in validation, one in test
    dataset = prepared(
        tmp_path, x_train=x[:60], y_train=Y[:60], x_val=x[60:75], y_val=Y[60:75], x_test=x[75:], y_test=Y[75:]
    )
    assert dataset.notes == (
        "Duplicate images, identical in every pixel: 2 of 15 validation images are also among the training images, 1 "
        "of 15 test images is also among the validation images, 1 of 60 training images is a copy of another training "
        "image. A model that memorises them seems to generalise better than it does; remove them from one part.",
        "3 images have identical copies with different labels.",
    )
    dataset.save(tmp_path / "kept.npz")
    assert Dataset.load(tmp_path / "kept.npz").notes == dataset.notes


def test_images_that_all_differ_are_not_mentioned(tmp_path: Path) -> None:
    assert prepared(tmp_path, x=X, y=Y).notes == ()


def test_in_a_pool_copies_are_counted_among_all_that_seeds_draw_from(tmp_path: Path) -> None:
    x = X.copy()
    x[3] = x[0]
    for vary in (SPLIT, SPLIT_AND_TEST):
        (note,) = prepared(tmp_path, vary, x=x, y=Y).notes
        assert "pooled image" in note


def test_sixty_thousand_images_cost_less_than_two_seconds() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60_000, 32, 32, 3), np.uint8)
    labels = np.zeros(60_000, np.int64)
    parts = {
        "training": [Part(images[:50_000], labels[:50_000])],
        "test": [Part(images[50_000:], labels[50_000:])],
    }
    started = time.process_time()
    assert duplicate_notes(parts) == []
    assert time.process_time() - started < 2
