"""The command line: parse, call one function of the library, print."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablation.cli.classroom import classroom
from ablation.cli.completion import figure_names, formats, runs
from ablation.cli.endings import exit_1_unless, fail, has_completed, interruptible, open_run, seeds_of
from ablation.cli.options import (
    AddressOption,
    DataOption,
    DatasetOption,
    EngineOption,
    ExecutorOption,
    FoldOverOption,
    GridOption,
    LiveOption,
    MaxSeedsOption,
    PrecisionOption,
    RunArgument,
    RunFolderOption,
    SeedsOption,
    ShardOption,
    WorkersOption,
    require_both,
)
from ablation.errors import AblationError, RunError, show_warning

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Ablation studies of small image classifiers, from a grid file to a report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(classroom, name="class")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("ablation-harness"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of the command itself, before any other command; its help text is that of the app."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write to.")] = Path(),
    builder: Annotated[
        bool, typer.Option("--builder", help="Also write a module for your own model.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--from", help="Your model, a .keras file or module:function, to take apart."),
    ] = None,
) -> None:
    """Write a commented grid file to start from."""
    if model:
        from ablation.workflow.taking_apart import write_ablation

        print(write_ablation(model, folder))
        return
    from ablation.workflow.scaffold import write_scaffold

    for file in write_scaffold(folder, builder):
        print(file)


@app.command()
def check(
    grid: Annotated[Path, typer.Argument(metavar="FILE", help="The grid file.")],
    data_dir: DataOption = None,
) -> None:
    """Validate a grid file, build every variant, and show in which layers it differs from the baseline."""
    from ablation.cli.console_check import print_check
    from ablation.grid.grid_file import read_study
    from ablation.grid.setting_place import located
    from ablation.workflow.check import check_study

    with located(grid):
        checked = check_study(read_study(grid, not data_dir).with_overrides(data_dir=data_dir))
    print_check(checked)
    exit_1_unless(not any(variant.error for variant in checked.variants))


@app.command()
def run(
    grid: GridOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")] = False,
    dataset: DatasetOption = None,
    data_dir: DataOption = None,
    out: RunFolderOption = None,
    workers: WorkersOption = None,
    seeds: SeedsOption = None,
    precision: PrecisionOption = None,
    only: Annotated[list[str] | None, typer.Option(help="Train this variant only; repeatable.")] = None,
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
    from ablation.grid.setting_place import located

    require_both(until_resolved, max_seeds)
    require_executor(executor, address)
    part = Shard.parse(shard)
    read = read_study(grid, not (dataset or data_dir))
    study = read.with_overrides(dataset, data_dir, seeds_of(seeds), engine, precision)
    options: dict[str, Any] = {
        "only": only or (), "workers": workers, "shard": part, "max_seeds": max_seeds, "fold_over": fold_over,
    }  # fmt: skip
    if dry_run:
        from ablation.tuning.plan import plan_run

        with located(grid):
            print_plan(plan_run(study, out, **options))
        return
    print_engine(study, executor)
    print_design(study)
    from ablation.tuning.run import run_and_tune
    from ablation.workflow.progress import LiveProgress

    options |= {"executor": executor, "address": address, "tensorboard": tensorboard, "live": live}
    with located(grid), interruptible(), LiveProgress() as progress:
        finished = run_and_tune(study, out, observer=progress, **options)
    print_results(finished)
    print_fold_over(finished, fold_over)
    print_tuning(finished)
    exit_1_unless(has_completed(finished, only, part))


@app.command()
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


@app.command()
def search(
    grid: GridOption,
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
    from ablation.grid.setting_place import located
    from ablation.search.run import run_search
    from ablation.search.settings import read_search
    from ablation.workflow.progress import LiveProgress

    planned = read_search(grid, not data_dir)
    if data_dir:
        study = planned.study.with_overrides(data_dir=data_dir)
        planned = planned.model_copy(update={"study": study})
    with located(grid), interruptible(), LiveProgress() as progress:
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


@app.command()
def figures(
    run: RunArgument = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Draw this figure only; repeatable.", autocompletion=figure_names),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to draw into.")] = None,
) -> None:
    """Draw a run's figures, as PNG and SVG."""
    from ablation.figures.drawing import draw_figures

    pictures = draw_figures(open_run(run, tested=True), only or (), out)
    for picture in pictures:
        print(picture.png)
    for name, reason in pictures.missing.items():
        print(f"Error: the figure {name} could not be drawn: {reason}.", file=sys.stderr)
    exit_1_unless(not pictures.missing)


@app.command()
def report(
    run: RunArgument = None,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", help="Another run's folder, to show beside this one.", autocompletion=runs),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write the reports to; by default the run folder.")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="Write RUN/paper/ instead: tables, methods and figures for LaTeX."),
    ] = False,
) -> None:
    """Write a run's or a search's tables, figures and reports again, or a page with two runs side by side."""
    from ablation.store.run_folder import is_search

    if run and is_search(run):
        from ablation.search.report import write_search_report
        from ablation.search.results import SearchRun

        if compare or paper:
            option = "--compare" if compare else "--paper"
            raise RunError(f"{option} needs a run folder; those of a search are search/ and confirmation/.")
        print(write_search_report(SearchRun(run), out))
        return
    from ablation.export.tables import write_tables
    from ablation.report.paper.write import write_paper
    from ablation.report.write import write_report, write_side_by_side
    from ablation.results.left_out import refuse_outdated

    opened = open_run(run, tested=True)
    if compare and paper:
        raise RunError("--paper is about one run, and --compare puts two side by side; give one of them.")
    if compare:
        print(write_side_by_side(opened, open_run(compare, tested=True), out))
        return
    refuse_outdated(opened)
    if paper:
        print(write_paper(opened, out))
        return
    if out is None:
        write_tables(opened)
    print(write_report(opened, folder=out))


@app.command()
def export(
    to: Annotated[
        list[str],
        typer.Option(
            help="tensorboard, mlflow, wandb, aim, dvc, parquet, or a plug-in's; repeatable.",
            autocompletion=formats,
        ),
    ],
    run: RunArgument = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="Where MLflow keeps its runs; by default MLFLOW_TRACKING_URI.")
    ] = None,
) -> None:
    """Export a run to other tools; repeating the command updates what was exported before."""
    from ablation.export.formats import export_run

    for place in export_run(open_run(run), to, tracking_uri):
        print(place)


@app.command()
def verify(
    report: Annotated[
        Path | None,
        typer.Argument(metavar="[REPORT]", help="A report.html, or a run folder; by default the newest run."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder, if the report is not in it.")] = None,
) -> None:
    """Recompute a report's numbers from the trials, and list any that differ."""
    from ablation.cli.terminal import print_verification
    from ablation.report.verify import verify_run

    file = report if report and report.is_file() else None
    if file and not run and not (file.parent / "study.json").is_file():
        raise RunError(f"{file} is not in a run folder; name the run folder of the report with --run.")
    folder = run or (file.parent if file else report)
    verification = verify_run(open_run(folder, tested=True), file)
    print_verification(verification)
    exit_1_unless(not verification.differences)


@app.command()
def compare(run: RunArgument = None) -> None:
    """Compare variants with the baseline or each other; show effects, dose-response curves and noise."""
    from ablation.cli.terminal import print_comparisons

    print_comparisons(open_run(run))


@app.command()
def plan(run: RunArgument = None) -> None:
    """Estimate how many seeds each declared question needs, using a run as the pilot study."""
    from ablation.cli.terminal import print_seeds_needed

    print_seeds_needed(open_run(run))


@app.command()
def status(run: RunArgument = None) -> None:
    """Show which trials are finished, which failed, and which are still to do."""
    from ablation.cli.console_tuning import print_tuning
    from ablation.cli.terminal import print_status

    opened = open_run(run)
    print_status(opened)
    print_tuning(opened)


@app.command()
def watch(run: RunArgument = None) -> None:
    """Follow a run from outside: write RUN/live.html, and renew it until the run has ended or Ctrl-C."""
    from ablation.workflow.live import watch_run

    with suppress(KeyboardInterrupt):
        watch_run(open_run(run).folder, print)


@app.command()
def audit(run: RunArgument = None) -> None:
    """Check that the trials are paired: compare their initial weights and batch orders."""
    from ablation.cli.terminal import print_audit
    from ablation.workflow.audit import audit_pairing

    opened = open_run(run)
    pairing = audit_pairing(opened)
    print_audit(opened, pairing)
    exit_1_unless(bool(pairing["paired"].fillna(True).all()))


def main() -> None:
    """Run the command line; an error meant for the user is printed as a sentence, with exit code 2."""
    warnings.showwarning = show_warning
    try:
        app(prog_name="ablation")
    except AblationError as error:
        fail(error)
