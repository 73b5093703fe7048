"""What commands print with --json: one JSON object, and errors as JSON objects on the error output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import Annotated, Any

import typer

from ablation.errors import GridError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DryRunJsonOption = Annotated[
    bool, typer.Option("--json", help="With --dry-run: print one JSON object instead of text.")
]
_SCHEMA = 1  # of errors and warnings; that of answers is `ablation.workflow.records.SCHEMA`


def require_dry_run(as_json: bool, dry_run: bool) -> None:
    """Refuse --json where trials are trained.

    Raises:
        GridError: JSON is asked for without a dry run.
    """
    if as_json and not dry_run:
        raise GridError("--json needs --dry-run; `ablation status --json` prints the results of a run.")


def print_json(record: Mapping[str, Any]) -> None:
    """Print what `ablation.workflow.records` returns, inside `only_json` as well as outside of it."""
    stream = sys.__stdout__ if sys.stdout is sys.stderr else sys.stdout
    print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False), file=stream, flush=True)


def only_json() -> AbstractContextManager[object]:
    """Let nothing but `print_json` write to the standard output, if the command line asks for JSON.

    What else is printed goes to the error output: downloads, for example, and a user's own code.
    """
    return redirect_stdout(sys.stderr) if is_json_asked() else nullcontext()


def is_json_asked() -> bool:
    """Return whether the command line asks for JSON, for those who have only an error to print."""
    return "--json" in sys.argv[1:]


def print_json_message(kind: str, message: str) -> None:
    """Print an error or a warning as one line of JSON to the error output.

    Args:
        kind: ``error`` or ``warning``.
        message: The sentence.
    """
    print(json.dumps({"schema": _SCHEMA, kind: message}, ensure_ascii=False), file=sys.stderr)
