"""The tables of a run as files: CSV and, where pyarrow is installed, Parquet."""

from __future__ import annotations

from ablation.export.parquet import has_parquet, write_parquet
from ablation.results.run import TABLES, Run


def write_tables(run: Run) -> None:
    """Read the run again, and write each of its tables as a CSV file, such as ``results.csv``.

    If pyarrow is installed, results and history are also written as Parquet files.

    Raises:
        RunError: The run folder cannot be written to.
    """
    run.refresh()
    with run.store.deriving():
        for name in TABLES:
            run.store.write(f"{name}.csv", run.table_text(name))
        if has_parquet():
            write_parquet(run)
