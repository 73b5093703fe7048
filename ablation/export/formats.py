"""Exporting a run in the formats of other tools: TensorBoard, MLflow, W&B, Aim, DVC and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ablation.errors import AblationError, RunError, did_you_mean
from ablation.export import FORMATS
from ablation.export.aim import require_aim, write_aim
from ablation.export.dvc import write_dvc
from ablation.export.mlflow import require_mlflow, write_mlflow
from ablation.export.parquet import require_parquet, write_parquet
from ablation.export.tensorboard import require_tensorboard, write_tensorboard
from ablation.export.wandb import require_wandb, write_wandb
from ablation.grid.user_code import error_summary
from ablation.plugins import Plugin, plugins
from ablation.results.left_out import refuse_outdated
from ablation.results.run import Run


def export_run(run: Run, formats: Sequence[str], tracking_uri: str | None = None) -> list[str]:
    """Write a run for other tools; an earlier export is brought up to date, without duplicates.

    Args:
        run: The run, finished or not.
        formats: Names from `FORMATS`, or of plug-ins.
        tracking_uri: Where MLflow keeps its runs. The default is ``MLFLOW_TRACKING_URI`` or, if that is not
            set, MLflow's own default.

    Returns:
        For each format, the place where it was written.

    Raises:
        RunError: A format is not known or its package is not installed, or no trial counts any more, and
            nothing was written; or writing failed.
    """
    others = plugins("exporter", FORMATS)
    for name in formats:
        if name not in FORMATS and name not in others:
            raise RunError(f"--to: there is no format '{name}'.{did_you_mean(name, [*FORMATS, *others])}")
    if tracking_uri and "mlflow" not in formats:
        raise RunError(
            "--tracking-uri says where MLflow keeps its runs; it can be used only with --to mlflow."
        )
    refuse_outdated(run)
    writers = [
        _of_plugin(others[name]) if name in others else _writer(name, tracking_uri)
        for name in dict.fromkeys(formats)
    ]
    return [write(run) for write in writers]


def _of_plugin(plugin: Plugin) -> Callable[[Run], str]:
    """Return a function that calls the exporter of a plug-in.

    Raises:
        AblationError: The plug-in cannot be loaded.
    """
    function = plugin.load()

    def write(run: Run) -> str:
        try:
            where = function(run)
        except AblationError:
            raise
        except (Exception, SystemExit) as error:
            raise RunError(f"{plugin} raised {error_summary(error)}") from error
        if not isinstance(where, str | Path):
            kind = type(where).__name__
            raise RunError(f"{plugin} returned a value of type {kind}; expected where it wrote the run.")
        return str(where)

    return write


def _writer(name: str, tracking_uri: str | None) -> Callable[[Run], str]:
    """Return the function that writes a format.

    Raises:
        RunError: The package that the format needs is not installed.
    """
    require, write = _WRITERS[name]
    require()
    return lambda run: write(run, tracking_uri)


def _nothing() -> None:
    """Require no package."""


_WRITERS: dict[str, tuple[Callable[[], None], Callable[[Run, str | None], str]]] = {
    "tensorboard": (require_tensorboard, lambda run, _: str(write_tensorboard(run))),
    "mlflow": (require_mlflow, write_mlflow),
    "wandb": (require_wandb, lambda run, _: write_wandb(run)),
    "aim": (require_aim, lambda run, _: str(write_aim(run))),
    "dvc": (_nothing, lambda run, _: str(write_dvc(run))),
    "parquet": (require_parquet, lambda run, _: "\n".join(map(str, write_parquet(run)))),
}
