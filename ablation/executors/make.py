"""An executor by its name."""

from __future__ import annotations

from pathlib import Path

from ablation.errors import AblationError, did_you_mean
from ablation.executors.contract import EXECUTORS, Executor
from ablation.executors.cores import available_cores
from ablation.executors.inline import InlineExecutor
from ablation.executors.local import LocalExecutor
from ablation.executors.ray import RayExecutor


def make_executor(
    name: str,
    workers: int | None,
    threads: int,
    log_folder: Path,
    keep: bool = False,
    address: str | None = None,
    gpus: float = 0.0,
) -> Executor:
    """Return the executor of that name.

    Args:
        name: ``local`` (worker processes), ``inline`` (this process, one trial after the other) or ``ray``
            (a Ray cluster).
        workers: How many trials at a time; by default as many as there is room for.
        threads: Threads a trial.
        log_folder: Where the error output of worker processes goes.
        keep: Keep the processes from one `run` to the next, until `close`.
        address: The Ray cluster; by default one that is started on this machine.
        gpus: GPUs a trial, or a fraction of one; only Ray deals them out.

    Raises:
        AblationError: There is no such executor.
    """
    if address and name != "ray":
        raise AblationError("--address names a Ray cluster; it can be used only with --executor ray.")
    if name == "inline":
        return InlineExecutor()
    if name == "local":
        return LocalExecutor(workers or max(1, available_cores() // threads), log_folder, keep)
    if name == "ray":
        return RayExecutor(address, workers, gpus, keep)
    raise AblationError(f"--executor: there is no executor '{name}'.{did_you_mean(name, EXECUTORS)}")
