"""The provenance of a result: the machine, the versions and the state of the code that produced it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ablation.digest import short_digest
from ablation.grid.study import Engine
from ablation.tensorflow_setup import KERAS_DEFAULTS, uses_jax, xla_flags_of_jax

# What can change the last bit of a result: trials that differ in these ran in different environments. The
# other keys are for the reader only. The harness's own computation is in the trial's id, as training version.
NUMERIC = (
    "tensorflow", "jax", "keras", "numpy", "machine", "cpu features", "accelerator", "gpu software",
    "threads", "environment variables",
)  # fmt: skip

_OF_ENGINE = ("accelerator", "gpu software")  # what only a process knows in which the engine runs

SEEDS_AT_ONCE = "seeds at once"  # how many the JAX engine trained together; it changes the rounding only

# The environment variables by which an engine chooses other kernels, precisions or random numbers. Numbers of
# threads are not among them: workers set these, as they set what keras.json would change.
_OF_BOTH = ("NVIDIA_TF32_OVERRIDE", "XLA_FLAGS")
_OF_TENSORFLOW = (
    "ONEDNN_CPU_ISA_HINTS", "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA",
    "TF_CONV2D_USE_FP16_ACCUMULATE", "TF_CUDNN_DISABLE_CONV_1X1_OPTIMIZATION", "TF_CUDNN_USE_RUNTIME_FUSION",
    "TF_DISABLE_SCATTER_OP_DETERMINISM", "TF_DISABLE_SEGMENT_REDUCTION_OP_DETERMINISM_EXCEPTIONS",
    "TF_ENABLE_FFT_TILING_FORWARD", "TF_ENABLE_ONEDNN_OPTS", "TF_ENABLE_ONEDNN_SPMM",
    "TF_ENABLE_WINOGRAD_NONFUSED", "TF_ENABLE_ZENDNN_OPTS", "TF_FP16_CONV_USE_FP32_COMPUTE",
    "TF_FP16_MATMUL_USE_FP32_COMPUTE", "TF_FP16_RNN_USE_FP32_COMPUTE", "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_USE_CUBLASLT", "TF_USE_CUDNN_BATCHNORM_SPATIAL_PERSISTENT", "TF_USE_DEEP_CONV2D",
    "TF_USE_DEFAULT_CONV_ALGO", "TF_XLA_FLAGS",
)  # fmt: skip
_OF_JAX = (
    "JAX_ALLOW_F16_REDUCTIONS", "JAX_COMPILER_ENABLE_REMAT_PASS", "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DISABLE_JIT", "JAX_ENABLE_CUSTOM_PRNG", "JAX_ENABLE_X64",
    "JAX_EXEC_TIME_OPTIMIZATION_EFFORT", "JAX_EXPLICIT_X64_DTYPES", "JAX_HIGH_DYNAMIC_RANGE_GUMBEL",
    "JAX_NUMPY_DTYPE_PROMOTION", "JAX_OPTIMIZATION_LEVEL", "JAX_RANDOM_SEED_OFFSET",
    "JAX_SOFTMAX_CUSTOM_JVP", "JAX_THREEFRY_GPU_KERNEL_LOWERING", "JAX_THREEFRY_PARTITIONABLE",
    "JAX_USE_DIRECT_LINEARIZE",
)  # fmt: skip
VARIABLES: dict[Engine, tuple[str, ...]] = {
    "tensorflow": tuple(sorted(_OF_BOTH + _OF_TENSORFLOW)),
    "jax": tuple(sorted(_OF_BOTH + _OF_JAX)),
}

# The instruction sets that TensorFlow's kernels choose between.
_FEATURES = ("sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512", "avx_vnni", "amx", "sve", "asimd")


def worker_provenance(threads: int) -> dict[str, str]:
    """Describe this process: the versions of the libraries that compute, the processor, the threads."""
    return {**_machine(), "threads": str(threads)}


def processor() -> dict[str, str]:
    """Describe what decides how fast TensorFlow computes on this machine's processor, without starting it."""
    return {
        **_versions("tensorflow"),
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "cpu features": _features(),
        "environment variables": environment_variables("tensorflow"),
    }


def environment_variables(engine: Engine) -> str:
    """Return those of `VARIABLES` that are set, as a worker of the engine has them, or ``none``."""
    values = {name: value for name in VARIABLES[engine] if (value := _value(name)) is not None}
    if engine == "jax":
        values["XLA_FLAGS"] = xla_flags_of_jax()
    return " ".join(f"{name}={values[name]}" for name in sorted(values)) or "none"


def _value(name: str) -> str | None:
    """Return the value of an environment variable; oneDNN reads each of its own under a former name, too."""
    return os.environ.get(name, os.environ.get(name.replace("ONEDNN_", "DNNL_", 1)))


def environment_here(engine: Engine, threads: int) -> dict[str, str]:
    """Return the numeric part of the provenance of a worker on this machine, without starting one.

    ``accelerator`` and ``gpu software`` are left out, because only the engine knows them.
    """
    known = {
        **_versions(engine, "keras", "numpy"),
        "machine": platform.machine(),
        "cpu features": _features(),
        "threads": str(threads),
        "environment variables": environment_variables(engine),
    }
    return {key: value for key, value in numeric(known).items() if key not in _OF_ENGINE}


def code_provenance(folder: Path) -> dict[str, str]:
    """Return the git commit of the folder's repository, and whether tracked files were changed since.

    Git runs programs that a repository's configuration names, and the repository may be anybody's. Those that
    looking for changes would run are switched off; a filter cannot be, and where there is one, nobody looks.

    Returns:
        ``git commit`` and ``git dirty`` (yes, no or unknown); empty if the folder is in no repository, or git
        is not installed.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        settings = _git(folder, "config", "--list", "--name-only", "--show-scope")
    except (OSError, subprocess.SubprocessError):
        return {}
    if any(_is_own_filter(*line.partition("\t")[::2]) for line in settings.splitlines()):
        return {"git commit": commit, "git dirty": "unknown"}
    try:
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    except (OSError, subprocess.SubprocessError):
        return {"git commit": commit, "git dirty": "unknown"}
    return {"git commit": commit, "git dirty": "yes" if changed else "no"}


def _is_own_filter(scope: str, name: str) -> bool:
    return scope not in ("system", "global") and name.startswith("filter.")


def numeric(provenance: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a provenance that can change a result's bits."""
    return {key: provenance.get(key, "unknown") for key in NUMERIC}


def digest(provenance: Mapping[str, str]) -> str:
    """Return a short hash of the part of a provenance that can change a result's bits."""
    return short_digest(repr(sorted(numeric(provenance).items())))


def differences(provenances: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Return each numeric key in which provenances differ, with the count of each of its values.

    Args:
        provenances: One per trial. Empty ones, of trials that never ran, are left out.
    """
    values: dict[str, dict[str, int]] = {}
    for provenance in provenances:
        for key, value in numeric(provenance).items() if provenance else ():
            counts = values.setdefault(key, {})
            counts[value] = counts.get(value, 0) + 1
    return {key: counts for key, counts in values.items() if len(counts) > 1}


@cache
def _machine() -> dict[str, str]:
    about = processor()
    return {
        "python": platform.python_version(),
        **_versions("ablation-harness", "jax" if uses_jax() else "tensorflow", "keras", "numpy"),
        "system": platform.platform(),
        "host": platform.node(),
        "machine": platform.machine(),
        "processor": about["processor"],
        "cpu features": about["cpu features"],
        "accelerator": _accelerator(),
        **_gpu_software(),
        "environment variables": environment_variables("jax" if uses_jax() else "tensorflow"),
        "keras.json": _keras_file(),
        "cores": str(os.cpu_count() or "unknown"),
    }


def _versions(*names: str) -> dict[str, str]:
    """Return the versions of those that are installed."""
    versions = {}
    for name in names:
        with suppress(PackageNotFoundError):  # the harness itself may be a folder on the path
            versions[name] = version(name)
    return versions


def _features() -> str:
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return " ".join(sorted(flag for flag in flags if flag.startswith(_FEATURES))) or "unknown"


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next(
        (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), ""
    )


def _accelerator() -> str:
    if uses_jax():
        import jax

        devices = jax.devices()
        names = {str(device.device_kind) for device in devices if device.platform != "cpu"}
    else:
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        gpus = tf.config.list_physical_devices("GPU")
        names = {str(details(gpu).get("device_name", "GPU")) for gpu in gpus}
    return ", ".join(sorted(names)) or "none"


def _gpu_software() -> dict[str, str]:
    """Return the versions of what computes on a GPU, and whether it rounds to TF32; empty without a GPU."""
    if _accelerator() == "none":
        return {}
    if uses_jax():
        import jax

        precision = getattr(jax.config, "jax_default_matmul_precision", None) or "default"
        parts = [jax.devices()[0].client.platform_version, f"matmul precision {precision}"]
    else:
        import tensorflow as tf

        build = tf.sysconfig.get_build_info()
        rounds = tf.config.experimental.tensor_float_32_execution_enabled()
        versions = {"CUDA": "cuda_version", "cuDNN": "cudnn_version"}
        parts = [f"{name} {build.get(key, 'unknown')}" for name, key in versions.items()]
        parts.append(f"TF32 {'on' if rounds else 'off'}")
    return {"gpu software": ", ".join([*(" ".join(part.split()) for part in parts), _driver()])}


def _driver() -> str:
    with suppress(OSError, IndexError):
        words = Path("/proc/driver/nvidia/version").read_text().splitlines()[0].split()
        return f"driver {next(word for word in words if word[0].isdecimal() and '.' in word)}"
    return "driver unknown"


def _keras_file() -> str:
    """Return what the user's keras.json would change; trials use Keras's own defaults instead."""
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        settings = json.loads(file.read_text("utf-8"))
        changed = {key: settings[key] for key in sorted(settings) if settings[key] != KERAS_DEFAULTS.get(key)}
    except (OSError, ValueError, AttributeError):
        return "none"
    text = ", ".join(f"{key} {value}" for key, value in changed.items())
    return f"{text} (not used)" if text else "none"


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints, without what the repository's configuration would have it run."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(folder)]
    run = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=10,
        check=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return run.stdout.strip()
