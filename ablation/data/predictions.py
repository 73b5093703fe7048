"""What the trained models make of the test images, as far as tables and figures need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation.data.arrays import Labels


@dataclass(frozen=True)
class Predictions:
    """One trial's predictions on the test images.

    Attributes:
        classes: The predicted classes, (images,); where an image has several labels, whether each is told to
            be there, (images, labels), 0 or 1.
        confidence: The probability of what is predicted, of the same shape.
    """

    classes: NDArray[np.integer[Any]]
    confidence: NDArray[np.float32]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], multi_label: bool = False) -> Predictions:
        """Keep of (images, classes) probabilities what is needed: thousands of trials must fit in memory.

        A class is predicted that has the highest probability, a label that has one over 0.5.
        """
        if multi_label:
            told = probabilities > 0.5
            return cls(told.astype(np.uint8), np.where(told, probabilities, 1 - probabilities))
        return cls(probabilities.argmax(axis=1).astype(np.int32), probabilities.max(axis=1))

    def right(self, labels: Labels) -> NDArray[np.bool_]:
        """Tell which images are told right, (images,); of several labels, all must be."""
        agreed: NDArray[np.bool_] = self.classes == labels
        return agreed if agreed.ndim == 1 else np.asarray(agreed.all(axis=1))

    def take(self, images: NDArray[np.int64]) -> Predictions:
        """Return the predictions on some of the images."""
        return Predictions(self.classes[images], self.confidence[images])


ByTrial = Mapping[str, Mapping[int, Predictions]]
"""For each variant and seed its predictions."""
