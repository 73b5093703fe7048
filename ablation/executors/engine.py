"""What trains the models on this machine, and with which GPUs."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ablation.executors.cores import available_cores
from ablation.grid.study import Engine
from ablation.grid.value_text import counted

MOST_SEEDS_AT_ONCE = 20  # with JAX: more would need more memory, and be hardly faster
_CUDA_OF_JAX = ("jax-cuda12-plugin", "jax-cuda13-plugin")
_CUDA_OF_TENSORFLOW = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")


@dataclass(frozen=True)
class ChosenEngine:
    """The engine of a run.

    Attributes:
        name: Its name.
        gpus: The GPUs that it uses, as CUDA numbers them.
        reason: A sentence on what was chosen and why; empty where there was nothing to choose.
    """

    name: Engine
    gpus: tuple[str, ...]
    reason: str

    def workers(self, asked: int | None, threads: int) -> int:
        """Return the number of worker processes: one per GPU that is used, else one per core.

        Args:
            asked: The number that the user asked for.
            threads: The number of threads per trial.
        """
        return asked or len(self.gpus) or max(1, available_cores() // threads)


def choose_engine(asked: Engine | None) -> ChosenEngine:
    """Return the engine that a study asks for or, by default, the one that uses the GPUs of this machine."""
    gpus = visible_gpus()
    seen = f"This machine has {counted(len(gpus), 'GPU')}"
    if asked == "jax":
        slower = "There is no GPU; on a processor, `engine: tensorflow` is usually faster."
        return ChosenEngine("jax", gpus, "" if gpus else slower)
    if not asked and _is_installed("jax") and not _is_installed("tensorflow"):
        return ChosenEngine("jax", gpus, "TensorFlow is not installed, so that trials train with JAX.")
    if not gpus:
        return ChosenEngine("tensorflow", (), "")
    if not asked and _has_any(_CUDA_OF_JAX):
        them = "it" if len(gpus) == 1 else "them"
        reason = f"{seen}. JAX uses {them} and trains the seeds of a variant together (`engine: jax`)."
        return ChosenEngine("jax", gpus, reason)
    if _has_any(_CUDA_OF_TENSORFLOW):
        return ChosenEngine("tensorflow", gpus, f"{seen}, which TensorFlow uses.")
    why = "trials train on the processor: neither TensorFlow nor JAX is installed with CUDA"
    remedy = "`pip install '.[gpu]'` installs JAX with it"
    return ChosenEngine("tensorflow", (), f"{seen}, but {why}. {remedy}.")


def seeds_at_once(engine: Engine, tasks: int, workers: int) -> int:
    """Return how many seeds of a variant a worker trains together at most."""
    return min(MOST_SEEDS_AT_ONCE, math.ceil(tasks / workers)) if engine == "jax" else 1


@cache
def visible_gpus() -> tuple[str, ...]:
    """Return the NVIDIA GPUs that this process may use, as CUDA numbers them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        listed = [number.strip() for number in allowed.split(",")]
        return tuple(number for number in listed if number and number != "-1")
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    names = [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(number) for number in range(len(names)))


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


def _has_any(distributions: Sequence[str]) -> bool:
    for name in distributions:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return True
    return False
