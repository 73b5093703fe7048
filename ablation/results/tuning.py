"""The parts of a run whose variants are tuned, as they are on disk: two searches and the tuned comparison."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pandas as pd

from ablation.analysis.completed_trials import not_completed_notes
from ablation.analysis.tuning import (
    AS_GIVEN,
    Compared,
    Searched,
    choices_at,
    proposals_table,
    tuned_table,
)
from ablation.grid.study import Study
from ablation.grid.trial import Trial
from ablation.grid.tuning import (
    SEARCHES,
    TunedProposal,
    proposals_of,
    same_plan,
    search_study,
    tuned_study,
)
from ablation.grid.value_text import counted


class Opened(Protocol):
    """What the tuning needs of a `Run`, which has it as a part."""

    @property
    def folder(self) -> Path:
        """The run folder."""

    @property
    def study(self) -> Study:
        """The study."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Its trials."""

    @property
    def results(self) -> pd.DataFrame:
        """One row per trial."""

    @property
    def has_dataset(self) -> bool:
        """Whether the images of the study are there, undamaged."""

    @property
    def baseline_comparisons(self) -> pd.DataFrame:
        """The comparisons with the baseline, one row per variant."""

    def with_study(self, study: Study, dataset_digest: str) -> Opened:
        """Return the run as another version of its study sees it."""


def tuned_folder(run_folder: Path) -> Path:
    """Return the run folder of the tuned variants."""
    return run_folder / "tuned"


def search_folder(run_folder: Path, search: int) -> Path:
    """Return the run folder of a search, 1 or 2."""
    return tuned_folder(run_folder) / f"search-{search}"


class Tuning:
    """What is known of the tuning of a run.

    Parts that belong to an earlier version of the grid are treated as if they were not there.

    Args:
        run: The run of the variants as given.
        open_run: Opens a run folder.
    """

    def __init__(self, run: Opened, open_run: Callable[[Path], Opened]) -> None:
        self._run, self._open = run, open_run
        self._study = run.study

    @cached_property
    def searches(self) -> dict[int, Opened]:
        """The runs of the searches so far, by their number."""
        return {number: run for number in SEARCHES if (run := self._search(number))}

    def _search(self, number: int) -> Opened | None:
        run = self._opened(search_folder(self._run.folder, number))
        if run is None or self._study.tune is None:
            return None
        proposals = proposals_of(run.study)
        known = {variant.name for variant in self._study.variants}
        declared = set(self._study.tune.space)
        if any(p.variant not in known or not set(p.values) <= declared for p in proposals):
            return None
        return run if same_plan(search_study(self._study, number, proposals), run.study) else None

    def _opened(self, folder: Path) -> Opened | None:
        return self._open(folder) if (folder / "study.json").exists() else None

    @property
    def notes(self) -> list[str]:
        """What is left out of the searches and of the comparison of the tuned variants."""
        parts = {f"Tuning, search {number}": run for number, run in self.searches.items()}
        parts |= {f"Tuned at {counted(n, 'proposal')}": run for n, run in self.comparisons.items()}
        notes = [note for where, run in parts.items() for note in not_completed_notes(run.results, where)]
        if any(not run.has_dataset for run in self.comparisons.values()):
            notes.append(
                "The images of the tuned variants are missing or damaged, so that their intervals hold for "
                "other seeds only; the same `ablation run` command restores them."
            )
        return notes

    def progress(self) -> list[str]:
        """Say how far each part is, one line per part, while tuning is not finished."""
        lines = []
        for number in SEARCHES:
            run = self.searches.get(number)
            done = int((run.results["status"] != "pending").sum()) if run else 0
            proposed = f" of {counted(len(run.trials), 'proposed trial')}" if run else " trials"
            lines.append(f"Tuning, search {number}: {done}{proposed} trained")
        lines.append("Tuning is not finished; `ablation run` without --only and --shard continues it.")
        return lines

    @cached_property
    def proposals(self) -> pd.DataFrame:
        """One row per proposal of each search; see `proposals_table`."""
        searched = {number: Searched(run.study, run.results) for number, run in self.searches.items()}
        return proposals_table(self._study, searched)

    @property
    def whole_budget(self) -> int:
        """The largest number of proposals that a search made for a variant."""
        return 0 if self.proposals.empty else int(self.proposals["proposal"].max())

    def choices(self, search: int, budget: int) -> dict[str, TunedProposal]:
        """Return what a search had chosen for each variant after so many proposals; see `choices_at`."""
        if search not in self.searches:
            return {}
        return choices_at(self._study, self.searches[search].study, self.proposals, search, budget)

    @property
    def budgets(self) -> list[int]:
        """The budgets at which tuned variants are compared, ascending; the last one is the whole budget.

        A smaller budget is left out if a variant had no choice then.
        """
        if not self._study.tune or not self.whole_budget:
            return []
        smaller = self._study.tune.smaller_budgets(self.whole_budget)
        every = len(self._study.variants)
        return [*(b for b in smaller if len(self.choices(1, b)) == every), self.whole_budget]

    def study_at(self, budget: int) -> Study | None:
        """Return the study of the variants at the first search's choices; None if a variant has none."""
        choices = self.choices(1, budget)
        if len(choices) < len(self._study.variants):
            return None
        return tuned_study(self._study, {name: choice.values for name, choice in choices.items()})

    @cached_property
    def comparisons(self) -> dict[int, Opened]:
        """The runs of the tuned variants, by budget; empty until the tuned variants are trained."""
        run = self._opened(tuned_folder(self._run.folder))
        final = self.study_at(self.whole_budget) if run and len(self.searches) == len(SEARCHES) else None
        if not run or not final or not same_plan(final, run.study):
            return {}
        digest = run.trials[0].dataset_digest
        smaller = {budget: self.study_at(budget) for budget in self.budgets[:-1]}
        at = {budget: run.with_study(study, digest) for budget, study in smaller.items() if study}
        return at | {self.whole_budget: run}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per variant and budget; see `tuned_table`."""
        given = {AS_GIVEN: self._run, **self.comparisons}
        choices = {b: {s: self.choices(s, b) for s in SEARCHES} for b in self.comparisons}
        compared = {b: Compared(run.results, run.baseline_comparisons) for b, run in given.items()}
        return tuned_table(self._study, self.proposals, choices, compared if self._study.tune else {})
