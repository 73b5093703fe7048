"""Running a search, from its proposals to its confirmation and its report."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ablation.data.datasets import prepare_dataset
from ablation.errors import RunError, writing
from ablation.executors.make import make_executor
from ablation.export.tables import write_tables
from ablation.files import write_atomically
from ablation.grid.study import Study, Variant
from ablation.results.run import Run
from ablation.search.ablate import ablation_study
from ablation.search.proposal import Proposal
from ablation.search.proposer import make_proposer, require_tuner
from ablation.search.report import write_search_report
from ablation.search.results import SearchRun
from ablation.search.settings import Search
from ablation.search.tables import search_table
from ablation.store.checked_record import checked_text
from ablation.store.lock import locked
from ablation.store.restoring import SEARCH
from ablation.store.run_folder import Store
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.observers import NullObserver, Observer
from ablation.workflow.place import folder_of_search
from ablation.workflow.run_study import run_study, train_round


def run_search(
    search: Search,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    observer: Observer | None = None,
    then_ablate: bool = False,
) -> SearchRun:
    """Search, confirm the best settings with fresh seeds, and write the report.

    Every proposal is a variant of a study, which is trained with the seeds of the search by the same kind of
    executor and into the same kind of store; the test set is not read. What is finished is never trained
    again: when the search is run again, the same proposals are made, and they receive the same scores.

    Args:
        search: The search to run.
        out: The folder; by default ``experiments/runs/<study>-search``.
        workers: The number of trials at a time; by default as many as there are cores.
        executor: ``local``, ``inline`` or ``ray``.
        address: The address of the Ray cluster; by default a cluster is started on this machine.
        observer: Its methods are called as the search goes on.
        then_ablate: Whether to take the winner apart, in a study of what each of its changes contributes.

    Returns:
        The search with its results.

    Raises:
        AblationError: The dataset, the folder or an option cannot be used, a package is missing, or no
            proposal completed.
    """
    require_tuner(search.settings.tuner)
    folder, observer = folder_of_search(search.study, out), observer or NullObserver()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "workers": workers,
        "executor": executor,
        "address": address,
        "observer": observer,
    }
    with locked(folder):
        _explore(search, folder, **options)
        searched = SearchRun(folder)
        best = searched.table.dropna(subset=["rank"]).nsmallest(search.settings.confirm.best, "rank")
        if best.empty:
            raise RunError(f"{folder}: {_why_none(search, searched)}")
        run_study(_confirmation(search, searched, list(best["trial"])), folder / "confirmation", **options)
        write_search_report(searched)
        if then_ablate:
            run_study(ablation_study(searched), folder / "ablation", **options)
            write_search_report(searched)
    return SearchRun(folder)


def _why_none(search: Search, searched: SearchRun) -> str:
    """Say why no proposal has a rank."""
    epochs = search.baseline.training.epochs
    if search.settings.tuner == "hyperband" and searched.table["epochs"].max() < epochs:
        return (
            f"hyperband trained no proposal for all {epochs} epochs, because the space has too few different "
            "settings to fill a rung. Use `tuner: grid`, which tries all of them."
        )
    return "no proposal was trained with all of its seeds; see the logs in its subfolder search/logs."


def _explore(
    search: Search,
    folder: Path,
    *,
    workers: int | None,
    executor: str,
    address: str | None,
    observer: Observer,
) -> None:
    """Train what is proposed, round by round, until nothing more is proposed."""
    store = Store(folder / "search")
    asked = search.study.dataset, search.study.vary
    dataset = store.prepared_dataset(*asked) or prepare_dataset(*asked)
    study, logs = search.study, store.folder / "logs"
    runner = make_executor(
        executor, workers, study.threads, logs, True, address, gpus=study.gpus, engine=study.engine
    )
    proposals: list[Proposal] = []
    with store.locked(), closing(runner), tempfile.TemporaryDirectory() as scratch:
        with quiet_stderr():  # keras-tuner imports TensorFlow
            proposer = make_proposer(search, Path(scratch))
        for proposed in proposer.rounds():
            proposals += proposed
            search = search.with_space(proposer.space)
            study = _search_study(search, proposals)
            _write_record(search, proposals, folder)
            _carry_on(store, study, proposed, dataset.digest)
            run = train_round(study, store, dataset, runner, observer)
            scores = search_table(search, proposals, run).set_index("trial")["objective"]
            for proposal in proposed:
                score = float(scores[proposal.name])
                proposer.tell(proposal, None if math.isnan(score) else score)
        _write_record(search, _with_pruned(search, proposals, Run(store.folder)), folder)
        store.forget_states()
        write_tables(Run(store.folder))


def _search_study(search: Search, proposals: Sequence[Proposal]) -> Study:
    """Return the baseline and all proposals as a study that does not read the test set."""
    settings = search.settings
    variants = [search.variant(p.name, p.values, p.epochs) for p in proposals]
    changes = {
        "name": f"{search.study.name} search",
        "variants": (_alone(search.baseline), *variants),
        "factors": {},
        "seeds": settings.seeds,
        "compare": settings.judged,
        "reads_test": False,
        "keeps_states": settings.has_rungs,
        "save_models": False,
    }
    return search.study.model_copy(update=changes)


def _with_pruned(search: Search, proposals: Sequence[Proposal], run: Run) -> list[Proposal]:
    """Mark the proposals that have a score, but were trained for a part of the epochs and never went on."""
    scores = search_table(search, proposals, run).set_index("trial")["objective"]
    gone_on, epochs = {p.goes_on_from for p in proposals}, search.baseline.training.epochs
    return [
        p.model_copy(update={"pruned": True})
        if p.epochs not in (None, epochs) and p.name not in gone_on and not math.isnan(scores[p.name])
        else p
        for p in proposals
    ]


def _alone(variant: Variant) -> Variant:
    return variant.model_copy(update={"levels": {}, "crossed": False})


def _carry_on(store: Store, study: Study, proposed: Sequence[Proposal], digest: str) -> None:
    """Let longer trainings begin where the shorter ones of the same settings ended."""
    trials = {(trial.variant, trial.seed): trial for trial in study.trials(digest)}
    for proposal in proposed:
        if proposal.goes_on_from:
            for seed in study.seeds:
                store.copy_checkpoint(trials[proposal.goes_on_from, seed].id, trials[proposal.name, seed])


def _confirmation(search: Search, searched: SearchRun, names: Sequence[str]) -> Study:
    """Return the study of the best proposals and the baseline, with seeds that the search has not used."""
    first = max(search.settings.seeds) + 1
    seeds = tuple(range(first, first + search.settings.confirm.seeds))
    variants = [v for v in searched.explored.study.variants if v.name in names]
    ordered = sorted(variants, key=lambda variant: names.index(variant.name))
    changes = {
        "name": f"{search.study.name} confirmation",
        "question": f"Do the best settings found hold with fresh seeds, against {search.baseline.name}?",
        "variants": (_alone(search.baseline), *(_alone(variant) for variant in ordered)),
        "factors": {},
        "compare": search.study.compare.with_the_baseline(),
        "seeds": seeds,
        "further_seeds": {},
    }
    return search.study.model_copy(update=changes)


def _write_record(search: Search, proposals: Sequence[Proposal], folder: Path) -> None:
    record = {
        "search": search.model_dump(mode="json"),
        "proposals": [proposal.model_dump(mode="json") for proposal in proposals],
    }
    with writing(folder):
        write_atomically(folder / SEARCH, checked_text(record))
