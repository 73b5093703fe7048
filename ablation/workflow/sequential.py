"""Further seeds for the variants whose questions are open."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count as count_from
from itertools import islice

import pandas as pd

from ablation.analysis.questions import study_questions
from ablation.errors import GridError, RunError
from ablation.grid.study import Study
from ablation.grid.trial import content_of
from ablation.grid.value_text import counted
from ablation.results.run import Run
from ablation.store.run_folder import Store

_GROWTH = 4  # each round adds a quarter of the seeds: few rounds, and few seeds more than needed


def with_anytime_intervals(study: Study, max_seeds: int) -> Study:
    """Return the study with anytime-valid intervals, which hold however often seeds are added.

    Raises:
        GridError: The study has more than ``max_seeds`` seeds already.
    """
    if max_seeds < len(study.seeds):
        raise GridError(
            f"--max-seeds: the study has {counted(len(study.seeds), 'seed')} already, more than {max_seeds}."
        )
    return _anytime_valid(study)


def _anytime_valid(study: Study) -> Study:
    return study.model_copy(update={"compare": study.compare.model_copy(update={"looks": "any"})})


def with_earlier_seeds(study: Study, store: Store, digest: str) -> Study:
    """Return the study with the further seeds that its folder has, and with anytime-valid intervals if any.

    Results decided how many further seeds there are, so a run must neither drop them nor judge as if their
    number had been fixed beforehand. A variant keeps them, under a new name, too, if its other trials are
    still planned: otherwise its settings, its images or its seeds are no longer those whose results were
    looked at.

    Args:
        study: The study as its grid declares it.
        store: Its run folder, which need not exist yet.
        digest: The digest of its dataset.
    """
    try:
        earlier, earlier_digest = store.study()
    except RunError:
        return study
    planned = {content_of(trial.id): trial.variant for trial in study.trials(digest)}
    names: dict[str, set[str | None]] = {}
    for trial in earlier.trials(earlier_digest):
        if trial.seed in earlier.seeds:
            names.setdefault(trial.variant, set()).add(planned.get(content_of(trial.id)))
    kept = {
        name: added
        for former, seeds in earlier.further_seeds.items()
        if len(names[former]) == 1 and (name := names[former].pop())
        if (added := tuple(seed for seed in seeds if seed not in study.seeds))
    }
    if not kept:
        return study
    return _anytime_valid(study).model_copy(update={"further_seeds": kept})


def further_seeds(run: Run, chosen: Collection[str], max_seeds: int) -> dict[str, tuple[int, ...]]:
    """Return what `Study.further_seeds` should be next; empty if there is nothing more to train.

    The variants that an open question needs get a quarter more seeds, at most ``max_seeds`` in all; one whose
    questions all have a verdict keeps what it has.
    """
    study = run.study
    counts = {name: len(study.seeds_of(name)) for name in _open_variants(run, chosen)}
    grown = {name: max(count, min(max_seeds, _next(count))) for name, count in counts.items()}
    if all(n == len(study.seeds_of(name)) for name, n in grown.items()):
        return {}
    most = max(grown.values())
    if study.baseline in grown:  # the partner of most comparisons, whose pairs it must not limit
        grown[study.baseline] = max(most, len(study.seeds_of(study.baseline)))
    added = tuple(islice(count_from(max(study.seeds) + 1), most - len(study.seeds)))
    return study.further_seeds | {name: added[: n - len(study.seeds)] for name, n in grown.items()}


def _open_variants(run: Run, chosen: Collection[str]) -> list[str]:
    """Return the variants of the declared questions without a verdict, in the order of the study.

    A question counts if one of the chosen variants is among its variants, other than the baseline.
    """
    answers = pd.concat([run.comparisons, run.effects])
    open_ = answers["declared"].astype(bool) & answers["verdict"].isin(["", "unresolved"])
    needed: set[str] = set()
    for question, is_open in zip(study_questions(run.study, run.compare), open_, strict=True):
        if is_open and set(question.weights) & (set(chosen) - {run.study.baseline}):
            needed |= set(question.weights)
    return [variant.name for variant in run.study.variants if variant.name in needed]


def _next(seeds: int) -> int:
    return seeds + max(1, seeds // _GROWTH)
