"""The whole pipeline from a study to its report, in one function."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import GridError, did_you_mean
from ablation.executors.contract import Executor, Task
from ablation.executors.make import make_executor
from ablation.executors.shard import WHOLE, Shard
from ablation.export.tables import write_tables
from ablation.export.tensorboard import TensorBoard
from ablation.grid.study import Study
from ablation.grid.trial import slug
from ablation.models.cost import guess_seconds
from ablation.report.write import write_report
from ablation.results.run import Run
from ablation.store.lock import active_holders
from ablation.store.run_folder import RUNS, Store
from ablation.training.provenance import code_provenance
from ablation.workflow.observers import NullObserver, Observer, Observers
from ablation.workflow.preflight import require_fit
from ablation.workflow.sequential import further_seeds, with_anytime_intervals, with_earlier_seeds


def run_study(
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
) -> Run:
    """Train what is not finished, write the tables, draw the figures and write the report.

    Args:
        study: The study to run.
        out: The run folder; by default ``experiments/runs/<study>``.
        only: The variants to train now; by default all of them.
        workers: The number of trials at a time; by default as many as there are cores.
        executor: ``local`` (worker processes), ``inline`` (this process) or ``ray`` (a Ray cluster).
        address: The address of the Ray cluster; by default a cluster is started on this machine.
        shard: The part of the trials to train here; the shard that ends last writes the report.
        observer: Its methods are called as the run goes on.
        max_seeds: If given, seeds are added up to this number while a verdict is open, and intervals are
            anytime-valid. Without it, seeds that an earlier run of the same grid added are kept, with such
            intervals.
        tensorboard: Whether to write all trials for TensorBoard, too, to ``tensorboard/`` in the run folder.

    Returns:
        The run, whether or not its trials completed; ``run.results["status"]`` has the status of each.

    Raises:
        AblationError: The dataset, the folder or an option cannot be used; nothing was started.
    """
    chosen = chosen_variants(study, only)
    if max_seeds:
        study, chosen = _until_resolved(study, max_seeds, shard), chosen | {study.baseline}
    store = Store(out or RUNS / slug(study.name))
    observer = observer or NullObserver()
    observer = Observers(observer, TensorBoard(store.folder)) if tensorboard else observer
    dataset = _dataset(store, study, shard)
    require_fit(study, dataset)
    logs = store.folder / "logs" / ("" if shard.is_whole else shard.name)
    runner = make_executor(executor, workers, study.threads, logs, address=address, gpus=study.gpus)
    with store.locked(shard.name):
        if not max_seeds:
            study = with_earlier_seeds(study, store, dataset.digest)
        while True:
            run = _opened(store, study, dataset, shard)
            tasks = _tasks(run, chosen, shard)
            observer.planned(run.trials, tasks)
            if not tasks and run.is_reported:
                return run
            _train_and_tabulate(run, tasks, runner, observer, shard)
            further = further_seeds(run, chosen, max_seeds) if max_seeds else {}
            if not further:
                break
            study = study.model_copy(update={"further_seeds": further})
        return _reported(run) if shard.is_whole else _report_of_last_shard(store, chosen)


def _until_resolved(study: Study, max_seeds: int, shard: Shard) -> Study:
    if not shard.is_whole:
        raise GridError(
            "--shard cannot be combined with --until-resolved, which looks at all trials together."
        )
    return with_anytime_intervals(study, max_seeds)


def _opened(store: Store, study: Study, dataset: Dataset, shard: Shard) -> Run:
    """Make the folder ready for the study, beside other shards that are running; return its run."""
    with store.exclusive():
        store.open(study, dataset, beside=active_holders(store.folder, shard.name))
    return Run(store.folder)


def _train_and_tabulate(
    run: Run, tasks: Sequence[Task], runner: Executor, observer: Observer, shard: Shard
) -> None:
    """Train, and write tables of what is finished, whatever happens.

    A shard writes no tables here, because other shards may be running.
    """
    try:
        _train(run, tasks, runner, observer)
    finally:
        if shard.is_whole:
            write_tables(run)


def _reported(run: Run) -> Run:
    write_report(run)
    return run


def _dataset(store: Store, study: Study, shard: Shard) -> Dataset:
    """Return the study's images and prepare them if necessary; shards do so one after the other."""
    with nullcontext() if shard.is_whole else store.exclusive():
        asked = study.dataset, study.vary
        return store.prepared_dataset(*asked) or prepare_dataset(*asked)


def _report_of_last_shard(store: Store, chosen: set[str]) -> Run:
    """Write tables, figures and report if no trial of the chosen variants is pending."""
    with store.exclusive():
        run = Run(store.folder)
        if all(trial.id in run.trial_results for trial in run.trials if trial.variant in chosen):
            write_tables(run)
            write_report(run)
    return run


def train_round(study: Study, store: Store, dataset: Dataset, runner: Executor, observer: Observer) -> Run:
    """Train what is not finished of a study that is still gaining variants.

    Args:
        study: The study with all of its variants so far.
        store: The run folder, which the caller has locked.
        dataset: The images of the study.
        runner: The executor.
        observer: Its methods are called as the trials run.

    Returns:
        The run with the new results.
    """
    require_fit(study, dataset)
    store.open(study, dataset)
    run = Run(store.folder)
    tasks = _tasks(run, {variant.name for variant in study.variants})
    if tasks:
        observer.planned(run.trials, tasks)
        _train(run, tasks, runner, observer)
    return Run(store.folder)


def _train(run: Run, tasks: Sequence[Task], runner: Executor, observer: Observer) -> None:
    """Run the tasks, and keep each result as soon as it comes."""
    about = code_provenance(Path.cwd()) | {"dataset": run.dataset.digest}
    ended = runner.run(tasks, run.store.dataset_file, run.study.threads, observer.progressed)
    with closing(ended):
        for task, bare in ended:
            result = bare.model_copy(update={"provenance": bare.provenance | about})
            run.store.commit(task.trial, result)
            observer.finished(task.trial, result)


def _tasks(run: Run, chosen: set[str], shard: Shard = WHOLE) -> list[Task]:
    """Return a task for each trial of the shard and the chosen variants that is not finished."""
    study, store = run.study, run.store
    return [
        Task(
            trial,
            store.scratch(trial),
            study.save_models,
            guess_seconds(trial.model, trial.training, run.dataset),
            study.timeout,
        )
        for trial in shard.take(run.trials, run.dataset)
        if trial.variant in chosen
        and not store.is_finished(trial, run.trial_results.get(trial.id), study.save_models)
    ]


def chosen_variants(study: Study, only: Sequence[str]) -> set[str]:
    """Return the names in ``only``, or those of all variants if it is empty.

    Raises:
        GridError: No variant has one of the names.
    """
    names = {variant.name for variant in study.variants}
    for name in only:
        if name not in names:
            raise GridError(f"--only: no variant is named '{name}'.{did_you_mean(name, names)}")
    return set(only) or names
