"""TensorFlow and Keras in a process: their start, and settings that no file of the user's changes."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np

from ablation.errors import AblationError

T = TypeVar("T")

_backend = {"of this process": "tensorflow"}

# Keras reads these from ~/.keras/keras.json, where they would change what a trial computes.
_STANDARD: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
KERAS_DEFAULTS: dict[str, Any] = {"backend": "tensorflow", **_STANDARD}


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide TensorFlow's native messages, about missing GPUs for example, from the terminal."""
    try:
        kept = os.dup(2)
    except OSError:  # a program without a terminal, as IDLE on Windows
        yield
        return
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
    require_keras()  # first, because TensorFlow imports Keras, which then decides on its backend
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


def _take_gpu_memory_as_needed() -> None:
    """Let TensorFlow take no more of a GPU's memory than it needs, because a study may run on it, too."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # this process has used the GPU before
            tf.config.experimental.set_memory_growth(gpu, True)


def start_tensorflow(threads: int) -> None:
    """Import TensorFlow as fast as possible and configure it, at the start of a worker process."""
    gc.disable()  # garbage collection would take a quarter of the time of the import
    with _absent("sklearn", "matplotlib", "IPython"):  # so would these, which Keras imports if it can
        configure_tensorflow(threads)
    gc.freeze()  # imported modules stay for good, so that no collection need examine them
    gc.enable()


class _WithoutTensorFlow:
    """Lets an import of TensorFlow fail as if it were not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        """Refuse to find TensorFlow; what is None here is looked for elsewhere."""
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def start_jax(threads: int) -> None:
    """Let this process compute with JAX instead of TensorFlow, which is then never imported.

    It is called before Keras is imported. XLA is set to compute the same bits in every run on a device, and
    to take no more memory than it needs.

    Args:
        threads: The number of threads on a processor.

    Raises:
        AblationError: Keras already runs here with TensorFlow.
    """
    _backend["of this process"] = "jax"
    os.environ["NPROC"] = str(threads)  # from which XLA takes the size of its thread pool
    os.environ["XLA_FLAGS"] = xla_flags_of_jax()
    os.environ["JAX_DEFAULT_PRNG_IMPL"] = "threefry2x32"  # the only one whose keys Keras makes
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _WithoutTensorFlow())  # Keras would import it if it could
    require_keras()


def xla_flags_of_jax() -> str:
    """Return the flags of XLA that `start_jax` sets: those of the user, and deterministic operations."""
    flags = os.environ.get("XLA_FLAGS", "")
    is_chosen = "xla_gpu_deterministic_ops" in flags
    return flags if is_chosen else f"{flags} --xla_gpu_deterministic_ops=true".strip()


def uses_jax() -> bool:
    """Return whether this process computes with JAX."""
    return _backend["of this process"] == "jax"


def require_keras() -> None:
    """Import Keras with the backend of this process, whatever the user's keras.json and environment say.

    That is TensorFlow, unless `start_jax` was called.

    Raises:
        AblationError: Keras already runs here with another backend, or its keras.json is not valid.
    """
    wanted = _backend["of this process"]
    if "keras" not in sys.modules:
        chosen = os.environ.get("KERAS_BACKEND")
        os.environ["KERAS_BACKEND"] = wanted
        try:
            import keras
        except (ValueError, ImportError) as error:  # TensorFlow may have imported a part of it before
            raise AblationError(f"Keras cannot be imported; check its keras.json: {error}") from None
        finally:  # which backend other processes of the user have is none of our business
            os.environ.pop("KERAS_BACKEND")
            os.environ |= {"KERAS_BACKEND": chosen} if chosen is not None else {}
        if wanted == "tensorflow":
            _take_gpu_memory_as_needed()
    import keras

    if (backend := keras.backend.backend()) != wanted:
        needed = "JAX" if wanted == "jax" else "TensorFlow"
        raise AblationError(
            f"Keras already runs in this process with the backend {backend}, but trials need {needed}. Set "
            f"the environment variable KERAS_BACKEND to {wanted} before Keras is imported."
        )


def seed_draws_without_seed(seed: int) -> None:
    """Seed what Python, NumPy and TensorFlow draw for code that names no seed."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  code of users draws from it
    if not uses_jax():
        import tensorflow as tf

        tf.random.set_seed(seed)


@contextmanager
def standard_keras(precision: str = "float32") -> Iterator[None]:
    """Set a dtype policy and Keras's own defaults in the block, whatever the user's keras.json says."""
    require_keras()
    import keras

    policy, found = keras.config.dtype_policy(), keras_settings()
    _set_keras(_STANDARD)
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        _set_keras(found)
        keras.config.set_dtype_policy(policy)


def start_build(seed: int, precision: str) -> None:
    """Let Keras and code of a user begin a model as if it were the first one of the process."""
    import keras

    keras.utils.clear_session()  # so that layers without a name are numbered from the start
    keras.config.set_dtype_policy(precision)  # which clearing the session has reset
    keras.utils.set_random_seed(seed)  # of Python and NumPy, too


def keras_settings() -> dict[str, Any]:
    """Return the settings of Keras in this process that `standard_keras` replaces, by name."""
    import keras

    return {name: getattr(keras.config, name)() for name in _STANDARD}


def _set_keras(settings: dict[str, Any]) -> None:
    import keras

    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)


@contextmanager
def nothing_computed() -> Iterator[None]:
    """Create Keras objects in the block without starting TensorFlow, whose first settings are final.

    What is created belongs to a graph that is never run. So a notebook's own TensorFlow keeps its settings,
    and may have computed before. Code that needs values, as `numpy()` does, raises an error.
    """
    require_keras()
    if uses_jax():
        yield
        return
    import tensorflow as tf

    with tf.Graph().as_default():
        yield


def without_computing(create: Callable[[], T]) -> T:
    """Return what a function creates with `nothing_computed`, or, where its code needs values, as usual."""
    try:
        with nothing_computed():
            return create()
    except Exception:  # code that raises it for another reason raises it again
        return create()


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
