"""Every random choice of a trial, as a pure function of its seed.

Keras's global seed does not pair variants: each unseeded layer draws from it in turn, so that a Dropout
layer changes the initial weights of every layer behind it. Here a layer's seed depends on the trial's
seed and on the layer's own name alone, and a batch order on the seed and the epoch alone. Variants that
share a layer share its initial weights, and all variants of a seed see the same batches.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Stream = Literal["init", "order", "dropout", "augmentation"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(frozen=True)
class Randomness:
    """The four random streams of a trial: initial weights, batch order, dropout, augmentation.

    Attributes:
        seed: The trial's seed.
        vary: The streams that follow it; the others are the same for every seed, those of seed 0.
    """

    seed: int
    vary: tuple[Stream, ...] = STREAMS

    def derive(self, stream: Stream, name: str) -> int:
        """Return the seed of what is called ``name`` in a stream, usually a layer."""
        return derive_seed(self.seed if stream in self.vary else 0, stream, name)

    def batch_order(self, epoch: int, images: int) -> NDArray[np.int32]:
        """Return the order in which an epoch visits the training images: (images,), a permutation."""
        return np.random.default_rng(self.derive("order", str(epoch))).permutation(images).astype(np.int32)


def derive_seed(seed: int, stream: Stream, name: str) -> int:
    """Return a seed from 0 to 2**31 - 1 that no other seed, stream or name shares (but by chance)."""
    digest = hashlib.sha256(f"{seed}/{stream}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
