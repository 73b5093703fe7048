"""What machine and which versions made a result."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path


def worker_provenance(threads: int) -> dict[str, str]:
    """Describe this process: versions of all that computes, the processor, the threads."""
    return {**_machine(), "threads": str(threads)}


@cache
def _machine() -> dict[str, str]:
    packages = {name: version(name) for name in ("ablation-harness", "tensorflow", "keras", "numpy")}
    return {
        "python": platform.python_version(),
        **packages,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or "unknown"),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
