"""The two searches that tune the variants: settings are proposed for all variants side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from ablation.analysis.completed_trials import completed_results
from ablation.data.datasets import Dataset
from ablation.errors import RunError
from ablation.executors.contract import Executor
from ablation.files import json_text
from ablation.grid.study import Study, Variant
from ablation.grid.tuning import TunedProposal, proposals_of, same_plan, search_study, space_of
from ablation.results.run import Run
from ablation.results.tuning import search_folder
from ablation.search.proposal import Proposal, Proposer
from ablation.search.proposer import make_proposer
from ablation.search.settings import Search, SearchSettings
from ablation.store.run_folder import Store
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.observers import Observer
from ablation.workflow.pending import pending_tasks
from ablation.workflow.run_study import train_round

_WHOLE = "searched.json"  # what a search that came to its end was asked
_APART = (
    1_000_000  # an oracle adds 1 to its seed for each proposal, so that neighbouring seeds propose the same
)


def search_of(study: Study, variant: Variant, search: int) -> Search:
    """Return the search for the best settings of one variant.

    The oracles of all variants have the same seed. As far as proposals do not depend on scores, every variant
    is tried with the same settings.

    Args:
        study: The study that is tuned.
        variant: The variant.
        search: The number of the search, 1 or 2.
    """
    tune = study.tune
    assert tune
    settings = SearchSettings(
        space=space_of(study, variant),
        objective=tune.objective,
        direction=tune.direction,
        tuner=tune.tuner,
        trials=tune.trials,
        seed=tune.seed + (search - 1) * _APART,
        parallel=tune.parallel,
    )
    return Search(study=study.model_copy(update={"baseline": variant.name}), settings=settings)


def explore(run: Run, search: int, runner: Executor, observer: Observer) -> None:
    """Train what the oracles of all variants propose, round by round, until they propose nothing more.

    What is finished is never trained again: the oracles make the same proposals and receive the same scores.
    A search that has come to its end is not asked again.

    Args:
        run: The run that is tuned.
        search: The number of the search, 1 or 2.
        runner: The executor.
        observer: Its methods are called as the trials run.

    Raises:
        RunError: No proposal of a variant was trained with all of its seeds.
    """
    study, store = run.study, Store(search_folder(run.folder, search))
    with store.locked():
        if not _has_ended(study, store, search, run.dataset):
            _propose_and_train(study, store, search, run.dataset, runner, observer)
            store.write(_WHOLE, _question(study, run.dataset))
    tuning = Run(run.folder).tuning
    chosen = tuning.choices(search, tuning.whole_budget)
    if missing := [variant.name for variant in study.variants if variant.name not in chosen]:
        raise RunError(
            f"{store.folder}: no proposal for '{missing[0]}' was trained with all of its seeds, so that it "
            f"has no tuned settings. `ablation status {store.folder}` says why."
        )


def _propose_and_train(
    study: Study, store: Store, search: int, dataset: Dataset, runner: Executor, observer: Observer
) -> None:
    proposals: list[TunedProposal] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with quiet_stderr():  # keras-tuner imports TensorFlow
            proposers = {
                variant.name: make_proposer(search_of(study, variant, search), scratch / f"{place}")
                for place, variant in enumerate(study.variants)
            }
        for proposed in _rounds(proposers):
            proposals += [TunedProposal(name, proposal.values) for name, proposal in proposed]
            asked = search_study(study, search, proposals)
            scores = _scores(study, train_round(asked, store, dataset, runner, observer))
            new = asked.variants[-len(proposed) :]
            for (name, proposal), variant in zip(proposed, new, strict=True):
                proposers[name].tell(proposal, scores.get(variant.name))


def _rounds(proposers: dict[str, Proposer]) -> Iterator[list[tuple[str, Proposal]]]:
    """Yield what the oracles propose in a round, with the names of the variants, until none proposes more."""
    rounds = {name: proposer.rounds() for name, proposer in proposers.items()}
    while proposed := [(name, p) for name, of_variant in rounds.items() for p in next(of_variant, [])]:
        yield proposed


def _scores(study: Study, searched: Run) -> dict[str, float]:
    """Return the mean objective of each proposal; those that are not trained with all seeds have none."""
    assert study.tune
    completed = completed_results(searched.results).groupby("variant")[study.tune.objective]
    whole = completed.count() == len(searched.study.seeds)
    return {str(name): float(value) for name, value in completed.mean()[whole].items()}


def _has_ended(study: Study, store: Store, search: int, dataset: Dataset) -> bool:
    """Return whether a search came to its end before, was asked the same, and has nothing left to train."""
    ended = store.folder / _WHOLE
    is_asked_the_same = ended.is_file() and ended.read_bytes() == _question(study, dataset).encode()
    if not is_asked_the_same or not store.study_file.is_file():
        return False
    searched = Run(store.folder)
    names = {variant.name for variant in searched.study.variants}
    is_known = same_plan(search_study(study, search, proposals_of(searched.study)), searched.study)
    return (
        is_known
        and searched.has_dataset
        and not pending_tasks(searched.study, dataset, store, searched.trial_results, names)
    )


def _question(study: Study, dataset: Dataset) -> str:
    """Return what a search depends on: the space, the budget, the variants as given, and the images."""
    asked = study.model_dump(mode="json", include={"tune", "variants", "threads", "vary"})
    return json_text(asked | {"dataset": dataset.digest})
