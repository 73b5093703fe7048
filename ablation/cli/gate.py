"""The command for a merge gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.endings import exit_1_unless, interruptible, seeds_of
from ablation.cli.options import DataOption, SeedsOption


def gate(
    base: Annotated[Path, typer.Option(help="The folder with the code that the branch is merged into.")],
    branch: Annotated[Path, typer.Option(help="The folder with the code of the branch.")],
    grid: Annotated[Path, typer.Option(help="The grid file, relative to both folders.")],
    out: Annotated[Path, typer.Option(help="The folder for both runs and summary.md.")],
    seeds: SeedsOption = None,
    data_dir: DataOption = None,
) -> None:
    """Train a grid with the code of a branch and of its base, and fail if the branch is worse."""
    from ablation.workflow.gate import SUMMARY, run_gate
    from ablation.workflow.progress import LiveProgress

    with interruptible(), LiveProgress() as progress:
        found = run_gate(base, branch, grid, out, seeds=seeds_of(seeds), data_dir=data_dir, observer=progress)
    print((out / SUMMARY).read_text("utf-8"), end="")
    exit_1_unless(found.passed)
