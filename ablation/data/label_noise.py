"""Wrong labels on purpose: symmetric label noise."""

from __future__ import annotations

import numpy as np

from ablation.data.labels import Labels


def noisy(labels: Labels, share: float, classes: int, seed: int) -> Labels:
    """Return labels of which a share is wrong, chosen at random.

    Each wrong label is one of the other classes, all of them equally likely (symmetric noise). If images have
    several labels, that share of all labels is the opposite. With one seed, the labels that are wrong at one
    share are wrong in the same way at every larger share.

    Args:
        labels: The classes, (images,), or whether each label applies, (images, labels).
        share: The share of labels that become wrong, from 0 to 1.
        classes: The number of classes.
        seed: The seed of the random choices.
    """
    generator = np.random.default_rng(seed)
    wrong = generator.permutation(labels.size)[: round(share * labels.size)]
    changed = labels.copy().ravel()
    if labels.ndim == 2:
        changed[wrong] = 1 - changed[wrong]
    else:
        steps = generator.integers(1, classes, labels.size)
        changed[wrong] = (changed[wrong] + steps[wrong]) % classes
    return changed.reshape(labels.shape)
