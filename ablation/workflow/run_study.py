"""The whole pipeline from a study to its report, in one function."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

from ablation.data.datasets import Dataset, prepare_dataset
from ablation.data.readers import reader_provenance
from ablation.errors import GridError, did_you_mean
from ablation.executors.contract import Executor, Task
from ablation.executors.engine import choose_engine
from ablation.executors.inline import InlineExecutor
from ablation.executors.local import LocalExecutor
from ablation.executors.make import make_executor
from ablation.executors.processor_speed import PROVENANCE_KEY, processor_speed
from ablation.executors.shard import WHOLE, Shard
from ablation.export.tables import write_tables
from ablation.export.tensorboard import TensorBoard
from ablation.grid.study import Study
from ablation.report.write import write_report
from ablation.results.derived import are_derived
from ablation.results.run import Run
from ablation.store.run_folder import Store
from ablation.training.provenance import code_provenance
from ablation.workflow.ablated_models import announce, keep_layers
from ablation.workflow.environment import environment_notes
from ablation.workflow.fold_over import fold_over as with_fold_over
from ablation.workflow.fold_over import require_fraction, with_earlier_fold
from ablation.workflow.live import LivePage, ProgressRecorder
from ablation.workflow.observers import NullObserver, Observer, Observers
from ablation.workflow.pending import pending_tasks
from ablation.workflow.place import place_notes, store_of
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
    fold_over: bool = False,
    tensorboard: bool = False,
    live: bool = False,
) -> Run:
    """Train what is not finished, write the tables, draw the figures and write the report.

    Args:
        study: The study to run.
        out: The run folder; by default ``experiments/runs/<study>``.
        only: The variants to train now; by default all of them.
        workers: The number of trials at a time; by default as many as there are cores.
        executor: ``local`` (worker processes), ``inline`` (this process), ``ray`` or a plug-in's name.
        address: The address of the Ray cluster; by default a cluster is started on this machine.
        shard: The part of the trials to train here; the shard that ends last writes the report.
        observer: Its methods are called as the run goes on.
        max_seeds: If given, seeds are added up to this number while a verdict is open. Seeds that an earlier
            run of the same grid added are kept. With added seeds, intervals are anytime-valid.
        fold_over: Whether to fold a fractional design over, once its trials are done, if a verdict is open
            between aliased interactions. A later run of the same grid keeps the variants that are added.
        tensorboard: Whether to write all trials for TensorBoard, too, to ``tensorboard/`` in the run folder.
        live: Whether to write ``live.html``, a page that follows the run; see `ablation.workflow.live`.

    Returns:
        The run, whether or not its trials completed; ``run.results["status"]`` has the status of each.

    Raises:
        AblationError: The dataset, the folder or an option cannot be used; nothing was started.
    """
    store = store_of(study, out)
    study, chosen = study_to_run(study, store, only, shard, max_seeds, fold_over)
    observer = _observers(store, shard, observer, tensorboard)
    dataset = _dataset(store, study, shard)
    runner = _runner(study, store, shard, executor, workers, address)
    require_fit(study, dataset)
    _announce(study, dataset, store, observer)
    page = LivePage(store.folder, shard.name, observer) if live else nullcontext()
    with store.locked(shard.name, partial(_open, store, study, dataset)), page:
        run, tasks = _next_round(store, dataset, chosen, shard, max_seeds, fold_over)
        observer.planned(run.trials, tasks)
        if not tasks and run.is_reported and are_derived(run):
            return run
        _train_and_tabulate(run, tasks, runner, observer, shard)
        while max_seeds or fold_over:
            run, tasks = _next_round(store, dataset, chosen, shard, max_seeds, fold_over, is_first=False)
            if not tasks:
                break
            observer.planned(run.trials, tasks)
            _train_and_tabulate(run, tasks, runner, observer, shard)
        return _report(run, shard, chosen)


def _observers(store: Store, shard: Shard, observer: Observer | None, tensorboard: bool) -> Observer:
    """Return what is notified of a run: its own record of progress first, then whoever else asks."""
    others = [TensorBoard(store.folder)] if tensorboard else []
    return Observers(ProgressRecorder(store.folder, shard.name), observer or NullObserver(), *others)


def _announce(study: Study, dataset: Dataset, store: Store, observer: Observer) -> None:
    announce(study, dataset, observer)
    _note(place_notes(study, store), observer)


def _note(notes: Sequence[str], observer: Observer) -> None:
    if notes:
        observer.noted(notes)


def _open(store: Store, study: Study, dataset: Dataset, beside: list[str]) -> None:
    store.open(with_earlier_seeds(study, store, dataset.digest), dataset, beside)
    keep_layers(study, dataset, store)


def _runner(
    study: Study, store: Store, shard: Shard, executor: str, workers: int | None, address: str | None
) -> Executor:
    logs = store.folder / "logs" / ("" if shard.is_whole else shard.name)
    return make_executor(
        executor, workers, study.threads, logs, address=address, gpus=study.gpus, engine=study.engine
    )


def study_to_run(
    study: Study, store: Store, only: Sequence[str], shard: Shard, max_seeds: int | None, fold_over: bool
) -> tuple[Study, set[str]]:
    """Return a study with the fold-over that its folder has, and the variants to train.

    Arguments and errors are those of `run_study`.
    """
    if fold_over:
        require_fraction(study, shard, only, max_seeds)
    study = with_earlier_fold(study, store)
    chosen = chosen_variants(study, only)
    if max_seeds:
        study, chosen = until_resolved(study, max_seeds, shard), chosen | {study.baseline}
    return study, chosen


def until_resolved(study: Study, max_seeds: int, shard: Shard) -> Study:
    """Return the study to which seeds are added, with intervals that allow for it.

    Raises:
        GridError: The study has more seeds already, or is run in parts.
    """
    if not shard.is_whole:
        raise GridError(
            "--shard cannot be combined with --until-resolved, which looks at all trials together."
        )
    return with_anytime_intervals(study, max_seeds)


def _next_round(
    store: Store,
    dataset: Dataset,
    chosen: set[str],
    shard: Shard,
    max_seeds: int | None,
    fold_over: bool,
    is_first: bool = True,
) -> tuple[Run, list[Task]]:
    """Return the run and what to train: if nothing is left and a question is open, further trials.

    Only the first round tries failed trials again.
    """
    while True:
        run = Run(store.folder)
        tasks = [t for t in _tasks(run, chosen, shard) if is_first or t.trial.id not in run.trial_results]
        larger = None if tasks else grown(run, chosen, max_seeds, fold_over)
        if larger is None:
            return run, tasks
        if fold_over:
            require_fit(larger, dataset)
        store.open(larger, dataset)


def grown(run: Run, chosen: set[str], max_seeds: int | None, fold_over: bool) -> Study | None:
    """Return the study with the seeds or variants that its open questions need; None if there are none.

    Args:
        run: The run, of which no trial is left to train.
        chosen: The variants to train, to which those of a fold-over are added.
        max_seeds: As in `run_study`.
        fold_over: As in `run_study`.
    """
    further = further_seeds(run, chosen, max_seeds) if max_seeds else {}
    if further:
        return run.study.model_copy(update={"further_seeds": further})
    larger = with_fold_over(run) if fold_over else None
    if larger:
        chosen |= {variant.name for variant in larger.variants}
    return larger


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


def _dataset(store: Store, study: Study, shard: Shard) -> Dataset:
    """Return the study's images and prepare them if necessary; shards do so one after the other."""
    with nullcontext() if shard.is_whole else store.exclusive():
        asked = study.dataset, study.vary
        return store.prepared_dataset(*asked) or prepare_dataset(*asked)


def _report(run: Run, shard: Shard, chosen: set[str]) -> Run:
    """Write the report; a shard does so, with tables, if no trial of the chosen variants is pending."""
    if shard.is_whole:
        write_report(run)
        return run
    with run.store.exclusive():
        run = Run(run.folder)
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
    observer = Observers(ProgressRecorder(store.folder), observer)
    if tasks:
        observer.planned(run.trials, tasks)
        _train(run, tasks, runner, observer)
    return Run(store.folder)


def _train(run: Run, tasks: Sequence[Task], runner: Executor, observer: Observer) -> None:
    """Run the tasks, and keep each result as soon as it comes."""
    if isinstance(runner, LocalExecutor | InlineExecutor):  # others train on machines that only they know
        engine = choose_engine(run.study.engine).name
        _note(environment_notes(run.trial_results.values(), engine, run.study.threads), observer)
    about = code_provenance(Path.cwd()) | {"dataset": run.dataset.digest}
    about |= reader_provenance(run.study.dataset)
    ended = runner.run(tasks, run.store.dataset_file, run.study.threads, observer.progressed)
    with closing(ended):
        for task, bare in ended:
            speed = None if task.bfloat16_seconds is None else processor_speed()
            measured = {PROVENANCE_KEY: f"{speed.bfloat16_share}"} if speed else {}
            result = bare.model_copy(update={"provenance": bare.provenance | about | measured})
            run.store.commit(task.trial, result)
            observer.finished(task.trial, result)


def _tasks(run: Run, chosen: set[str], shard: Shard = WHOLE) -> list[Task]:
    """Return the `pending_tasks` of a run, with a folder for each in which it starts."""
    tasks = pending_tasks(run.study, run.dataset, run.store, run.trial_results, chosen, shard)
    for task in tasks:
        run.store.scratch(task.trial)
        if task.continues:
            run.store.copy_checkpoint(task.continues, task.trial)
    return tasks


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
