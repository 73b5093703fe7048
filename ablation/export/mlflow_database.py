"""The database file in which MLflow keeps runs: it gets all of its tables at once, or none.

MLflow sets up a new SQLite file by some fifty migrations, which take seconds. If it is killed between them,
neither it nor ``mlflow db upgrade`` can go on from there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

_SQLITE = "sqlite:///"


def set_up_database(uri: str) -> None:
    """Give a SQLite file all of MLflow's tables if it is missing, or if a former set-up was interrupted.

    The tables are made in another file and copied in one transaction. A file in which any experiment is kept
    is never changed, nor is one with tables that are not MLflow's.

    Args:
        uri: MLflow's tracking URI; nothing is done unless it names a SQLite file.

    Raises:
        sqlite3.Error: The file cannot be opened or written to.
        OSError: Its folder cannot be written to.
    """
    file = _sqlite_file(uri)
    if file is None:
        return
    if file.exists():
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA data_version")  # MLflow would try to open it for a minute and a half
    if not _holds_nothing(file):
        return
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        complete = Path(folder, "mlflow.db")
        SqlAlchemyStore(f"{_SQLITE}{complete}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        with closing(sqlite3.connect(complete)) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)


def _sqlite_file(uri: str) -> Path | None:
    """Return the file that a tracking URI names; None if it names a server, or a database of another kind."""
    name = unquote(uri.removeprefix(_SQLITE))
    return None if not uri.startswith(_SQLITE) or name in ("", ":memory:") or "?" in name else Path(name)


def _holds_nothing(file: Path) -> bool:
    """Return whether a file is missing, or has tables of MLflow's without an experiment or a run in them."""
    if not file.is_file():
        return not file.exists()
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as database:
            rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            names = {name for (name,) in rows}
            is_mlflows = not names or "experiments" in names  # which MLflow makes first
            kept = names & {"experiments", "runs", "registered_models"}
            return is_mlflows and not any(
                database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in kept
            )
    except sqlite3.Error:  # it is damaged or in use, which MLflow itself says
        return False
