"""The commands that train trials, or bring them together: run, merge and search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablation.cli.endings import exit_1_unless, has_completed, interruptible, seeds_of
from ablation.cli.json_output import DryRunJsonOption, print_json, require_dry_run
from ablation.cli.options import (
    AddressOption,
    DataOption,
    DatasetOption,
    EngineOption,
    ExecutorOption,
    FoldOverOption,
    GridArgument,
    GridOption,
    LiveOption,
    MaxSeedsOption,
    OnlyOption,
    PrecisionOption,
    RunFolderOption,
    SeedsOption,
    SetOption,
    ShardOption,
    TensorBoardOption,
    UntilResolvedOption,
    WorkersOption,
    grid_of,
    require_both,
)
from ablation.cli.verbosity import (
    QuietOption,
    VerboseOption,
    observed,
    print_decisions,
    print_report_path,
    require_one,
)

if TYPE_CHECKING:
    from ablation.grid.overrides import Override
    from ablation.grid.study import Study
    from ablation.results.run import Run


def run(
    file: GridArgument = None,
    grid: GridOption = None,
    settings: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")] = False,
    dataset: DatasetOption = None,
    data_dir: DataOption = None,
    out: RunFolderOption = None,
    workers: WorkersOption = None,
    seeds: SeedsOption = None,
    precision: PrecisionOption = None,
    only: OnlyOption = None,
    executor: ExecutorOption = "local",
    engine: EngineOption = None,
    address: AddressOption = None,
    shard: ShardOption = "1/1",
    until_resolved: UntilResolvedOption = False,
    max_seeds: MaxSeedsOption = None,
    fold_over: FoldOverOption = False,
    tensorboard: TensorBoardOption = False,
    live: LiveOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: DryRunJsonOption = False,
) -> None:
    """Train the trials of a grid file that are not finished yet; then write tables, figures and report."""
    from ablation.executors.make import require_executor
    from ablation.executors.shard import Shard
    from ablation.grid.overrides import parse_overrides
    from ablation.grid.setting_place import located

    grid, overrides = grid_of(file, grid), parse_overrides(settings or ())
    require_one(quiet, verbose)
    require_both(until_resolved, max_seeds)
    require_executor(executor, address)
    require_dry_run(as_json, dry_run)
    part = Shard.parse(shard)
    study = _read(grid, overrides, dataset, data_dir, seeds, engine, precision)
    options: dict[str, Any] = {
        "only": only or (), "workers": workers, "shard": part, "max_seeds": max_seeds, "fold_over": fold_over,
    }  # fmt: skip
    if dry_run:
        with located(grid, overrides):
            _show_plan(study, out, options, as_json)
        return
    if not quiet:
        _print_before(study, executor)
    if verbose:
        print_decisions(study, executor, workers, address)
    from ablation.tuning.run import run_and_tune

    options |= {"executor": executor, "address": address, "tensorboard": tensorboard, "live": live}
    with located(grid, overrides), interruptible(), observed(quiet, verbose) as observer:
        finished = run_and_tune(study, out, observer=observer, **options)
    print_report_path(finished.folder) if quiet else _print_after(finished, fold_over)
    exit_1_unless(has_completed(finished, only, part))


def _read(
    grid: Path,
    overrides: Sequence[Override],
    dataset: str | None,
    data_dir: Path | None,
    seeds: str | None,
    engine: str | None,
    precision: str | None,
) -> Study:
    from ablation.grid.grid_file import read_study

    study = read_study(grid, not (dataset or data_dir), overrides)
    return study.with_overrides(dataset, data_dir, seeds_of(seeds), engine, precision)


def _show_plan(study: Study, out: Path | None, options: dict[str, Any], as_json: bool) -> None:
    from ablation.tuning.plan import plan_run

    plan = plan_run(study, out, **options)
    if as_json:
        from ablation.workflow.records import dry_run_record

        print_json(dry_run_record(plan))
        return
    from ablation.cli.terminal import print_plan

    print_plan(plan)


def _print_before(study: Study, executor: str) -> None:
    from ablation.cli.console_design import print_design
    from ablation.cli.terminal import print_engine

    print_engine(study, executor)
    print_design(study)


def _print_after(finished: Run, is_fold_asked: bool) -> None:
    from ablation.cli.console_design import print_fold_over
    from ablation.cli.console_tuning import print_tuning
    from ablation.cli.terminal import print_results

    print_results(finished)
    print_fold_over(finished, is_fold_asked)
    print_tuning(finished)


def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders of one study.")],
    out: Annotated[Path, typer.Option(help="The folder to merge them into: a new one or a run folder.")],
) -> None:
    """Merge the run folders of machines that share no folder; only their seeds may differ."""
    from ablation.analysis.completed_trials import split_pairs
    from ablation.cli.terminal import print_results
    from ablation.workflow.merge import merge_runs

    merged = merge_runs(runs, out)
    print_results(merged)
    is_whole = not split_pairs(merged.results, merged.study.baseline)
    exit_1_unless(is_whole and bool((merged.results["status"] == "completed").all()))


def search(
    file: GridArgument = None,
    grid: GridOption = None,
    settings: SetOption = None,
    data_dir: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The search's folder; by default experiments/runs/STUDY-search.")
    ] = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    then_ablate: Annotated[
        bool, typer.Option("--then-ablate", help="Then ablate the winner, one change at a time.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Search for the best settings, and confirm them with fresh seeds against the baseline."""
    from ablation.cli.console_search import print_search
    from ablation.grid.overrides import parse_overrides
    from ablation.grid.setting_place import located
    from ablation.search.run import run_search
    from ablation.search.settings import read_search

    require_one(quiet, verbose)
    grid, overrides = grid_of(file, grid), parse_overrides(settings or ())
    planned = read_search(grid, not data_dir, overrides)
    if data_dir:
        study = planned.study.with_overrides(data_dir=data_dir)
        planned = planned.model_copy(update={"study": study})
    if verbose:
        print_decisions(planned.study, executor, workers, address)
    with located(grid, overrides), interruptible(), observed(quiet, verbose) as observer:
        finished = run_search(
            planned,
            out,
            workers=workers,
            executor=executor,
            address=address,
            observer=observer,
            then_ablate=then_ablate,
        )
    if quiet:
        print_report_path(finished.folder)
    else:
        print_search(finished)
    exit_1_unless(bool((finished.confirmed.results["status"] == "completed").all()))
