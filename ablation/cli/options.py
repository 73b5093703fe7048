"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.completion import datasets, engines, executors, grid_files, runs, setting_keys, variants
from ablation.errors import GridError

GridArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The grid file that describes the study.", autocompletion=grid_files),
]
GridOption = Annotated[
    Path | None,
    typer.Option("--grid", help="The grid file, if it is not an argument.", autocompletion=grid_files),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Put a value in the place of the grid's, as -s training.epochs=5; repeatable.",
        autocompletion=setting_keys,
    ),
]
DatasetOption = Annotated[
    str | None, typer.Option(help="Use this dataset instead of the grid's.", autocompletion=datasets)
]
RunFolderOption = Annotated[
    Path | None, typer.Option("--out", help="The run folder; by default experiments/runs/STUDY.")
]
SeedsOption = Annotated[
    str | None,
    typer.Option(
        help="Seeds instead of the grid's: 5 means 0 to 4; 3-5 and 0,1,7 are lists; '7,' is one seed."
    ),
]
DataOption = Annotated[
    Path | None, typer.Option(help="Read the images from this folder, archive or .npz file.")
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Worker processes; by default one per core.")]
ExecutorOption = Annotated[
    str,
    typer.Option(
        help="Where trials run: local, inline, ray (a Ray cluster), or a plug-in's.",
        autocompletion=executors,
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="What trains the models, instead of the grid's: tensorflow or jax.", autocompletion=engines
    ),
]
AddressOption = Annotated[
    str | None, typer.Option(help="The Ray cluster; by default RAY_ADDRESS, or one started on this machine.")
]
ShardOption = Annotated[
    str,
    typer.Option(
        metavar="I/N", help="Train the I-th of N parts; the shard that ends last writes the report."
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(help="Train all variants in this precision: float32, mixed_bfloat16 or mixed_float16."),
]
FoldOverOption = Annotated[
    bool,
    typer.Option(
        "--fold-over",
        help="Once all trials are done, add variants that separate aliased interactions with a verdict.",
    ),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Also write RUN/live.html, a page that follows the run, and open it.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option(help="Train this variant only; repeatable.", autocompletion=variants)
]
TensorBoardOption = Annotated[
    bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard/ while trials train.")
]
UntilResolvedOption = Annotated[
    bool, typer.Option("--until-resolved", help="Add seeds to unresolved comparisons; needs --max-seeds.")
]
MaxSeedsOption = Annotated[int | None, typer.Option(min=1, help="The largest number of seeds per variant.")]
RunArgument = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="A run folder; by default the newest run.", autocompletion=runs),
]


def grid_of(file: Path | None, grid: Path | None) -> Path:
    """Return the grid file, which may be named as an argument or with --grid.

    Raises:
        GridError: No file is named, or two are.
    """
    if file and grid and file != grid:
        raise GridError(f"two grid files are named, {file} and --grid {grid}; name one of them.")
    if not (named := file or grid):
        raise GridError("no grid file is named; name one, as in `ablation run grid.yaml`.")
    return named


def require_both(until_resolved: bool, max_seeds: int | None) -> None:
    """Refuse one of the two options that add seeds without the other.

    Raises:
        GridError: Only one of them is given.
    """
    if until_resolved != (max_seeds is not None):
        raise GridError(
            "--until-resolved and --max-seeds N go together: the first adds seeds, the second limits them."
        )
