"""The number of cores that this process may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ablation.operating_system import cores_of_process


def available_cores() -> int:
    """Count the cores that this process may use: those it may run on, within a container's quota."""
    return min([cores_of_process(), *(max(1, int(quota)) for quota in cpu_quotas())])


def cpu_quotas(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Iterator[float]:
    """Yield the quotas of CPU time, in cores, of this process's control groups and of those around them.

    Args:
        membership: The file in which Linux lists the control groups of the process.
        root: Where their file systems are mounted: that of version 2 itself, or the folders of version 1.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        for place in (root, *(root / name for name in dict.fromkeys((controllers, "cpu")) if controllers)):
            for folder in (place / group, *(place / parent for parent in group.parents)):
                with suppress(OSError, ValueError):  # inside a container, the path may be that outside of it
                    quota, period = _quota_and_period(folder, bool(controllers))
                    if quota > 0:
                        yield quota / period


def _quota_and_period(group: Path, is_version_1: bool) -> tuple[int, int]:
    """Return how many microseconds of CPU time a control group has per period of how many; -1 is no limit.

    Raises:
        OSError, ValueError: The group has no such file, or no limit.
    """
    if is_version_1:
        return tuple(int((group / f"cpu.cfs_{n}_us").read_text()) for n in ("quota", "period"))  # type: ignore[return-value]
    quota, period = (group / "cpu.max").read_text().split()
    return int(quota), int(period)
