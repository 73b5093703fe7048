"""Exporting a run in the formats of other tools: TensorBoard, MLflow and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ablation.errors import RunError, did_you_mean
from ablation.export import FORMATS
from ablation.export.mlflow import require_mlflow, write_mlflow
from ablation.export.parquet import require_parquet, write_parquet
from ablation.export.tensorboard import require_tensorboard, write_tensorboard
from ablation.results.run import Run


def export_run(run: Run, formats: Sequence[str], tracking_uri: str | None = None) -> list[str]:
    """Write a run for other tools; an earlier export is brought up to date, without duplicates.

    Args:
        run: The run, finished or not.
        formats: Names from `FORMATS`.
        tracking_uri: Where MLflow keeps its runs. The default is ``MLFLOW_TRACKING_URI`` or, if that is not
            set, MLflow's own default.

    Returns:
        For each format, the place where it was written.

    Raises:
        RunError: A format is not known or its package is not installed, and nothing was written; or writing
            failed.
    """
    for name in formats:
        if name not in FORMATS:
            raise RunError(f"--to: there is no format '{name}'.{did_you_mean(name, FORMATS)}")
    if tracking_uri and "mlflow" not in formats:
        raise RunError(
            "--tracking-uri says where MLflow keeps its runs; it can be used only with --to mlflow."
        )
    writers = [_writer(name, tracking_uri) for name in dict.fromkeys(formats)]
    return [write(run) for write in writers]


def _writer(name: str, tracking_uri: str | None) -> Callable[[Run], str]:
    """Return the function that writes a format.

    Raises:
        RunError: The package that the format needs is not installed.
    """
    if name == "tensorboard":
        require_tensorboard()
        return lambda run: str(write_tensorboard(run))
    if name == "mlflow":
        require_mlflow()
        return lambda run: write_mlflow(run, tracking_uri)
    require_parquet()
    return lambda run: "\n".join(map(str, write_parquet(run)))
