"""The peak memory of this process, as far as the system reports it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_OWN = Path("/proc/self")


def forget_peak() -> None:
    """Reset the peak where the system can (Linux), so that a trial is not charged with an earlier one's."""
    with suppress(OSError):
        (_OWN / "clear_refs").write_text("5")


def peak_mib() -> float | None:
    """Return the peak resident memory in MiB since `forget_peak`, or since the process began.

    Returns:
        The peak, or None on Windows, where it is not known.
    """
    with suppress(OSError):
        for line in (_OWN / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)
