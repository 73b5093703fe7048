"""The commands that keep order among runs: list them, and remove what nothing needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.json_output import JsonOption, print_json
from ablation.cli.options import RunArgument


def runs(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="The folder of run folders; by default experiments/runs."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder, the newest first: study, date, and how far each is."""
    from ablation.cli.console_housekeeping import print_runs
    from ablation.results.overview import list_runs
    from ablation.store.run_folder import RUNS

    found = list_runs(folder or RUNS)
    if as_json:
        from ablation.workflow.records import runs_record

        print_json(runs_record(folder or RUNS, found))
    else:
        print_runs(folder or RUNS, found)


def clean(
    run: RunArgument = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove what is shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what old versions of a study left in its run folder; with --yes, remove it.

    These are trials that the study no longer has, folders of interrupted processes, and the states that
    completed trials kept for more epochs. The trials of the study stay.
    """
    from ablation.cli.console_housekeeping import print_leftovers
    from ablation.results.overview import newest_run
    from ablation.workflow.clean import clean_run

    folder = run or newest_run()
    leftovers = clean_run(folder, remove=yes)
    if as_json:
        from ablation.workflow.records import clean_record

        print_json(clean_record(folder, leftovers, yes))
    else:
        print_leftovers(folder, leftovers, yes)
