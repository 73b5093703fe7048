"""Where stored settings say that the user's code lies; results do not depend on it, and it may be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def with_code_folders(record: Any, moved: Callable[[str], str]) -> Any:
    """Return stored settings in which each folder of the user's code is another one.

    Args:
        record: A study or a trial, as JSON has it.
        moved: Returns the new folder for the old one.
    """
    if isinstance(record, list):
        return [with_code_folders(item, moved) for item in record]
    if not isinstance(record, dict):
        return record
    others = {key: with_code_folders(value, moved) for key, value in record.items()}
    return others | {"folder": moved(record["folder"])} if _has_code(record) else others


def code_settings(record: Any) -> Iterator[dict[str, Any]]:
    """Yield the stored settings that name code of the user's, which have a ``folder``."""
    if isinstance(record, dict) and _has_code(record):
        yield record
    elif isinstance(record, dict | list):
        for item in record.values() if isinstance(record, dict) else record:
            yield from code_settings(item)


def _has_code(record: dict[str, Any]) -> bool:
    """Return whether these are settings of a `UserCode` that names code."""
    return isinstance(record.get("folder"), str) and bool(record["folder"]) and bool(record.get("source"))
