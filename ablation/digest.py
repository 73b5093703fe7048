"""Short hashes that name contents."""

from __future__ import annotations

import hashlib


def short_digest(content: str | bytes, length: int = 8) -> str:
    """Return the first hexadecimal digits of a content's SHA-256.

    Args:
        content: Text is hashed in UTF-8.
        length: How many digits: 8 tell the trials of a study apart, 12 what a user may compare by eye.
    """
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:length]
