"""A search, from its proposals to its confirmation, and what came of it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation.comparison import CompareSettings
from ablation.datasets import prepare_dataset
from ablation.errors import RunError, writing
from ablation.executors import make_executor
from ablation.grid import Study, Variant
from ablation.lock import locked
from ablation.run import Run
from ablation.search.ablate import ablation_study
from ablation.search.proposal import Proposal
from ablation.search.settings import Search
from ablation.search.tables import confirmation_table, importance_table, search_table
from ablation.store import RUNS, SEARCH, Store
from ablation.study import Observer, Silent, run_study, train_round
from ablation.trial import slug

if TYPE_CHECKING:
    import pandas as pd


class SearchRun:
    """A search's folder: its trials in ``search/``, the confirmation in ``confirmation/``, both run folders.

    Args:
        folder: As `run_search` made it.

    Raises:
        RunError: The folder is no search's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            record = json.loads((self.folder / SEARCH).read_text("utf-8"))
            self.search = Search.model_validate_json(json.dumps(record["search"]), strict=True)
            self.proposals = [Proposal.model_validate(p) for p in record["proposals"]]
        except FileNotFoundError:
            raise RunError(f"{self.folder} is not a search's folder: it has no {SEARCH}.") from None
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{self.folder / SEARCH} is damaged; search again to restore it.") from None

    @cached_property
    def explored(self) -> Run:
        """The trials of the search: each proposal, and the baseline, with each seed; no test set was read."""
        return Run(self.folder / "search")

    @cached_property
    def confirmed(self) -> Run:
        """The best settings and the baseline, with seeds that the search never saw.

        Raises:
            RunError: The search has not come that far.
        """
        return Run(self.folder / "confirmation")

    @property
    def ablated(self) -> Run | None:
        """The study that takes the winner apart, if there is one."""
        folder = self.folder / "ablation"
        return Run(folder) if (folder / "study.json").is_file() else None

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a proposal: its settings, its objective over the seeds, and its rank."""
        return search_table(self.search, self.proposals, self.explored)

    @cached_property
    def importance(self) -> pd.DataFrame:
        """A row a parameter: how much of the objective it explains."""
        return importance_table(self.search, self.table)

    @cached_property
    def confirmation(self) -> pd.DataFrame:
        """A row a confirmed setting: the search's score, the confirmed one, the optimism, the verdict."""
        return confirmation_table(self.search, self.table, self.confirmed)

    def write_report(self) -> Path:
        """Write tables, figures and ``report.html``; return the latter's path."""
        from ablation.search.report import write_search_report

        return write_search_report(self)


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

    Every proposal is a variant of a study, trained with the search's seeds by the same executor into the
    same kind of store; the test set is not read. What is finished is never trained again: the oracle is
    asked anew, makes the same proposals, and hears the same scores.

    Args:
        search: What to search.
        out: The folder, by default ``experiments/runs/<study>-search``.
        workers: Worker processes, by default as many as there are cores.
        executor: ``local``, ``inline`` or ``ray``.
        address: The Ray cluster's address; by default one is started on this machine.
        observer: Is told what happens.
        then_ablate: Take the winner apart, component by component, and say what each is worth.

    Raises:
        AblationError: The dataset, the folder or an option is not usable.
    """
    folder, observer = Path(out or RUNS / f"{slug(search.study.name)}-search"), observer or Silent()
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
        found = SearchRun(folder)
        best = found.table.dropna(subset=["rank"]).nsmallest(search.settings.confirm.best, "rank")
        if best.empty:
            raise RunError(f"{folder}: no proposal was trained with all of its seeds; see its search/logs.")
        run_study(_confirmation(search, found, list(best["trial"])), folder / "confirmation", **options)
        if then_ablate:
            study = ablation_study(found)
            run_study(study, folder / "ablation", **options)
        found.write_report()
    return SearchRun(folder)


def _explore(
    search: Search,
    folder: Path,
    *,
    workers: int | None,
    executor: str,
    address: str | None,
    observer: Observer,
) -> None:
    """Train what the oracle proposes, round by round, until it has nothing more to propose."""
    from ablation.models import quiet_stderr

    with quiet_stderr():  # keras-tuner imports TensorFlow
        from ablation.search.proposer import Proposer

    store = Store(folder / "search")
    dataset = store.prepared_dataset(search.study.dataset) or prepare_dataset(search.study.dataset)
    threads, gpus = search.study.threads, search.study.gpus
    logs = store.folder / "logs"
    runner = make_executor(executor, workers, threads, logs, keep=True, address=address, gpus=gpus)
    proposals: list[Proposal] = []
    with store.locked(), closing(runner), tempfile.TemporaryDirectory() as scratch:
        proposer = Proposer(search, Path(scratch))
        for proposed in proposer.rounds():
            proposals += proposed
            study = _search_study(search, proposals)
            _write_record(search, proposals, folder)
            _carry_on(store, study, proposed, dataset.digest)
            run = train_round(study, store, dataset, runner, observer)
            scores = search_table(search, proposals, run).set_index("trial")["objective"]
            for proposal in proposed:
                score = float(scores[proposal.name])
                proposer.tell(proposal, None if math.isnan(score) else score)
        store.forget_states()
        Run(store.folder).write_tables()


def _search_study(search: Search, proposals: Sequence[Proposal]) -> Study:
    """Return the baseline and all proposals as a study that reads no test set."""
    settings = search.settings
    variants = [search.variant(p.name, p.values, p.epochs) for p in proposals]
    changes = {
        "name": f"{search.study.name} search",
        "variants": (_alone(search.baseline), *variants),
        "factors": {},
        "seeds": settings.seeds,
        "compare": CompareSettings(metric=settings.objective, margin=search.study.compare.margin),
        "reads_test": False,
        "keeps_states": settings.tuner == "hyperband",
        "save_models": False,
    }
    return search.study.model_copy(update=changes)


def _alone(variant: Variant) -> Variant:
    return variant.model_copy(update={"levels": {}, "crossed": False})


def _carry_on(store: Store, study: Study, proposed: Sequence[Proposal], digest: str) -> None:
    """Let longer trainings begin where the shorter ones of the same settings ended."""
    trials = {(trial.variant, trial.seed): trial for trial in study.trials(digest)}
    for proposal in proposed:
        if proposal.goes_on_from:
            for seed in study.seeds:
                store.go_on_from(trials[proposal.goes_on_from, seed], trials[proposal.name, seed])


def _confirmation(search: Search, found: SearchRun, names: Sequence[str]) -> Study:
    """Return the best proposals and the baseline with seeds that the search has not seen."""
    first = max(search.settings.seeds) + 1
    seeds = tuple(range(first, first + search.settings.confirm.seeds))
    variants = [v for v in found.explored.study.variants if v.name in names]
    ordered = sorted(variants, key=lambda variant: names.index(variant.name))
    changes = {
        "name": f"{search.study.name} confirmation",
        "question": f"Do the best settings found hold with fresh seeds, against {search.baseline.name}?",
        "variants": (_alone(search.baseline), *(_alone(variant) for variant in ordered)),
        "factors": {},
        "seeds": seeds,
        "further_seeds": {},
    }
    return search.study.model_copy(update=changes)


def _write_record(search: Search, proposals: Sequence[Proposal], folder: Path) -> None:
    record = {
        "search": search.model_dump(mode="json"),
        "proposals": [proposal.model_dump(mode="json") for proposal in proposals],
    }
    partial = folder / f".{SEARCH}.partial"
    with writing(folder):
        partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(folder / SEARCH)
