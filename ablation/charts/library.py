"""The charting library, plotly.js, as the package `plotly` brings it, packed for a page without network."""

from __future__ import annotations

import base64
import gzip
import zlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def library_version() -> str:
    """Return the version of the package that the library comes with."""
    return version("plotly")


@cache
def packed_library() -> str:
    """Return the source of plotly.js, gzipped and in base64: 2 MB instead of 5.

    Raises:
        FileNotFoundError: The package `plotly` is installed without its script.
    """
    spec = find_spec("plotly")  # is not imported: only its script is needed
    folders = spec.submodule_search_locations if spec else None
    script = Path((folders or [""])[0], "package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 9, mtime=0)).decode("ascii")


def unpacked(packed: str) -> bytes:
    """Return what `packed_library` packed; what cannot be unpacked is returned as it is."""
    try:
        return gzip.decompress(base64.b64decode(packed, validate=True))
    except (ValueError, OSError, EOFError, zlib.error):
        return packed.encode()
