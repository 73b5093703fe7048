"""Dose-response curves in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from studies import results_of

from ablation import Study
from ablation.analysis.dose_phrases import dose_conclusion
from ablation.analysis.dose_response import dose_response_table
from ablation.grid.compare_settings import CompareSettings

NOISE = np.random.default_rng(7).normal(0, 0.01, (5, 4))
PEAK, RISE, FLAT = np.array([[0.5, 0.6, 0.61, 0.5], [0.5, 0.6, 0.7, 0.8], [0.5] * 4])


def sentences(file: Path, values: np.ndarray, compare: CompareSettings | None = None) -> list[str]:
    study, compare = Study.from_yaml(file), compare or CompareSettings()
    named = {v.name: list(column) for v, column in zip(study.variants, values.T, strict=True)}
    table = dose_response_table(results_of(named, compare.metric), study, compare)
    return [dose_conclusion(curve, compare) for _, curve in table.groupby(["factor", "where"], sort=False)]


@pytest.fixture
def grid(write_grid: Callable[[str], Path]) -> Path:
    return write_grid("{study: s, factors: {dropout: [0, 0.2, 0.4, 0.6]}}")


def test_a_peak(grid: Path) -> None:
    assert sentences(grid, NOISE + PEAK) == [
        "dropout: test accuracy changes (p < 0.001, n = 5 seeds). The best mean, 60.7%, is at 0.4. At 95% "
        "confidence, the best of the 4 tested doses is 0.2 or 0.4. 0.2 is the smallest dose that is not shown "
        "to be worse than another one."
    ]


def test_a_rise_has_a_line_and_may_go_on(grid: Path) -> None:
    assert sentences(grid, NOISE + RISE) == [
        "dropout: test accuracy changes (p < 0.001, n = 5 seeds), by +30.5 points from 0 to 0.6 on a straight line (95% "
        "interval +29.0 to +31.9). The best mean, 80.0%, is at 0.6. At 95% confidence, it is the best of the 4 "
        "tested doses. Doses above 0.6 were not tested, and one of them may be better."
    ]


def test_no_change(grid: Path) -> None:
    assert sentences(grid, NOISE + FLAT) == [
        "dropout: no change of test accuracy is shown (p = 0.795, n = 5 seeds). The best mean, 50.0%, is at "
        "0.6. Any of the 4 tested doses could be the best."
    ]


def test_a_loss_at_another_alpha(grid: Path) -> None:
    compare = CompareSettings(metric="test_loss", margin=0.01, alpha=0.1)
    assert sentences(grid, NOISE + RISE, compare) == [
        "dropout: test loss changes (p < 0.001, n = 5 seeds), by +0.3049 from 0 to 0.6 on a straight line (90% interval "
        "+0.2938 to +0.3161). The best mean, 0.4956, is at 0. At 90% confidence, it is the best of the 4 tested "
        "doses."
    ]


def test_a_dose_that_is_left_out(grid: Path) -> None:
    values = NOISE + PEAK
    values[1:, 3] = np.nan
    assert sentences(grid, values) == [
        "dropout: test accuracy changes (p < 0.001, n = 5 seeds), by +11.1 points from 0 to 0.4 on a straight line (95% "
        "interval +10.3 to +11.9). The best mean, 60.7%, is at 0.4. At 95% confidence, the best of the 3 tested "
        "doses is 0.2 or 0.4. 0.2 is the smallest dose that is not shown to be worse than another one. Doses "
        "above 0.4 were not tested, and one of them may be better. Left out, because fewer than 3 of their seeds "
        "are completed: 0.6."
    ]


def test_too_few_seeds(grid: Path) -> None:
    assert sentences(grid, NOISE[:2]) == [
        "dropout: no curve yet (0 of 4 doses have 3 completed seeds; a curve needs 3 such doses)."
    ]


def test_all_seeds_the_same(grid: Path) -> None:
    assert sentences(grid, np.tile(PEAK, (5, 1))) == [
        "dropout: whether test accuracy changes cannot be tested, because all seeds give the same curve (n = 5 "
        "seeds). The best mean, 61.0%, is at 0.4. Any of the 4 tested doses could be the best."
    ]


def test_curves_are_named_by_the_levels_of_other_factors(write_grid: Callable[[str], Path]) -> None:
    file = write_grid("{study: s, factors: {batch_norm: [false, true], dropout: [0, 0.2, 0.4]}}")
    starts = [text.partition(":")[0] for text in sentences(file, np.tile(NOISE[:, :3], 2))]
    assert starts == [
        "dropout where batch_norm=false", "dropout where batch_norm=true", "dropout, averaged over batch_norm"
    ]  # fmt: skip
