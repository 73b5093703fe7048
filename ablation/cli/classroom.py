"""The commands for a class: deal a study, and collect what was handed in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.endings import exit_1_unless
from ablation.cli.options import GridArgument, GridOption, grid_of

classroom = typer.Typer(help="A study in a class, one or more seeds per student.", no_args_is_help=True)


@classroom.command()
def deal(
    students: Annotated[int, typer.Option(min=1, help="The number of students.")],
    out: Annotated[Path, typer.Option(help="The folder to write the students' folders to.")],
    file: GridArgument = None,
    grid: GridOption = None,
    seeds_each: Annotated[int, typer.Option(min=1, help="The number of seeds per student.")] = 1,
    wheel: Annotated[
        Path | None,
        typer.Option(help="The package as a wheel, for students who cannot install it from an index."),
    ] = None,
) -> None:
    """Write one folder per student: the grid with seeds of their own, and a README with three commands."""
    from ablation.classroom.deal import deal as deal_study

    for folder in deal_study(grid_of(file, grid), students, out, seeds_each, wheel):
        print(folder)


@classroom.command()
def collect(
    hand_ins: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...", help="Folders of students, run folders, zip files, or folders of these."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run folder to write: a new one, or one collected before.")],
) -> None:
    """Check what students handed in, set aside what has a fault, and make one run and report of the rest."""
    from ablation.classroom.collect import collect as collect_class
    from ablation.cli.console_class import print_class
    from ablation.cli.terminal import print_results

    collected = collect_class(hand_ins, out)
    print_results(collected)
    exit_1_unless(print_class(collected))
