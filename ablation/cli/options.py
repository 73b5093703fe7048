"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ablation.cli.completion import datasets, executors, runs
from ablation.errors import GridError

GridOption = Annotated[Path, typer.Option("--grid", help="The grid file that describes the study.")]
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
    str | None, typer.Option(help="What trains the models, instead of the grid's: tensorflow or jax.")
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
MaxSeedsOption = Annotated[int | None, typer.Option(min=1, help="The largest number of seeds per variant.")]
RunArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN]", help="A run folder; by default the newest run.", autocompletion=runs),
]


def require_both(until_resolved: bool, max_seeds: int | None) -> None:
    """Refuse one of the two options that add seeds without the other.

    Raises:
        GridError: Only one of them is given.
    """
    if until_resolved != (max_seeds is not None):
        raise GridError(
            "--until-resolved and --max-seeds N go together: the first adds seeds, the second limits them."
        )
