"""The proposer of a search: an oracle of keras-tuner or a sampler of Optuna."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ablation.errors import RunError
from ablation.grid.tuners import SAMPLERS
from ablation.search.oracle import OracleProposer
from ablation.search.proposal import Proposer
from ablation.search.sampler import SamplerProposer
from ablation.search.settings import Search

_NEEDED = {"tpe": ("optuna",), "cma_es": ("optuna", "cmaes")}


def make_proposer(search: Search, folder: Path) -> Proposer:
    """Return the proposer that a search names.

    Args:
        search: The search.
        folder: The folder where keras-tuner writes its own state, which is never read.
    """
    return SamplerProposer(search) if search.settings.tuner in SAMPLERS else OracleProposer(search, folder)


def require_tuner(tuner: str) -> None:
    """Refuse a tuner whose packages are not installed.

    Raises:
        RunError: A package is missing.
    """
    for package in _NEEDED.get(tuner, ()):
        if find_spec(package) is None:
            raise RunError(
                f"`tuner: {tuner}` needs {package}, which is not installed: "
                "pip install 'ablation-harness[optuna]'"
            )
