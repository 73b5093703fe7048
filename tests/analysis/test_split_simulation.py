"""The simulation of seeds that draw from one pool shows what the documentation says of their intervals."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "experiments" / "benchmark"


def test_intervals_hold_for_other_draws_from_a_pool_and_not_for_other_pools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    overlap = importlib.import_module("overlap")
    monkeypatch.setattr(overlap, "SHARES", (0.8,))
    rows = list(overlap.split_rows(np.random.default_rng(1), studies=100))
    assert [name for name, *_, holds in rows if not holds] == []
    found = {name.strip(): rate for name, _, rate, *_ in rows[4:]}  # of ten seeds
    assert found["error on other pools"] > 0.2
    assert found["error on other pools, corrected"] < 0.1
