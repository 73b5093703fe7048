"""The peak memory of this process, as far as the system reports it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ablation.operating_system import peak_of_process

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
    return peak_of_process()
