"""What dose-response curves promise, held to a known truth; the long proof is in `test_simulation.py`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmark"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def test_promises_are_kept_and_a_common_variance_would_break_them() -> None:
    import simulation_doses

    rows = list(simulation_doses.curves(np.random.default_rng(3), 200))
    assert sum(not np.isnan(promised) for _, promised, *_ in rows) == 2 * 9 * 4
    assert [name for name, *_, holds in rows if not holds] == []
    found = {name: rate for name, _, rate, *_ in rows}
    peak = "the set contains the best dose, in the middle, 10 seeds, 7 doses, normal"
    share = next(rate for (name, *_), (_, _, rate, *_) in pairwise(rows) if name == peak)
    assert found[peak] > 0.95
    assert share < 0.5  # the set is not simply all doses
    noisy = "  common variance: the set contains the best dose, 5 seeds, 7 doses, last dose 4 times as noisy"
    assert found[noisy] < 0.92
