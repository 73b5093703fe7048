"""How commands begin and end: the run that they open, interruptions, and exit codes."""

from __future__ import annotations

import gc
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ablation.cli.json_output import is_json_asked, print_json_message
from ablation.control_characters import visible
from ablation.errors import AblationError, AblationWarning, RunError, show_warning
from ablation.operating_system import ENDING_SIGNALS

if TYPE_CHECKING:
    from ablation.executors.shard import Shard
    from ablation.results.run import Run

# New objects: Python's default looks for garbage in a million that stay when a run is read. Commands that
# build many models keep the default, because each of these is garbage soon, and large.
_COLLECT_AFTER = 200_000


@contextmanager
def interruptible() -> Iterator[None]:
    """End with a sentence when interrupted; a signal to end is treated as Ctrl-C is."""
    for ending in ENDING_SIGNALS:
        signal.signal(ending, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print(
            "Interrupted: finished trials are kept, and the same command resumes from there.", file=sys.stderr
        )
        raise typer.Exit(130) from None


def open_run(folder: Path | None, tested: bool = False) -> Run:
    """Open a run folder, by default the newest; refuse the trials of a search if the test set is needed."""
    gc.set_threshold(_COLLECT_AFTER)
    from ablation.results.run import Run
    from ablation.store.run_folder import is_search

    run = Run(folder) if folder else Run.newest()
    if tested and not run.study.reads_test:
        parent = run.folder.resolve().parent
        tested_run = parent / "confirmation" if is_search(parent) else parent
        raise RunError(
            f"{run.folder} holds the trials of a search, which do not read the test set; name {tested_run}, "
            "whose trials do."
        )
    return run


def exit_1_unless(all_is_well: bool) -> None:
    """End the command with exit code 1 if something failed."""
    if not all_is_well:
        raise typer.Exit(1)


def has_completed(run: Run, only: list[str] | None, part: Shard) -> bool:
    """Tell whether all trials completed that this command was asked for."""
    asked = run.results[run.results["variant"].isin(only)] if only else run.results
    mine = {trial.id for trial in part.take(run.trials, run.dataset)}
    return bool((asked.loc[asked["trial_id"].isin(mine), "status"] == "completed").all())


def seeds_of(text: str | None) -> list[int] | None:
    """Return the seeds that an option names; None without it."""
    from ablation.grid.study import parse_seeds

    return None if text is None else parse_seeds(text)


def require_place() -> None:
    """Refuse a working folder that was removed, and arguments that are empty.

    Raises:
        RunError: No path can be found from here, or an argument names nothing.
    """
    try:
        Path.cwd()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"the working folder cannot be used: {reason}. Change to another one.") from None
    for before, argument in pairwise(["ablation", *sys.argv[1:]]):
        if not argument:
            raise RunError(f"what follows '{before}' is empty; perhaps a variable of the shell is not set.")


@contextmanager
def printing() -> Iterator[None]:
    """Say in a sentence that what a command prints cannot be written, as on a full disk.

    Raises:
        RunError: It cannot be written.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        sys.stdout = io.StringIO()  # else Python would try again to write it at its end
        raise RunError(f"the output cannot be written: {(error.strerror or str(error)).lower()}.") from None


def warn(message: Warning | str, category: type[Warning], *place: Any, **named: Any) -> None:
    """Print a warning; one that is meant for the user as JSON, if the command line asks for that."""
    if is_json_asked() and issubclass(category, AblationWarning):
        print_json_message("warning", str(message))
    else:
        show_warning(message, category, *place, **named)


def fail(error: AblationError) -> None:
    """Print an error that is meant for the user, and end with exit code 2."""
    if is_json_asked():
        print_json_message("error", str(error))
    else:
        print(f"Error: {visible(str(error))}", file=sys.stderr)
    sys.exit(2)
