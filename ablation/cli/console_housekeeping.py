"""What the terminal shows of the runs in a folder, and of what can be removed from one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from rich.table import Table
from rich.text import Text

from ablation.cli.console import new_console
from ablation.grid.value_text import counted, size_text
from ablation.results.overview import RunOverview
from ablation.store.leftovers import Leftover, LeftoverKind

_STYLES = {"complete": "green", "failed": "red", "damaged": "red", "running": "yellow", "incomplete": ""}
_KINDS: dict[LeftoverKind, str] = {
    "unused trial": "trials of other settings, seeds, images or code than the study has now",
    "earlier result": "results from your files as they were before they were changed",
    "unfinished": "what interrupted processes left behind",
    "kept state": "states of completed trials, from which a run with more epochs would continue",
}


def print_runs(folder: Path, runs: Sequence[RunOverview]) -> None:
    """Print one line per run, the newest first."""
    console = new_console()
    if not runs:
        console.print(Text(f"There is no run in {folder}."), soft_wrap=True)
        return
    table = _table("run", "study", "started", "state")
    for run in runs:
        table.add_row(
            Text(str(run.folder)),
            Text(run.study or "–"),
            f"{run.started:%Y-%m-%d %H:%M}",
            Text(_state(run), style=_STYLES[run.state]),
        )
    console.print(table)


def print_leftovers(folder: Path, leftovers: Sequence[Leftover], is_removed: bool) -> None:
    """Print what can be removed or was removed, with its size."""
    console = new_console()
    if not leftovers:
        console.print(Text(f"{folder}: there is nothing to remove."), soft_wrap=True)
        return
    for kind, meaning in _KINDS.items():
        of_kind = [leftover for leftover in leftovers if leftover.kind == kind]
        if not of_kind:
            continue
        size = size_text(sum(leftover.bytes for leftover in of_kind))
        console.print(Text(f"{size}: {meaning}", style="bold"), soft_wrap=True)
        for leftover in of_kind:
            line = f"  {size_text(leftover.bytes):>8}  {leftover.path}"
            console.print(Text(line, style="dim"), soft_wrap=True)
    size = size_text(sum(leftover.bytes for leftover in leftovers))
    if is_removed:
        console.print(Text(f"Removed {size}. The trials of the study are untouched."))
    else:
        console.print(Text(f"`ablation clean {quote(str(folder))} --yes` removes {size}."), soft_wrap=True)


def _state(run: RunOverview) -> str:
    failed = f", {run.failed} failed" if run.failed else ""
    done = f"{run.completed} of {run.trials}{failed}"
    match run.state:
        case "complete":
            return f"complete ({counted(run.trials, 'trial')})"
        case "running":
            return f"{done}, running"
        case "damaged":
            return "study.json is damaged"
    return done


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
