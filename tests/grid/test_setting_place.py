"""What the images do not allow is reported where the grid file sets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablation.cli.app import app
from ablation.errors import GridError

TOO_LARGE = "cannot take 5,000 of 60 training images; a smaller dataset.validation_size or dataset.test_size leaves more of them."
DIGITS = "{name: digits, train_size: 60, validation_size: 40, test_size: 50}"


@pytest.mark.parametrize(
    ("grid", "line", "key", "message"),
    [
        (
            "study: s\ndataset:\n  train_size: 12000\n  validation_size: 400\n  test_size: 700\n",
            "3", "dataset.train_size",
            "cannot take 12,000 images: only 697 are available. Of the 1,797 images, 700 are test images "
            "(dataset.test_size) and 400 are validation images (dataset.validation_size).",
        ),
        (
            "study: s\ndataset: {test_size: 1795}\n", "2", "dataset.test_size",
            "cannot take 1,795 of 1,797 images: both parts of the split need at least one image of each of the 10 classes, "
            "but the smallest class has 174.",
        ),
        (f"study: s\ndataset: {DIGITS}\ntraining: {{train_size: 5000}}\n", "3", "training.train_size", TOO_LARGE),
        (f"study: s\ndataset: {DIGITS}\nfactors:\n  train_size:\n  - 40\n  - 5000\n", "6", "value 2 of factors.train_size", TOO_LARGE),
        (
            f"study: s\ndataset: {DIGITS}\nvariants:\n  more:\n    training.train_size: 5000\n", "5",
            "variants.more.training.train_size", TOO_LARGE,
        ),
        (
            "study: s\nvary: [init, split, test]\ndataset: {name: mnist}\n", "2", "vary",
            "test needs a dataset without a test set of its own, and mnist has one; remove test from vary, and all seeds share "
            "its test images.",
        ),
    ],
)  # fmt: skip
def test_a_setting_that_the_images_do_not_allow_is_reported_with_its_place(
    grid: str, line: str, key: str, message: str, write_grid: Callable[[str], Path], tmp_path: Path
) -> None:
    file = write_grid(grid)
    result = CliRunner().invoke(
        app, ["run", "--dry-run", "--grid", str(file), "--out", str(tmp_path / "run")]
    )
    assert isinstance(result.exception, GridError)
    source = grid.splitlines()[int(line) - 1].strip()
    assert str(result.exception) == f"{file}, line {line}, {key}: {message}\n    {line} | {source}"
