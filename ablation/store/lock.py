"""One run at a time in a run folder, or several shards of one run.

A run holds ``run.lock``, and a shard holds ``shard-2-of-8.lock``. The system releases a lock when its process
ends, however it ends.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ablation.errors import RunError, writing
from ablation.files import DAMAGED, read_json

RUN = "run"
_SHORT = "opening"  # the lock of `exclusive`: it is held for a short time, and others wait for it
_DERIVED = "derived"  # the lock of `deriving`
_PATIENCE = 600.0  # seconds; preparing a dataset or drawing the report takes at most that long


class InUseError(RunError):
    """Another process holds a folder.

    Args:
        holding: The beginning of a sentence that says who holds what.
    """

    def __init__(self, holding: str) -> None:
        super().__init__(f"{holding}. Wait until it ends, or choose another folder with --out.")
        self.holding = holding


@contextmanager
def locked(
    folder: Path, part: str = RUN, opening: Callable[[list[str]], None] = lambda _: None
) -> Iterator[None]:
    """Hold a folder, or a shard of its run, for this process.

    Args:
        folder: The run folder.
        part: ``run``, or the name of a shard. Nothing else may run beside a run, and only shards of the same
            count may run beside a shard.
        opening: Called with the names of the other shards that are held, before another process can hold
            one. What it raises releases the lock.

    Raises:
        RunError: Another process holds it; the message names the process and its machine.
    """
    lock, owner = FileLock(folder / f"{part}.lock"), folder / f"{part}.owner.json"
    with exclusive(folder):
        _acquire(lock, 0, folder, part)
        try:
            beside = active_holders(folder, part)
            for other in beside:
                if RUN in (part, other) or _kind(part) != _kind(other):
                    raise InUseError(_in_use(folder, other))
            holder = {
                "pid": os.getpid(),
                "host": platform.node(),
                "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            }
            with writing(folder):
                owner.write_text(json.dumps(holder) + "\n", "utf-8")
            opening(beside)
        except BaseException:
            _release(lock, owner)
            raise
    try:
        yield
    finally:
        _release(lock, owner)


_of_derived: dict[Path, FileLock] = {}  # one per folder, because the same lock can be held twice by a thread


@contextmanager
def deriving(folder: Path) -> Iterator[None]:
    """Write what follows from the trials of a folder, as one process does at a time; wait for others first.

    Tables, figures and reports are then of one state. Who holds the lock may call this again. In a folder
    that cannot be written to, nobody writes.

    Raises:
        RunError: Another process held the folder for ten minutes.
    """
    lock = _of_derived.setdefault(folder.absolute(), FileLock(folder / f"{_DERIVED}.lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise RunError(
            f"{folder}: another process has been writing tables, figures or reports for ten minutes. Wait "
            "until it ends, or end it."
        ) from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Do something in a folder that only one process may do at a time; wait for other processes first.

    Raises:
        RunError: Other processes held the folder for ten minutes.
    """
    lock = FileLock(folder / f"{_SHORT}.lock")
    _acquire(lock, _PATIENCE, folder, _SHORT)
    try:
        yield
    finally:
        lock.release()


def active_holders(folder: Path, part: str) -> list[str]:
    """Return the parts, other than ``part``, that processes hold now; call it inside `exclusive`."""
    return [
        name
        for name in sorted(file.stem for file in folder.glob("*.lock"))
        if name not in (part, _SHORT, _DERIVED) and _is_held(folder / f"{name}.lock")
    ]


def running_parts(folder: Path, is_recent: Callable[[str], bool], besides: str = "") -> set[str]:
    """Return the parts that processes are running now, for whoever only watches; nobody waits for it.

    A shared folder may not show the locks of other machines, and a folder that is being opened by another
    process shows none. Then the recorded owners are believed, those on other machines if they are recent.

    Args:
        folder: The run folder.
        is_recent: Whether there is recent news of a part.
        besides: A part that this process holds, which is left out.
    """
    owners = {file.name.removesuffix(".owner.json") for file in folder.glob("*.owner.json")} - {besides}
    away = {part for part in owners if _host(folder / f"{part}.owner.json") not in ("", platform.node())}
    believed = {part for part in away if is_recent(part)}
    if not any(folder.glob("*.lock")):  # nothing runs here, and a watcher leaves no lock behind
        return believed
    lock = FileLock(folder / f"{_SHORT}.lock")
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError):
        return believed | (owners - away)
    try:
        return believed | set(active_holders(folder, besides))
    finally:
        lock.release()


def _host(owner: Path) -> str:
    """Return the machine that an owner's file names; empty if it names none."""
    try:
        return str(read_json(owner)["host"])
    except DAMAGED:
        return ""


def _acquire(lock: FileLock, seconds: float, folder: Path, part: str) -> None:
    with writing(folder):
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            raise InUseError(_in_use(folder, part)) from None
        except NotImplementedError:
            raise RunError(
                f"{folder} is on a file system that does not support file locks; choose another folder with "
                "--out."
            ) from None


def _release(lock: FileLock, owner: Path) -> None:
    with suppress(OSError):
        owner.unlink(missing_ok=True)
    lock.release()


def _is_held(file: Path) -> bool:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _kind(part: str) -> str:
    """Return what shards of the same run have in common: ``of-8``."""
    return part.partition("-of-")[2]


def _in_use(folder: Path, part: str) -> str:
    what = str(folder) if part in (RUN, _SHORT) else f"{folder}, {part.replace('-', ' ')},"
    return f"{what} is in use by {_describe(folder / f'{part}.owner.json')}"


def _describe(owner: Path) -> str:
    try:
        record = read_json(owner)
        return f"process {record['pid']} on {record['host']}, since {record['since']}"
    except DAMAGED:
        return "another process"
