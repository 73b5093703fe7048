"""The commands that train trials, or bring them together: run, merge and search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ablation.cli.completion import variants
from ablation.cli.endings import exit_1_unless, has_completed, interruptible, seeds_of
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
    PrecisionOption,
    RunFolderOption,
    SeedsOption,
    SetOption,
    ShardOption,
    WorkersOption,
    grid_of,
    require_both,
)


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
    only: Annotated[
        list[str] | None, typer.Option(help="Train this variant only; repeatable.", autocompletion=variants)
    ] = None,
    executor: ExecutorOption = "local",
    engine: EngineOption = None,
    address: AddressOption = None,
    shard: ShardOption = "1/1",
    until_resolved: Annotated[
        bool, typer.Option("--until-resolved", help="Add seeds to unresolved comparisons; needs --max-seeds.")
    ] = False,
    max_seeds: MaxSeedsOption = None,
    fold_over: FoldOverOption = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard/ while trials train.")
    ] = False,
    live: LiveOption = False,
) -> None:
    """Train the trials of a grid file that are not finished yet; then write tables, figures and report."""
    from ablation.cli.console_design import print_design, print_fold_over
    from ablation.cli.console_tuning import print_tuning
    from ablation.cli.terminal import print_engine, print_plan, print_results
    from ablation.executors.make import require_executor
    from ablation.executors.shard import Shard
    from ablation.grid.grid_file import read_study
    from ablation.grid.overrides import parse_overrides
    from ablation.grid.setting_place import located

    grid, overrides = grid_of(file, grid), parse_overrides(settings or ())
    require_both(until_resolved, max_seeds)
    require_executor(executor, address)
    part = Shard.parse(shard)
    read = read_study(grid, not (dataset or data_dir), overrides)
    study = read.with_overrides(dataset, data_dir, seeds_of(seeds), engine, precision)
    options: dict[str, Any] = {
        "only": only or (), "workers": workers, "shard": part, "max_seeds": max_seeds, "fold_over": fold_over,
    }  # fmt: skip
    if dry_run:
        from ablation.tuning.plan import plan_run

        with located(grid, overrides):
            print_plan(plan_run(study, out, **options))
        return
    print_engine(study, executor)
    print_design(study)
    from ablation.tuning.run import run_and_tune
    from ablation.workflow.progress import LiveProgress

    options |= {"executor": executor, "address": address, "tensorboard": tensorboard, "live": live}
    with located(grid, overrides), interruptible(), LiveProgress() as progress:
        finished = run_and_tune(study, out, observer=progress, **options)
    print_results(finished)
    print_fold_over(finished, fold_over)
    print_tuning(finished)
    exit_1_unless(has_completed(finished, only, part))


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
) -> None:
    """Search for the best settings, and confirm them with fresh seeds against the baseline."""
    from ablation.cli.console_search import print_search
    from ablation.grid.overrides import parse_overrides
    from ablation.grid.setting_place import located
    from ablation.search.run import run_search
    from ablation.search.settings import read_search
    from ablation.workflow.progress import LiveProgress

    grid, overrides = grid_of(file, grid), parse_overrides(settings or ())
    planned = read_search(grid, not data_dir, overrides)
    if data_dir:
        study = planned.study.with_overrides(data_dir=data_dir)
        planned = planned.model_copy(update={"study": study})
    with located(grid, overrides), interruptible(), LiveProgress() as progress:
        finished = run_search(
            planned,
            out,
            workers=workers,
            executor=executor,
            address=address,
            observer=progress,
            then_ablate=then_ablate,
        )
    print_search(finished)
    exit_1_unless(bool((finished.confirmed.results["status"] == "completed").all()))
