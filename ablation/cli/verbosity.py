"""How much a command that trains prints: more with -v, and hardly anything with -q."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ablation.errors import AblationWarning, GridError

if TYPE_CHECKING:
    from ablation.grid.study import Study
    from ablation.workflow.observers import Observer

QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only errors and, at the end, the path of the report.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also print what is decided, and where the time went.")
]


def require_one(quiet: bool, verbose: bool) -> None:
    """Refuse the two options together.

    Raises:
        GridError: Both are given.
    """
    if quiet and verbose:
        raise GridError("--quiet and --verbose contradict each other; give one of them.")


def print_decisions(study: Study, executor: str, workers: int | None, address: str | None) -> None:
    """Print what is decided before a study is run."""
    from ablation.cli.console import new_console
    from ablation.workflow.verbosity import decisions

    for decision in decisions(study, executor, workers, address):
        new_console().print(Text(decision, style="dim"), soft_wrap=True)


@contextmanager
def observed(quiet: bool, verbose: bool) -> Iterator[Observer]:
    """Show what happens while the block trains: only failures, the progress, or also the time spent."""
    from ablation.cli.console import new_console
    from ablation.workflow.observers import Observers
    from ablation.workflow.progress import LiveProgress
    from ablation.workflow.verbosity import FailuresOnly, TimeSpent

    if quiet:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AblationWarning)
            yield FailuresOnly()
        return
    spent = TimeSpent()
    with LiveProgress(new_console()) as progress:
        yield Observers(progress, spent)
    for sentence in spent.sentences() if verbose else ():
        new_console().print(Text(sentence, style="dim"), soft_wrap=True)


def print_report_path(folder: Path) -> None:
    """Print where the report is; the run folder, if another process is to write the report."""
    report = folder / "report.html"
    print(report if report.is_file() else folder)
