"""Where the trials of a variant are in a run's list of trials, by which a page finds their ids."""

from __future__ import annotations

from collections.abc import Iterable

from ablation.results.run import Run


class Places:
    """The places of a run's trials.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._place = {(trial.variant, trial.seed): k for k, trial in enumerate(run.trials)}

    def of_seeds(self, variant: str, seeds: Iterable[int]) -> list[int]:
        """Return the places of a variant's trials, one per seed."""
        return [self._place[variant, int(seed)] for seed in seeds]
