"""Starting TensorFlow in a process: quietly and quickly, with a number of threads, deterministic."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ablation.errors import AblationError


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide TensorFlow's native messages, about missing GPUs for example, from the terminal."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def configure_tensorflow(threads: int) -> None:
    """Set TensorFlow's number of threads and its determinism, before the first operation of the process.

    Raises:
        AblationError: TensorFlow already runs with another number of threads.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        raise AblationError(
            f"TensorFlow already runs in this process with a number of threads other than {threads}, which "
            "cannot be changed any more; use --executor local, which runs trials in processes of their own."
        ) from None
    tf.config.experimental.enable_op_determinism()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def start_tensorflow(threads: int) -> None:
    """Import TensorFlow as fast as possible and configure it, at the start of a worker process."""
    gc.disable()  # garbage collection would take a quarter of the time of the import
    with _absent("sklearn", "matplotlib", "IPython"):  # so would these, which Keras imports if it can
        configure_tensorflow(threads)
        import keras  # noqa: F401
    gc.freeze()  # imported modules stay for good, so that no collection need examine them
    gc.enable()


@contextmanager
def _absent(*modules: str) -> Iterator[None]:
    """Make modules that are not imported yet look as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import of it fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
