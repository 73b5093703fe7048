"""Making an executor by its name."""

from __future__ import annotations

from pathlib import Path

from ablation.errors import AblationError, did_you_mean
from ablation.executors.contract import EXECUTORS, Executor, ExecutorOptions
from ablation.executors.engine import choose_engine
from ablation.executors.inline import InlineExecutor
from ablation.executors.local import LocalExecutor
from ablation.executors.plugin import PluginExecutor
from ablation.executors.ray import RayExecutor
from ablation.executors.ray_cluster import require_ray
from ablation.grid.study import Engine
from ablation.plugins import plugins
from ablation.tensorflow_setup import configure_tensorflow, start_jax


def require_executor(name: str, address: str | None) -> None:
    """Refuse an executor that does not exist, or an address for one that takes none.

    Raises:
        AblationError: There is no such executor, or it does not take an address.
    """
    others = plugins("executor", EXECUTORS)
    if name not in EXECUTORS and name not in others:
        valid = [*EXECUTORS, *others]
        raise AblationError(f"--executor: there is no executor '{name}'.{did_you_mean(name, valid)}")
    if address and name in ("inline", "local"):
        raise AblationError("--address names a Ray cluster; it can be used only with --executor ray.")


def make_executor(
    name: str,
    workers: int | None,
    threads: int,
    log_folder: Path,
    keep: bool = False,
    address: str | None = None,
    gpus: float = 0.0,
    engine: Engine | None = None,
) -> Executor:
    """Return the executor of that name.

    Args:
        name: ``local`` (worker processes), ``inline`` (this process, one trial after the other), ``ray``
            (a Ray cluster), or the name of a plug-in's.
        workers: The number of trials at a time; by default as many as there is room for.
        threads: The number of threads per trial.
        log_folder: The folder for the error output of worker processes.
        keep: Whether to keep the processes from one `run` to the next, until `close`.
        address: The address of the Ray cluster; by default a cluster is started on this machine.
        gpus: The number of GPUs per trial, or a fraction of one; only Ray assigns a fraction.
        engine: What trains the models; by default `choose_engine` decides.

    Raises:
        AblationError: There is no such executor, or it does not take an address; Ray is not installed; or a
            plug-in does not make one; or TensorFlow already runs in this process with another number of
            threads, where trials are to run in it.
    """
    require_executor(name, address)
    if plugin := plugins("executor", EXECUTORS).get(name):
        return PluginExecutor(
            plugin, ExecutorOptions(workers, threads, log_folder, keep, address, gpus, engine)
        )
    if name == "ray":
        if engine == "jax":
            raise AblationError(
                "--executor ray trains with TensorFlow only; `engine: jax` needs --executor local or inline."
            )
        require_ray()
        return RayExecutor(address, workers, gpus, keep)
    chosen = choose_engine(engine)
    if name == "inline":
        if chosen.name == "jax":
            start_jax(threads)
        else:
            configure_tensorflow(
                threads
            )  # before a metric or a loss of the grid is tried out in this process
        return InlineExecutor(chosen.name)
    count = chosen.workers(workers, threads)
    return LocalExecutor(count, log_folder, keep, chosen.name, chosen.gpus)
