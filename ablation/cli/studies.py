"""The commands for a study before it is run: begin a grid file, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.endings import exit_1_unless
from ablation.cli.json_output import JsonOption, print_json
from ablation.cli.options import DataOption, GridArgument, GridOption, SetOption, grid_of


def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write to.")] = Path(),
    builder: Annotated[
        bool, typer.Option("--builder", help="Also write a module for your own model.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--from", help="Your model, a .keras file or module:function, to take apart."),
    ] = None,
) -> None:
    """Write a commented grid file to start from."""
    if model:
        from ablation.workflow.taking_apart import write_ablation

        written = write_ablation(model, folder)
    else:
        from ablation.workflow.scaffold import write_scaffold

        written = write_scaffold(folder, builder)
    for file in written:
        print(file)


def check(
    file: GridArgument = None,
    grid: GridOption = None,
    settings: SetOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a grid file, build every variant, and show in which layers it differs from the baseline."""
    from ablation.cli.console_check import print_check
    from ablation.grid.grid_file import read_study
    from ablation.grid.overrides import parse_overrides
    from ablation.grid.setting_place import located
    from ablation.workflow.check import check_study

    grid, overrides = grid_of(file, grid), parse_overrides(settings or ())
    with located(grid, overrides):
        checked = check_study(read_study(grid, not data_dir, overrides).with_overrides(data_dir=data_dir))
    if as_json:
        from ablation.workflow.records import check_record

        print_json(check_record(checked))
    else:
        print_check(checked)
    exit_1_unless(not any(variant.error for variant in checked.variants))
