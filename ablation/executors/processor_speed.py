"""How fast this machine's processor computes, measured once per machine, and what bfloat16 saves on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from ablation.digest import short_digest
from ablation.files import DAMAGED, read_json
from ablation.models.cost import Speed
from ablation.training.provenance import processor

PROVENANCE_KEY = "bfloat16 share"  # under which a trial's provenance keeps what was measured
_INSTRUCTIONS = {"amx_bf16", "avx512_bf16", "svebf16"}
_LONGEST = 120  # seconds; importing TensorFlow for the first time takes 20


@cache
def multiplies_bfloat16() -> bool | None:
    """Return whether the processor has instructions for it; None where the system does not list them."""
    features = processor()["cpu features"]
    return None if features == "unknown" else bool(_INSTRUCTIONS & set(features.split()))


@cache
def processor_speed() -> Speed | None:
    """Return how fast a core of this machine computes.

    It is measured in a process of its own, which takes some seconds, and kept in a file of the user's cache
    for this `machine_key`. Where TensorFlow has to imitate bfloat16, its share is above 1.

    Returns:
        The speed; None if it could not be measured.
    """
    file, key = _cache_folder() / "processor_speed.json", machine_key()
    kept = _kept(file)
    if key not in kept:
        speed = _measured()
        if speed is None:
            return None
        kept[key] = Speed(float(f"{speed.multiply_adds:.2e}"), round(speed.bfloat16_share, 2))
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({key: asdict(speed) for key, speed in kept.items()}), "utf-8")
    return kept[key]


def machine_key() -> str:
    """Return a hash of the processor, the version of TensorFlow, and how its kernels are chosen."""
    return short_digest(repr(sorted(processor().items())))


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ablation"


def _kept(file: Path) -> dict[str, Speed]:
    """Return what was measured before; nothing if the file is missing or damaged."""
    try:
        return {str(key): _speed(fields) for key, fields in read_json(file).items()}
    except DAMAGED:
        return {}


def _speed(fields: Mapping[str, float]) -> Speed:
    return Speed(float(fields["multiply_adds"]), float(fields["bfloat16_share"]))


def _measured() -> Speed | None:
    command = [sys.executable, "-P", "-m", "ablation.training.processor_speed"]
    as_a_worker = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        printed = subprocess.run(
            command,
            env=os.environ | as_a_worker,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=True,
        )
        return _speed(json.loads(printed.stdout))
    except (*DAMAGED, subprocess.SubprocessError):
        return None
