"""The command line: parse, call one function of the library, print."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from ablation.cli.classroom import classroom
from ablation.cli.endings import fail, printing, require_place, warn
from ablation.cli.gate import gate
from ablation.cli.housekeeping import clean, runs
from ablation.cli.json_output import only_json
from ablation.cli.pack import pack, repeat
from ablation.cli.results import audit, compare, export, figures, plan, report, seal, status, verify, watch
from ablation.cli.schema import schema
from ablation.cli.studies import check, init
from ablation.cli.training import merge, run, search
from ablation.errors import AblationError, RunError, unreadable
from ablation.operating_system import write_what_can_be_shown

COMMANDS: tuple[Callable[..., None], ...] = (
    init,
    schema,
    check,
    run,
    watch,
    status,
    compare,
    plan,
    audit,
    figures,
    report,
    verify,
    seal,
    pack,
    repeat,
    export,
    search,
    merge,
    gate,
    runs,
    clean,
)
"""The commands, in the order in which the help and the README list them."""

app = typer.Typer(
    help="Ablation studies of small image classifiers, from a grid file to a report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(classroom, name="class")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("ablation-harness"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the command itself, before any other command; its help text is that of the app."""


def main() -> None:
    """Run the command line; an error meant for the user is printed as a sentence, with exit code 2."""
    warnings.showwarning = warn
    write_what_can_be_shown(sys.stdout)
    try:
        require_place()
        with only_json(), printing():
            app(prog_name="ablation")
    except AblationError as error:
        fail(error)
    except OSError as error:  # of a file that no one expected to be unreadable
        fail(RunError(unreadable(error.filename or "a file", error)))
