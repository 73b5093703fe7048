"""How variants are compared, as a study declares it before its first trial."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ablation.grid.settings import Settings

# Metrics that are shares, told in percentage points, and metrics of which less is better.
_SHARES = """
    accuracy binary_accuracy categorical_accuracy top_k_categorical_accuracy auc precision recall f1_score
    f_beta_score io_u one_hot_io_u mean_io_u one_hot_mean_io_u precision_at_recall recall_at_precision
    sensitivity_at_specificity specificity_at_sensitivity
""".split()
_LOWER_IS_BETTER = """
    loss mean_squared_error root_mean_squared_error mean_absolute_error mean_absolute_percentage_error
    mean_squared_logarithmic_error log_cosh_error kl_divergence poisson categorical_crossentropy
    binary_crossentropy hinge squared_hinge categorical_hinge false_positives false_negatives
""".split()


def limits(column: str) -> tuple[float, float]:
    """Return the least and the greatest value that a column of the results can have."""
    part, _, name = column.partition("_")
    if part in ("train", "val", "test", "active") and name in _SHARES:
        return 0.0, 1.0
    if column in ("accuracy", "confidence", "calibration_error"):
        return 0.0, 1.0
    return (-1.0, 1.0) if part == "gap" and name in _SHARES else (-math.inf, math.inf)


def _points(value: Any) -> Any:
    """Read ``0.5pp``, half a percentage point, as 0.005."""
    number = value.removesuffix("pp").strip() if isinstance(value, str) and value.endswith("pp") else None
    if number is None:
        return value
    try:
        return float(number) / 100
    except ValueError:
        raise ValueError(f"'{value}' is no number of percentage points, like 0.5pp") from None


Positive = Annotated[float, Field(gt=0)]


class CompareSettings(Settings):
    """How variants are compared with the baseline; declared before the run."""

    metric: str = "test_accuracy"
    """A column of the results."""
    direction: Literal["higher", "lower"] | None = None
    """Which values of the metric are the better ones, of a metric whose name does not say so; by default the
    higher ones."""
    margin: Annotated[Positive, BeforeValidator(_points, json_schema_input_type=Positive | str)] = 0.005
    """The smallest difference that matters, in the metric's own unit; ``0.5pp`` is 0.005. A variant whose
    interval lies within plus and minus the margin is equivalent to the baseline. Only shares, like an
    accuracy, have one by default."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The risk of calling any variant better or worse, or an effect real, where none is."""
    correction: Literal["holm", "none"] = "holm"
    """How that risk is held over all variants: ``holm``, or ``none`` for each on its own."""
    looks: Literal["once", "any"] = "once"
    """``once``: intervals and p hold for a number of seeds that was fixed beforehand. ``any``: they hold
    however often one looks and adds seeds; they are wider."""

    @property
    def trouble(self) -> str:
        """What is missing, or too much, of a metric that there is; empty where nothing is."""
        if not self.in_points and "margin" not in self.model_fields_set:
            return f"needs a margin, the smallest difference in {self.metric} that matters."
        if self.direction and (self.in_points or self._is_known_as_lower):
            better = "higher" if self.higher_is_better else "lower"
            return f"{better} values of {self.metric} are the better ones; leave direction out."
        return ""

    @property
    def in_points(self) -> bool:
        """Whether the metric is a share, whose differences are told in percentage points."""
        return self._name in _SHARES

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the metric is the better one."""
        return not self._is_known_as_lower and (self.in_points or self.direction != "lower")

    @property
    def _is_known_as_lower(self) -> bool:
        return self.metric.startswith("gap_") or self._name in _LOWER_IS_BETTER

    @property
    def _name(self) -> str:
        """The metric without the part of the images that it is measured on."""
        return self.metric.partition("_")[2]
