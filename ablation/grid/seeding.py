"""The random choices of a trial, as pure functions of its seed.

The global seed of Keras does not pair variants: each unseeded layer draws from it in turn, so that a Dropout
layer changes the initial weights of every layer after it. Here, the seed of a layer depends only on the seed
of the trial and on the name of the layer, and the batch order depends only on the seed and the epoch.
Variants that share a layer share its initial weights, and all variants with the same seed see the same
batches.
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
        vary: The streams that follow the seed; the others are those of seed 0 for every seed.
    """

    seed: int
    vary: tuple[Stream, ...] = STREAMS

    def derive(self, stream: Stream, name: str) -> int:
        """Return the seed of the object called ``name``, usually a layer, in a stream."""
        return derive_seed(self.seed if stream in self.vary else 0, stream, name)

    def batch_order(self, epoch: int, images: int) -> NDArray[np.int32]:
        """Return the order in which an epoch visits the training images, a permutation of shape (images,)."""
        return np.random.default_rng(self.derive("order", str(epoch))).permutation(images).astype(np.int32)


def derive_seed(seed: int, stream: Stream, name: str) -> int:
    """Return a seed from 0 to 2**31 - 1, a hash of the trial's seed, the stream and the name."""
    digest = hashlib.sha256(f"{seed}/{stream}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
