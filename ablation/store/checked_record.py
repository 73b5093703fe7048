"""Records of a run folder with a checksum of their content, so that damage to a number is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ablation.files import json_text

_CHECKSUM = "checksum"


def checked_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON text, with its checksum.

    Args:
        record: The record; a checksum that it already has is replaced.
    """
    return json_text({**_content(record), _CHECKSUM: _checksum(record)})


def require_unchanged(record: Mapping[str, Any]) -> None:
    """Refuse a record that was damaged or edited after it was written.

    One without a checksum is believed, because earlier versions wrote none.

    Raises:
        ValueError: Its content does not match its checksum.
    """
    if record.get(_CHECKSUM, _checksum(record)) != _checksum(record):
        raise ValueError("the record does not match its checksum")


def _content(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != _CHECKSUM}


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(_content(record), sort_keys=True).encode()).hexdigest()
