"""The predictions of trained models on the test images, as far as tables and figures need them."""

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
        classes: The predicted classes, (images,); or, if images have several labels, whether each label is
            predicted, (images, labels), 0 or 1.
        confidence: The probability of each prediction, of the same shape.
    """

    classes: NDArray[np.integer[Any]]
    confidence: NDArray[np.float32]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], multi_label: bool = False) -> Predictions:
        """Reduce probabilities, (images, classes), to predictions, of which thousands fit in memory.

        The predicted class is the one with the highest probability. A label is predicted if its probability
        is above 0.5.
        """
        if multi_label:
            is_predicted = probabilities > 0.5
            return cls(
                is_predicted.astype(np.uint8), np.where(is_predicted, probabilities, 1 - probabilities)
            )
        return cls(probabilities.argmax(axis=1).astype(np.int32), probabilities.max(axis=1))

    def right(self, labels: Labels) -> NDArray[np.bool_]:
        """Return which images are classified correctly, (images,); of several labels, all must be correct."""
        is_correct: NDArray[np.bool_] = self.classes == labels
        return is_correct if is_correct.ndim == 1 else np.asarray(is_correct.all(axis=1))

    def take(self, images: NDArray[np.int64]) -> Predictions:
        """Return the predictions on some of the images."""
        return Predictions(self.classes[images], self.confidence[images])


LabelsBySeed = Mapping[int, Labels]
"""The labels of the test images by seed: the same ones, unless each seed draws its own test images."""

ByTrial = Mapping[str, Mapping[int, Predictions]]
"""The predictions by variant and seed."""
