"""The two tables that others compute with, as Parquet: with their types, which CSV does not keep."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

from ablation.errors import RunError
from ablation.results.run import Run

PARQUET = ("results", "history")


def has_parquet() -> bool:
    """Tell whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def require_parquet() -> None:
    """Raise an error where pyarrow is not installed.

    Raises:
        RunError: It is not.
    """
    if not has_parquet():
        raise RunError(
            "Parquet needs pyarrow, which is not installed: pip install 'ablation-harness[parquet]'"
        )


def write_parquet(run: Run) -> list[Path]:
    """Write `PARQUET`'s tables beside their CSV files, with the DataFrames' dtypes; return the paths.

    Raises:
        RunError: The folder cannot be written to.
    """
    files = []
    for name in PARQUET:
        stream = io.BytesIO()
        getattr(run, name).to_parquet(stream, engine="pyarrow", index=False)
        files.append(run.store.write(f"{name}.parquet", stream.getvalue()))
    return files
