"""What differs between Linux, macOS and Windows: no other module asks which system it runs on."""

from __future__ import annotations

import codecs
import ctypes
import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

IS_WINDOWS: bool = sys.platform == "win32"
SYSTEM_FOLDERS: tuple[str, ...] = (
    "/proc", "/sys", "/dev", "/etc", "/usr/lib", "/usr/share", "/System", "/Library",
    *filter(None, [os.environ.get("SYSTEMROOT") if IS_WINDOWS else None]),
)  # fmt: skip
"""Where the system keeps files of its own."""
ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
"""The signals with which the system asks a process to end."""

_LONGEST_PATH = 259  # characters on Windows, unless longer paths are enabled
_RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{k}" for device in ("com", "lpt") for k in range(10))}
_LONGEST_WAIT = 1.0  # seconds, after shorter ones of about as long together
_ASCII = {
    "\N{MINUS SIGN}": "-", "–": "-", "—": "-", "…": "...", "→": "->", "×": "x", "·": "-", "±": "+/-",
    "≥": ">=", "≤": "<=", "≠": "!=", "∞": "inf", "α": "alpha", "Δ": "delta", "▲": "+", "▼": "-",
    "✓": "yes", "✗": "no", "★": "*", "•": "-", "“": '"', "”": '"', "’": "'", "ß": "ss",
}  # fmt: skip
# What Windows reports of a process that it ended.
_ENDINGS = {
    0xC0000005: "access violation",
    0xC0000017: "memory ran out: try fewer --workers",
    0xC00000FD: "stack overflow",
    0xC000012D: "memory ran out: try fewer --workers",
    0xC0000409: "aborted",
}


def move(source: Path, target: Path) -> None:
    """Rename a file, which replaces the target, or a folder, whose target must not exist.

    Windows refuses that while another program has the file, or one in the folder, open. Readers and virus
    scanners have it open only briefly, so it is tried again for two seconds.
    """
    wait = 0.01
    while True:
        try:
            os.replace(source, target)
        except PermissionError:
            if not IS_WINDOWS or wait > _LONGEST_WAIT:
                raise
            time.sleep(wait)
            wait *= 2
        else:
            return


def safe_name(name: str) -> str:
    """Return a name that no system reserves for a device, as Windows does with ``con`` and ``con.txt``."""
    return f"_{name}" if name.partition(".")[0].lower() in _RESERVED else name


def longest_path() -> int | None:
    """Return how many characters a path may have; None where no run folder comes near the limit."""
    if not IS_WINDOWS:
        return None
    with suppress(AttributeError, OSError):  # earlier than Windows 10, where longer paths cannot be enabled
        if ctypes.CDLL("ntdll").RtlAreLongPathsEnabled():
            return None
    return _LONGEST_PATH


def written_here(path: str, folder: Path) -> Path:
    r"""Return a path relative to a folder, with ``~`` expanded; ``images\train`` is read on every system."""
    found = folder / Path(path).expanduser()
    if "\\" in path and not found.exists():
        return folder / Path(path.replace("\\", "/")).expanduser()
    return found


def group_of_its_own() -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for a process that Ctrl-C does not reach."""
    if IS_WINDOWS:
        return {"creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP
    return {"start_new_session": True}


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill a process of `group_of_its_own`, if it still lives, and the processes that it started.

    Its end is not awaited here: until then, its process group cannot be that of another program.
    """
    if process.returncode is not None:
        return
    if IS_WINDOWS:
        with suppress(OSError):
            kill = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(kill, capture_output=True, check=False)
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def describe_exit(code: int) -> str:
    """Describe how a process ended, from its exit code."""
    if code > 0x7FFFFFFF:
        meaning = f" ({_ENDINGS[code]})" if code in _ENDINGS else ""
        return f"with exit code 0x{code:X}{meaning}"
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
        meaning = (
            " (as the system does when memory runs out: try fewer --workers)" if name == "SIGKILL" else ""
        )
        return f"killed by {name}{meaning}"
    except ValueError:
        return f"killed by signal {-code}"


def call_in_forked_child(function: Callable[[], object]) -> None:
    """Have a function called in every process that is forked from this one; Windows forks none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def cores_of_process() -> int:
    """Count the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_of_process() -> float | None:
    """Return the peak resident memory of this process since it began, in MiB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)


def has_display() -> bool:
    """Return whether there is a display to open a browser on."""
    if IS_WINDOWS or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def write_what_can_be_shown(stream: IO[str] | None) -> None:
    """Let a stream write the nearest ASCII text for characters that its encoding does not have.

    The consoles of Windows, and a Python whose locale is C, know few characters; printing others would
    otherwise raise an exception.
    """
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="ablation.nearest")  # type: ignore[union-attr]


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(character: str) -> str:
    without_accent = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _ASCII.get(character) or without_accent or "?"


codecs.register_error("ablation.nearest", _nearest)
