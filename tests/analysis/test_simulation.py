"""The simulation behind the README's table keeps its promises; here with fewer studies."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "experiments" / "benchmark" / "simulation.py"


@pytest.mark.slow
def test_conclusions_are_right_as_often_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FILE.parent)
    rows = runpy.run_path(str(FILE))["table"](studies=60, seed=1)
    assert len(rows) > 150
    assert [name for name, *_, holds in rows if not holds] == []
    # the simulation can tell: adding seeds until Student's t is content is wrong far too often
    naive = next(found for name, _, found, *_ in rows if "without the anytime test" in name)
    assert naive > 0.15
    # a seed's draws share most of the pool, so an interval over them says little of other pools
    of_pools = [found for name, _, found, *_ in rows if name == "  error on other pools"]
    assert max(of_pools) > 0.2
    # and nothing bounds the error of skewed differences
    assert max(found for name, _, found, *_ in rows if name.startswith("skewed")) > 0.08
