"""The fractional studies of the simulation, for tests of what is computed from them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

from ablation.grid.study import Study

BENCHMARK = Path(__file__).parents[1] / "experiments" / "benchmark"


def designs() -> dict[str, Any]:
    """Return the names that the simulation of fractional designs defines."""
    sys.path.insert(0, str(BENCHMARK))
    try:
        return runpy.run_path(str(BENCHMARK / "simulation_designs.py"))
    finally:
        sys.path.remove(str(BENCHMARK))


_DESIGNS = designs()


def fraction_of(factors: str) -> Study:
    """Return a fractional study of factors named by single letters."""
    study: Study = _DESIGNS["fraction"](factors)
    return study
