"""The results and the history as Parquet files, which keep the types of columns, as CSV does not."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

from ablation.errors import RunError
from ablation.results.run import Run

PARQUET = ("results", "history")


def has_parquet() -> bool:
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def require_parquet() -> None:
    """Raise an error unless pyarrow is installed.

    Raises:
        RunError: pyarrow is not installed.
    """
    if not has_parquet():
        raise RunError(
            "Parquet needs pyarrow, which is not installed: pip install 'ablation-harness[parquet]'"
        )


def write_parquet(run: Run) -> list[Path]:
    """Write the tables of `PARQUET` beside their CSV files, with the DataFrames' dtypes; return the paths.

    Raises:
        RunError: The folder cannot be written to.
    """
    files = []
    for name in PARQUET:
        stream = io.BytesIO()
        getattr(run, name).to_parquet(stream, engine="pyarrow", index=False)
        files.append(run.store.write(f"{name}.parquet", stream.getvalue()))
    return files
