"""A branch beside what it is merged into: two runs of one study, compared variant by variant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ablation.analysis.answers import answers_to
from ablation.analysis.completed_trials import completed_results
from ablation.analysis.estimates import Measurements
from ablation.analysis.failed_seeds import failed_seeds
from ablation.analysis.identical_trials import identical_variants
from ablation.analysis.phrases import Row
from ablation.analysis.questions import COMPARISON, Question
from ablation.results.run import Run


@dataclass(frozen=True)
class Gate:
    """What a branch changes: the runs of base and branch, with the same seeds on the same images.

    Attributes:
        base: The run of the code that the branch is merged into.
        branch: The run of the code of the branch, with the same variants.
        differences: What the grid file of the branch declares otherwise, one line per setting. These settings
            are not used: both runs have those of base.
    """

    base: Run
    branch: Run
    differences: tuple[str, ...] = ()

    @property
    def variants(self) -> list[str]:
        """The names of the variants that base and branch have in common."""
        return [variant.name for variant in self.base.study.variants]

    def name(self, side: str, variant: str) -> str:
        """Return what a variant of one side is called: ``branch`` or, of several, ``plain on branch``."""
        return side if len(self.variants) == 1 else f"{variant} on {side}"

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row per variant, branch minus base: one declared family, judged as the grid of base says.

        Its columns are those of a run's comparisons. A variant whose two sides gave the same numbers to the
        last bit has the verdict ``identical``.
        """
        pairs = [(self.name("branch", variant), self.name("base", variant)) for variant in self.variants]
        questions = [
            Question(COMPARISON, branch, base, {branch: 1.0, base: -1.0}, True) for branch, base in pairs
        ]
        failed = self._results[failed_seeds(self._results, self.base.chance_level, self._images)]
        table = answers_to(
            questions,
            self._results,
            self.base.compare,
            {self.name(side, v): right for side, run in self._sides for v, right in run.all_right.items()},
            set(zip(failed["variant"], failed["seed"], strict=True)),
            {self.name(side, variant) for side, run in self._sides for variant in _improving(run)},
        ).comparisons
        is_same = [pair in self._identical for pair in pairs]
        table.loc[is_same, ["verdict", "reason"]] = "identical", "all numbers are the same to the last bit"
        return table

    def means(self, variant: str) -> tuple[float, float]:
        """Return the mean metric of base and of branch over the seeds that are pairs; NaN without any."""
        measured = Measurements(self._results, self.base.compare.metric)
        values = measured.values([self.name("base", variant), self.name("branch", variant)])
        return (float(values[:, 0].mean()), float(values[:, 1].mean())) if len(values) else (math.nan,) * 2

    @property
    def unfinished(self) -> pd.DataFrame:
        """The rows of the trials that did not complete, with the names of base and branch."""
        return self._results[self._results["status"] != "completed"]

    @property
    def faults(self) -> list[str]:
        """Why the branch does not pass, one sentence each; empty if it passes.

        It passes if all of its trials completed, every variant has a verdict, and none is worse.
        """
        metric = self.base.compare.metric_in_words
        sentences = []
        for variant, row in zip(self.variants, self.comparisons.to_dict("records"), strict=True):
            trials = self._results[self._results["variant"] == row["variant"]]
            if missing := int((trials["status"] != "completed").sum()):
                sentences.append(f"{missing} of {len(trials)} trials of {row['variant']} did not complete.")
            if row["verdict"] == "worse":
                sentences.append(f"{row['variant']} is worse than {row['baseline']} in {metric}.")
            elif not missing and (not row["verdict"] or self._lost_without_spread(row)):
                sentences.append(f"{variant} could not be judged: {row['reason']}.")
        return sentences

    def _lost_without_spread(self, row: Row) -> bool:
        """Return whether all seeds lost the same, of which no interval and so no verdict is possible."""
        gain = row["difference"] if self.base.compare.higher_is_better else -row["difference"]
        return math.isnan(row["p"]) and gain < 0

    @property
    def passed(self) -> bool:
        """Whether the branch passes the gate."""
        return not self.faults

    @property
    def _sides(self) -> tuple[tuple[str, Run], tuple[str, Run]]:
        return ("base", self.base), ("branch", self.branch)

    @property
    def _images(self) -> int:
        return len(self.base.dataset.test)

    @cached_property
    def _results(self) -> pd.DataFrame:
        return self._joined("results")

    @cached_property
    def _identical(self) -> set[tuple[str, str]]:
        """The pairs of branch and base that gave the same numbers."""
        names = [self.name(side, variant) for side in ("branch", "base") for variant in self.variants]
        groups = identical_variants(names, self._results, self._joined("history"))
        return {(one, other) for group in groups for one in group for other in group}

    def _joined(self, table: str) -> pd.DataFrame:
        """Return a table of both runs, with the names of base and branch."""
        tables = [
            frame.assign(variant=[self.name(side, variant) for variant in frame["variant"]])
            for side, run in self._sides
            if len(frame := getattr(run, table))
        ]
        return pd.concat(tables, ignore_index=True) if tables else getattr(self.base, table)


def _improving(run: Run) -> list[str]:
    """Return the variants that were still improving when training ended."""
    if completed_results(run.results).empty:
        return []
    table = run.convergence
    return list(table.loc[table["improving"] & (table["epochs"] > 1), "variant"])
