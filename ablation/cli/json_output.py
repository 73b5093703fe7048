"""What commands print with --json: one JSON object, and errors as JSON objects on the error output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
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
    """Print what `ablation.workflow.records` returns."""
    print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


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
