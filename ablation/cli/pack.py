"""The commands for sharing a run: pack it, and repeat a trial of one that was packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.endings import exit_1_unless, open_run
from ablation.cli.options import RunArgument


def pack(
    run: RunArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder or, if it ends in .zip, the file to write; by default RUN.zip, here."),
    ] = None,
    models: Annotated[bool, typer.Option("--models", help="Also pack the saved models.")] = False,
) -> None:
    """Pack a run, with the code that it needs, as a folder or zip file that others can check and repeat."""
    from ablation.interchange.pack import pack_run

    print(pack_run(open_run(run, tested=True), out, models))


def repeat(
    run: RunArgument = None,
    trial: Annotated[
        str | None, typer.Option(help="The trial's id; by default the one that was trained fastest.")
    ] = None,
) -> None:
    """Train a finished trial again, and compare it with its result bit by bit; nothing is written."""
    from ablation.cli.console_repeat import print_repetition
    from ablation.workflow.repeat import repeat_trial

    repetition = repeat_trial(open_run(run), trial)
    print_repetition(repetition)
    exit_1_unless(not repetition.differences)
