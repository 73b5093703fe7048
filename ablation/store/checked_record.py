"""Records of a run folder with a checksum of their content, so that damage to a number is noticed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ablation.files import json_text

_CHECKSUM = "checksum"
_AT_THE_END = re.compile(rb'"checksum": "([0-9a-f]{64})"\n}\n\Z')


def checked_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON text that ends with a checksum of all of it.

    Args:
        record: The record; a checksum that it already has is replaced.
    """
    content = {key: value for key, value in record.items() if key != _CHECKSUM}
    blank = json_text({**content, _CHECKSUM: ""})
    end = '"\n}\n'
    return f"{blank.removesuffix(end)}{hashlib.sha256(blank.encode()).hexdigest()}{end}"


def require_unchanged(content: bytes) -> None:
    """Refuse a record that was damaged or edited after it was written.

    One without a checksum is believed, because earlier versions wrote none.

    Args:
        content: What its file contains.

    Raises:
        ValueError: Its content does not match its checksum.
    """
    found = _AT_THE_END.search(content, max(0, len(content) - 100))
    if found:
        blank = content[: found.start(1)] + content[found.end(1) :]
        is_unchanged = hashlib.sha256(blank).hexdigest().encode() == found[1]
    else:
        is_unchanged = _CHECKSUM not in json.loads(content)
    if not is_unchanged:
        raise ValueError("the record does not match its checksum")
