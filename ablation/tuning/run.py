"""A study as given, and then with every variant at its own best settings, in one function."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ablation.errors import GridError, RunError, writing
from ablation.executors.contract import Executor
from ablation.executors.make import make_executor
from ablation.executors.shard import WHOLE, Shard
from ablation.export.tables import write_tables
from ablation.grid.study import Study
from ablation.grid.tuning import SEARCHES, SEEDS_BELOW
from ablation.report.write import write_report
from ablation.results.run import Run
from ablation.results.tuning import search_folder, tuned_folder
from ablation.search.proposer import require_tuner
from ablation.store.plain_files import require_plain_files
from ablation.store.run_folder import Store
from ablation.tuning.search import explore
from ablation.workflow.observers import NullObserver, Observer
from ablation.workflow.pending import pending_tasks
from ablation.workflow.place import store_of
from ablation.workflow.run_study import run_study, train_round


def run_and_tune(
    study: Study,
    out: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    shard: Shard = WHOLE,
    observer: Observer | None = None,
    max_seeds: int | None = None,
    tensorboard: bool = False,
    fold_over: bool = False,
    live: bool = False,
) -> Run:
    """Run a study as given; if it has ``tune``, tune every variant, and compare the variants tuned, too.

    Two searches with the same budget, but other seeds, look for the best settings of every variant on the
    validation images. The choice of the first is trained with seeds that nothing else has used, and compared
    as the study declares; the second shows how certain the choice is. The test set is read only in the two
    comparisons. What is finished is never trained again.

    Only a whole run is tuned: with ``only`` or a ``shard``, tuning is left to a later run without them.

    Arguments, result and errors are those of `ablation.workflow.run_study.run_study`. In addition:

    Raises:
        GridError: A seed is one of those that tuning uses itself.
        RunError: No proposal for a variant was trained with all of its seeds, or the tuner needs a package
            that is not installed.
    """
    refuse_reserved_seeds(study)
    if study.tune and not only and shard.is_whole:
        require_tuner(study.tune.tuner)
    options: dict[str, Any] = {"workers": workers, "executor": executor, "address": address}
    observer = observer or NullObserver()
    if study.tune:
        _forget_damaged_records(store_of(study, out).folder)
    run = run_study(
        study, out, only=only, shard=shard, observer=observer, max_seeds=max_seeds, tensorboard=tensorboard,
        fold_over=fold_over, live=live, **options,
    )  # fmt: skip
    if not study.tune or only or not shard.is_whole:
        return run
    logs = tuned_folder(run.folder) / "logs"
    runner = make_executor(
        executor, workers, study.threads, logs, True, address, gpus=study.gpus, engine=study.engine
    )
    with closing(runner):
        for search in SEARCHES:
            explore(run, search, runner, observer)
        _train_smaller_budgets(run, runner, observer)
    final = _declared(run)
    run_study(final, tuned_folder(run.folder), observer=observer, max_seeds=max_seeds, **options)
    return _reported(run)


def _forget_damaged_records(run_folder: Path) -> None:
    """Remove damaged records of what was searched and compared: the tuning writes them again."""
    for folder in (tuned_folder(run_folder), *(search_folder(run_folder, search) for search in SEARCHES)):
        require_plain_files(folder)
        store = Store(folder)
        try:
            store.study()
        except RunError:
            with writing(folder):
                store.study_file.unlink(missing_ok=True)


def refuse_reserved_seeds(study: Study) -> None:
    """Refuse seeds that the searches or the tuned variants use; those of a grid file are checked elsewhere.

    Raises:
        GridError: The study is tuned, and has such a seed.
    """
    if study.tune and max(study.seeds) >= SEEDS_BELOW:
        raise GridError(
            f"--seeds: tuning needs seeds below {SEEDS_BELOW:,}; searches and tuned variants use those above."
        )


def _train_smaller_budgets(run: Run, runner: Executor, observer: Observer) -> None:
    """Train what the first search had chosen at smaller budgets; the same choice is trained once."""
    store, tuning = Store(tuned_folder(run.folder)), Run(run.folder).tuning
    with store.locked():
        for budget in tuning.budgets[:-1]:
            study = tuning.study_at(budget)
            assert study
            digest = run.dataset.digest
            results = {t.id: r for t in study.trials(digest) if (r := store.result(t))}
            names = {variant.name for variant in study.variants}
            if pending_tasks(study, run.dataset, store, results, names):
                train_round(study, store, run.dataset, runner, observer)


def _declared(run: Run) -> Study:
    """Return the study of the tuned variants, recorded as declared, for it follows from what was declared."""
    tuning = Run(run.folder).tuning
    final = tuning.study_at(tuning.whole_budget)
    assert final
    Store(tuned_folder(run.folder)).declare((final, run.dataset.digest))
    return final


def _reported(run: Run) -> Run:
    """Write tables and report of the run again, unless they have been written since the tuned ones."""
    run.refresh()
    written, tuned = run.folder / "report.html", tuned_folder(run.folder) / "report.html"
    if written.stat().st_mtime_ns < tuned.stat().st_mtime_ns:
        with run.store.locked():
            write_tables(run)
            write_report(run)
    return run
