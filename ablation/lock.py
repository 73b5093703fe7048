"""One run at a time in a run folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import RunError, writing


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process. The system frees it when the process ends, however it ends.

    Raises:
        RunError: Another process holds it; the message names process and machine.
    """
    lock, owner = FileLock(folder / "run.lock"), folder / "run.owner.json"
    with writing(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{folder} is in use by {_describe(owner)}. Wait until it ends, or name another folder by "
                "--out."
            ) from None
        except NotImplementedError:
            raise RunError(
                f"{folder} is on a file system without locks; name another folder by --out."
            ) from None
    try:
        me = {"pid": os.getpid(), "host": platform.node(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        with writing(folder):
            owner.write_text(json.dumps(me) + "\n", "utf-8")
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _describe(owner: Path) -> str:
    try:
        found = json.loads(owner.read_text("utf-8"))
        return f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
