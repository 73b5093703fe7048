"""What the trained models make of the test images, as far as tables and figures need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """One trial's predictions on the test images.

    Attributes:
        classes: The predicted classes, (images,).
        confidence: The probability of the predicted class, (images,).
    """

    classes: NDArray[np.int32]
    confidence: NDArray[np.float32]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32]) -> Predictions:
        """Keep of (images, classes) probabilities what is needed: thousands of trials must fit in memory."""
        return cls(probabilities.argmax(axis=1).astype(np.int32), probabilities.max(axis=1))


ByTrial = Mapping[str, Mapping[int, Predictions]]
"""For each variant and seed its predictions."""
