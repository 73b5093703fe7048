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


def code_folders(record: Any) -> Iterator[str]:
    """Yield each folder of the user's code that stored settings name, which may repeat."""
    if isinstance(record, dict):
        if _has_code(record):
            yield record["folder"]
        record = list(record.values())
    for item in record if isinstance(record, list) else ():
        yield from code_folders(item)


def _has_code(record: dict[str, Any]) -> bool:
    """Return whether these are settings of a `UserCode` that names code."""
    return isinstance(record.get("folder"), str) and bool(record["folder"]) and bool(record.get("source"))
