"""The section `tune` of a grid file: the space and the budget with which every variant is tuned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ablation.grid.dataset_settings import Count
from ablation.grid.search_space import SpaceSettings
from ablation.grid.tuners import BudgetedTuner, proposer_name

_TRIALS = 20


class TuneSettings(SpaceSettings):
    """How every variant is tuned before it is compared a second time, each at its own best settings."""

    tuner: BudgetedTuner = "random"
    """What makes the proposals, as in ``search``: an oracle of keras-tuner, or Optuna's sampler ``tpe`` or
    ``cma_es``. A proposal is one combination of settings. Hyperband and pruners are not among them, because
    every variant gets the same declared budget."""
    trials: Count | None = None
    """The budget: the number of proposals per variant, in each of the two searches. The default is 20 or, for
    ``grid``, all combinations."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 2
    """The number of seeds that every proposal is trained with. The two searches and the comparison of the
    tuned variants each have seeds of their own."""
    seed: Annotated[int, Field(ge=0, lt=2**30)] = 0
    """The seed of the oracles. In the second search, they have another one, which follows from it."""
    parallel: Count = 2
    """The number of proposals per variant that ``bayesian``, ``tpe`` and ``cma_es`` make before they receive
    their scores."""
    budgets: tuple[Count, ...] | None = None
    """Smaller budgets at which the tuned variants are compared, too, to see whether a verdict depends on the
    budget. The default is a quarter and a half of the proposals; an empty list means none."""

    @property
    def most_trials(self) -> int | None:
        """The largest number of proposals per variant and search; None for all combinations of a grid."""
        return None if self.tuner == "grid" and not self.trials else self.trials or _TRIALS

    @property
    def proposer_name(self) -> str:
        """What makes the proposals, in words."""
        return proposer_name(self.tuner)

    def smaller_budgets(self, proposals: int) -> list[int]:
        """Return the budgets below the whole one at which the tuned variants are compared.

        Args:
            proposals: The whole budget.
        """
        declared = self.budgets if self.budgets is not None else (proposals // 4, proposals // 2)
        return sorted({budget for budget in declared if 0 < budget < proposals})
