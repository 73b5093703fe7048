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
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Stream = Literal["init", "order", "dropout", "augmentation", "label_noise", "split", "test"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

# The streams that images are drawn from: training and validation images, and test images.
IMAGE_STREAMS: tuple[Stream, ...] = ("split", "test")

# What follows the seed unless a study says otherwise: the streams of training. The images are then the same
# for every seed.
DEFAULT_VARY: tuple[Stream, ...] = ("init", "order", "dropout", "augmentation")


@dataclass(frozen=True)
class Randomness:
    """The random streams of a trial: of initial weights, batch order, dropout, augmentation, labels, images.

    Attributes:
        seed: The trial's seed.
        vary: The streams that follow the seed; the others are those of seed 0 for every seed. Without
            ``split``, nothing is drawn from that stream: the split is then that of the dataset. Without
            ``test``, the test images are those of the dataset.
    """

    seed: int
    vary: tuple[Stream, ...] = DEFAULT_VARY

    def derive(self, stream: Stream, name: str) -> int:
        """Return the seed of the object called ``name``, usually a layer, in a stream."""
        return derive_seed(self.seed if stream in self.vary else 0, stream, name)

    def batch_order(self, epoch: int, images: int) -> NDArray[np.int32]:
        """Return the order in which an epoch visits the training images, a permutation of shape (images,)."""
        return np.random.default_rng(self.derive("order", str(epoch))).permutation(images).astype(np.int32)

    @property
    def draws_images(self) -> bool:
        """Whether the seed draws its own training and validation images."""
        return "split" in self.vary

    @property
    def draws_test_images(self) -> bool:
        """Whether the seed draws its own test images, too."""
        return "test" in self.vary

    def image_order(self, labels: NDArray[Any], stream: Stream = "split") -> NDArray[np.int64]:
        """Return the order in which a seed takes images from a pool, a permutation of shape (images,).

        Every stretch of it has the classes in their shares of the pool: the images of a class are spread
        evenly over the order, from a random start. Images with several labels are in random order.

        Args:
            labels: The labels of the pool, (images,); or several labels per image, (images, labels).
            stream: What the images are taken for: ``split``, training and validation, or ``test``.
        """
        generator = np.random.default_rng(self.derive(stream, "images"))
        order = generator.permutation(len(labels))
        if labels.ndim == 2:
            return order
        places = np.empty(len(labels))
        for kind in np.unique(labels):
            members = order[labels[order] == kind]
            places[members] = (np.arange(len(members)) + generator.random()) / len(members)
        return np.argsort(places, kind="stable")


def derive_seed(seed: int, stream: Stream, name: str) -> int:
    """Return a seed from 0 to 2**31 - 1, a hash of the trial's seed, the stream and the name."""
    digest = hashlib.sha256(f"{seed}/{stream}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
