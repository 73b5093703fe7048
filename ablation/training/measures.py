"""What is measured of a model's outputs: loss, accuracy and further metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablation.data.datasets import Part
from ablation.data.predictions import Predictions
from ablation.grid.keras_names import measured, metric
from ablation.grid.settings import TrainingSettings, metric_name
from ablation.training.objective import Objective, seen_by_metric
from ablation.training.outputs import Outputs


class Measures:
    """The measures of a trial, computed on all images of a part at once.

    Args:
        objective: The loss, which is measured without penalties and weights.
        training: The training settings, with the further metrics.
        classes: The number of classes, or of labels.
        multi_label: Whether an image has any number of labels.
    """

    def __init__(
        self, objective: Objective, training: TrainingSettings, classes: int, multi_label: bool
    ) -> None:
        self._objective = objective
        self._extra = [(name, metric(name)) for name in training.metrics]
        self._classes = classes
        self._multi_label = multi_label

    def of(self, part: Part, outputs: Outputs) -> dict[str, float]:
        """Return loss, accuracy and the further metrics of a part, by name; no image or class has a weight.

        Args:
            part: The images and their labels.
            outputs: A model's outputs for them.
        """
        targets, tensor = self._targets(part), outputs.tensor()
        is_right = Predictions.of(outputs.probabilities, self._multi_label).right(part.labels)
        measures = {
            "loss": float(self._objective(targets, tensor)),
            "accuracy": float(np.mean(is_right)),
        }
        for name, extra in self._extra:
            measures[metric_name(name)] = measured(extra, *seen_by_metric(name, targets, tensor))
        return measures

    def _targets(self, part: Part) -> NDArray[np.float32]:
        if self._multi_label:
            return part.labels.astype(np.float32)
        return np.eye(self._classes, dtype=np.float32)[part.labels]
