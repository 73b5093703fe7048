"""Studies and results tables in memory, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ablation import Study, Variant
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.seeding import DEFAULT_VARY, Stream
from ablation.grid.settings import CnnSettings, TrainingSettings

SPLIT: tuple[Stream, ...] = (*DEFAULT_VARY, "split")  # seeds draw training and validation images
SPLIT_AND_TEST: tuple[Stream, ...] = (*SPLIT, "test")  # and test images, too


def study_of(
    variants: Sequence[str] | Mapping[str, Mapping[str, str]],
    compare: CompareSettings | None = None,
    factors: Mapping[str, tuple[str, ...]] | None = None,
    seeds: int = 5,
) -> Study:
    """Return a study of these variants, the first one the baseline; a mapping gives their factor levels."""
    levels = variants if isinstance(variants, Mapping) else {name: {} for name in variants}
    planned = tuple(
        Variant(name=name, model=CnnSettings(), training=TrainingSettings(), levels=dict(of), crossed=True)
        for name, of in levels.items()
    )
    return Study(
        name="s", variants=planned, factors=dict(factors or {}), baseline=planned[0].name,
        seeds=tuple(range(seeds)), compare=compare or CompareSettings(), dataset=DatasetSettings(),
    )  # fmt: skip


def results_of(
    values: Mapping[str, Sequence[float | None]], metric: str = "test_accuracy", **columns: Any
) -> pd.DataFrame:
    """Return a results table with a value per variant and seed; None is a trial that failed."""
    rows = [
        {"variant": variant, "seed": seed, "status": "failed" if value is None else "completed",
         "provenance": "here", metric: value, "seconds": 60.0} | columns
        for variant, series in values.items() for seed, value in enumerate(series)
    ]  # fmt: skip
    return pd.DataFrame(rows)
