"""Which trials a number comes from."""

from __future__ import annotations

from collections.abc import Iterable
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
        self._place = {trial.id: k for k, trial in enumerate(run.trials)}
        self._completed = completed_results(results)
        self._measured = Measurements(results, run.compare.metric)
        self._curves = {(curve.factor, curve.where): curve for curve in dose_curves(run.study)}
        self._usable = cache(lambda place: usable_part(self._curves[place], self._measured)[0].every_variant)
        self._needed = {(c.kind, c.effect, c.levels): list(c.weights) for c in contrasts(run.study)}

    def of(self, variant: str) -> tuple[int, ...]:
        """Return the completed trials of a variant."""
        return self._places(self._completed, [variant])

    def all(self) -> tuple[int, ...]:
        """Return all completed trials."""
        return self._places(self._completed, self._completed["variant"].unique())

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
        shared = self._completed["seed"].isin(self._measured.seeds(together or variants))
        return self._places(self._completed[shared], variants)

    def _places(self, table: object, variants: Iterable[str]) -> tuple[int, ...]:
        chosen = table[table["variant"].isin(list(variants))]  # type: ignore[index]
        return tuple(sorted(self._place[trial_id] for trial_id in chosen["trial_id"]))
