"""Every random choice of a trial, as a pure function of its seed.

Keras's global seed does not pair variants: each unseeded layer draws from it in turn, so that a Dropout
layer changes the initial weights of every layer behind it. Here a layer's seed depends on the trial's
seed and on the layer's own name alone, and a batch order on the seed and the epoch alone. Variants that
share a layer share its initial weights, and all variants of a seed see the same batches.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Stream = Literal["init", "order", "dropout"]


def derive_seed(seed: int, stream: Stream, name: str) -> int:
    """Return a seed from 0 to 2**31 - 1 that no other seed, stream or name shares (but by chance)."""
    digest = hashlib.sha256(f"{seed}/{stream}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def batch_order(seed: int, epoch: int, images: int) -> NDArray[np.int32]:
    """Return the order in which an epoch visits the training images: (images,), a permutation."""
    generator = np.random.default_rng(derive_seed(seed, "order", str(epoch)))
    return generator.permutation(images).astype(np.int32)
