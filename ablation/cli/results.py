"""The commands that read a run: draw, report, export, verify, compare, and say how far it is."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.completion import figure_names, formats, runs
from ablation.cli.endings import exit_1_unless, open_run
from ablation.cli.json_output import JsonOption, print_json
from ablation.cli.options import RunArgument
from ablation.errors import RunError


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


def verify(
    report: Annotated[
        Path | None,
        typer.Argument(metavar="REPORT", help="A report.html, or a run folder; by default the newest run."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder, if the report is not in it.")] = None,
    seal: Annotated[
        str, typer.Option(metavar="DIGEST", help="What `ablation seal` printed when the run was sealed.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Recompute a report's numbers from the trials, and list any that differ."""
    from ablation.cli.terminal import print_verification
    from ablation.report.verify import verify_run

    file = report if report and report.is_file() else None
    if file and not run and not (file.parent / "study.json").is_file():
        raise RunError(f"{file} is not in a run folder; name the run folder of the report with --run.")
    folder = run or (file.parent if file else report)
    opened = open_run(folder, tested=True)
    verification = verify_run(opened, file, seal)
    if as_json:
        from ablation.workflow.records import verify_record

        print_json(verify_record(opened, verification))
    else:
        print_verification(verification)
    exit_1_unless(not verification.differences)


def seal(run: RunArgument = None) -> None:
    """Print one digest of all trials and the declared study, for a paper's appendix or a git tag."""
    from ablation.results.seal import seal_of

    print(seal_of(open_run(run)))


def compare(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Compare variants with the baseline or each other; show effects, dose-response curves and noise."""
    opened = open_run(run)
    if as_json:
        from ablation.workflow.records import compare_record

        print_json(compare_record(opened))
        return
    from ablation.cli.terminal import print_comparisons

    print_comparisons(opened)


def plan(run: RunArgument = None, as_json: JsonOption = False) -> None:
    """Estimate how many seeds each declared question needs, using a run as the pilot study."""
    opened = open_run(run)
    if as_json:
        from ablation.workflow.records import plan_record

        print_json(plan_record(opened))
        return
    from ablation.cli.terminal import print_seeds_needed

    print_seeds_needed(opened)


def status(
    run: RunArgument = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Renew it until no process trains the run any more, or Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show which trials are finished, which failed, and which are still to do."""
    from ablation.cli.console_status import show_state, show_status

    if not watch:
        show_status(open_run(run), as_json)
        return
    from ablation.workflow.follow import follow_run

    with suppress(KeyboardInterrupt):
        follow_run(open_run(run).folder, lambda run, state: show_state(run, state, as_json))


def watch(run: RunArgument = None) -> None:
    """Follow a run from outside: write RUN/live.html, and renew it until the run has ended or Ctrl-C."""
    from ablation.workflow.live import watch_run

    with suppress(KeyboardInterrupt):
        watch_run(open_run(run).folder, print)


def audit(
    run: RunArgument = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow code that the run names to build models not trained yet.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that the trials are paired: compare their initial weights and batch orders."""
    from ablation.cli.terminal import print_audit
    from ablation.workflow.audit import audit_pairing

    opened = open_run(run)
    pairing = audit_pairing(opened, trust)
    if as_json:
        from ablation.workflow.records import audit_record

        print_json(audit_record(opened, pairing))
    else:
        print_audit(opened, pairing)
    exit_1_unless(bool(pairing["paired"].fillna(True).all()))
