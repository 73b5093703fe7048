"""Which trials a number comes from."""

from __future__ import annotations

from functools import cache

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.dose_curves import dose_curves
from ablation.analysis.dose_response import usable_part
from ablation.analysis.effects import contrasts
from ablation.analysis.estimates import Measurements
from ablation.analysis.phrases import Row
from ablation.results.run import Run


class TrialLinks:
    """Finds the trials behind a number, by their place in ``run.trials``.

    Args:
        run: The run that the numbers are of.
    """

    def __init__(self, run: Run) -> None:
        results = run.results
        self._run = run
        place = {trial.id: k for k, trial in enumerate(run.trials)}
        completed = completed_results(results)
        self._places: dict[str, dict[int, int]] = {}  # of the completed trials, by variant and seed
        for variant, seed, trial_id in zip(
            completed["variant"], completed["seed"], completed["trial_id"], strict=True
        ):
            self._places.setdefault(variant, {})[seed] = place[trial_id]
        self._measured = Measurements(results, run.compare.metric)
        self._curves = {(curve.factor, curve.where): curve for curve in dose_curves(run.study)}
        self._usable = cache(lambda place: usable_part(self._curves[place], self._measured)[0].every_variant)
        self._needed = {(c.kind, c.effect, c.levels): list(c.weights) for c in contrasts(run.study)}

    def of(self, variant: str) -> tuple[int, ...]:
        """Return the completed trials of a variant."""
        return tuple(sorted(self._places.get(variant, {}).values()))

    def all(self) -> tuple[int, ...]:
        """Return all completed trials."""
        return tuple(sorted(place for places in self._places.values() for place in places.values()))

    def pairs(self, variant: str) -> tuple[int, ...]:
        """Return the trials of a variant and of the baseline that are compared."""
        return self.pair(variant, self._run.study.baseline)

    def pair(self, variant: str, other: str) -> tuple[int, ...]:
        """Return the trials of two variants that are compared."""
        return self._joint([variant, other])

    def effect(self, row: Row) -> tuple[int, ...]:
        """Return the trials behind a row of the effects table."""
        return self._joint(self._needed.get((row["kind"], row["effect"], row["levels"]), []))

    def dose(self, row: Row) -> tuple[int, ...]:
        """Return the trials behind the mean in a row of the dose-response table."""
        curve = self._curves[row["factor"], row["where"]]
        at = list(dict(zip(curve.levels, curve.variants, strict=True))[row["level"]])
        if row["reason"]:  # the dose is not a part of the curve, and has its own seeds
            return self._joint(at)
        return self._joint(at, self._usable((row["factor"], row["where"])))

    def curve(self, row: Row) -> tuple[int, ...]:
        """Return the trials behind the curve that a row of the dose-response table belongs to."""
        return self._joint(self._usable((row["factor"], row["where"])))

    def _joint(self, variants: list[str], together: list[str] | None = None) -> tuple[int, ...]:
        """Return the variants' trials of the seeds that all of them, or all of ``together``, have."""
        shared = set(self._measured.seeds(together or variants))
        places = (self._places.get(variant, {}).items() for variant in variants)
        return tuple(sorted(place for of_variant in places for seed, place in of_variant if seed in shared))
