"""A connection to a Ray cluster, which it may have to start, and how many trials fit into it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from ablation.data.datasets import Dataset
from ablation.errors import RunError

_LOOK_AGAIN = 5.0  # seconds until nodes are counted again
_AHEAD = 16  # tasks that wait in a shared cluster, beside twice as many as it can run: they make it grow


def require_ray() -> None:
    """Refuse to begin without Ray.

    Raises:
        RunError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise RunError(
            "--executor ray needs Ray, which is not installed: pip install 'ablation-harness[ray]'"
        )


class RayCluster:
    """A connection to a Ray cluster, made when it is first needed.

    Args:
        address: The address, as `ray.init` takes it. The default is that of RAY_ADDRESS or, if it is not set,
            a new cluster of this process, which listens on the loopback interface only.
        workers: The largest number of trials at a time; by default as many as there is room for.
        gpus: The number of GPUs per trial, or a fraction of one.
    """

    _ending: ClassVar[threading.Thread | None] = None  # shared, because a process has one Ray connection

    def __init__(self, address: str | None, workers: int | None, gpus: float) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._starts_cluster = self._address == "local"
        self._workers = workers
        self.gpus = gpus
        self._connected = False  # whether this object made the connection, and so has to end it
        self._dataset_references: dict[Path, Any] = {}
        self._counted_at, self._room = -_LOOK_AGAIN, 0
        self._has_announced_waiting = False

    def connect(self, threads: int) -> None:
        """Connect, unless this process is connected already.

        Args:
            threads: The number of threads per trial.

        Raises:
            RunError: Ray is not installed, or no cluster of the same Ray version answers.
        """
        if self._starts_cluster or self._address.startswith(("127.", "localhost")):
            # Ray's switch for clusters over the network: without it, all stays on the loopback address.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        require_ray()
        import ray

        if self._ending:
            self._ending.join()
        if ray.is_initialized():
            return
        _refuse_unreachable(self._address)
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": str(threads)}
        if (
            self._starts_cluster
        ):  # Ray starts processes before the first task, and they inherit the environment
            cores = self._workers and self._workers * threads
            options: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False}
        else:
            options = {"runtime_env": {"env_vars": environment}}
        on_termination = signal.getsignal(signal.SIGTERM)
        try:
            with _environment(environment if self._starts_cluster else {}):
                ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise RunError(f"--address {self._address}: {str(error).strip().splitlines()[0]}") from None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_termination)  # Ray's handler would end the process silently
        self._connected = True

    def close(self, wait: bool = True) -> None:
        """End the connection, and the cluster if this process started it.

        Args:
            wait: Whether to return only when they have ended; otherwise the next connection waits for that.
                When they have ended, no object of Ray may be left, not even in the traceback of an exception:
                it would end this process.
        """
        self._dataset_references.clear()
        if self._connected:
            import ray

            RayCluster._ending = threading.Thread(target=ray.shutdown)
            RayCluster._ending.start()
            self._connected = False
            if wait:
                RayCluster._ending.join()

    def dataset(self, file: Path) -> Any:
        """Return a reference to a dataset that each node fetches once, for all of its processes."""
        import ray

        if file not in self._dataset_references:
            self._dataset_references[file] = ray.put(Dataset.load(file))
        return self._dataset_references[file]

    def places(self, threads: int) -> int:
        """Return how many tasks to submit to Ray at a time; nodes may come and go.

        In a cluster that this process started, that is as many as can run: a process that has ended a trial
        is then given another trial of the variant whose graph it has. In other clusters it is more, so that a
        new node has work at once.

        Raises:
            RunError: No trial fits into the cluster, and no node can join it.
        """
        if time.monotonic() - self._counted_at >= _LOOK_AGAIN:
            import ray

            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            room = sum(self.fitting(node, threads) for node in nodes)
            if not room:
                self._tell_of_no_room(nodes, threads)
            self._counted_at = time.monotonic()
            self._room = room if self._starts_cluster else 2 * room + _AHEAD
        return min(self._room, self._workers or self._room)

    def fitting(self, node: Mapping[str, float], threads: int) -> int:
        """Return how many trials a node with these resources can run at once."""
        by_cpu = node.get("CPU", 0) // threads
        by_gpu = (node.get("GPU", 0) + 1e-9) // self.gpus if self.gpus else by_cpu
        return int(min(by_cpu, by_gpu))

    def _tell_of_no_room(self, nodes: list[Mapping[str, float]], threads: int) -> None:
        needed = f"each trial needs CPU: {threads}, GPU: {self.gpus:g}"
        available = ", ".join(
            f"{kind}: {sum(node.get(kind, 0) for node in nodes):g}" for kind in ("CPU", "GPU")
        )
        if self._starts_cluster:
            raise RunError(f"--executor ray: {needed}, but this machine has {available}.")
        if not self._has_announced_waiting:
            print(f"Waiting for a node: {needed}, but the cluster has {available} so far.", file=sys.stderr)
        self._has_announced_waiting = True


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change this process's environment within the block, for the processes that it starts there."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            os.environ.pop(name)
        os.environ.update(before)


def _refuse_unreachable(address: str) -> None:
    """Raise an error at once if no cluster answers; Ray itself would try for a quarter of an hour."""
    if "://" in address:
        raise RunError(
            f"--address {address}: run the command inside the cluster, as `ray job submit` does; there it "
            "finds the cluster without --address."
        )
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"--address {address}: no Ray cluster answers at this address: {reason}.") from None
