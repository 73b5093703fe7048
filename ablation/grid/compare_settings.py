"""How variants are compared, as a study declares it before its first trial."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field

from ablation.grid.settings_group import Settings

# Metrics that are shares, whose differences are in percentage points, and metrics of which less is better.
_SHARES = """
    accuracy binary_accuracy categorical_accuracy top_k_categorical_accuracy auc precision recall f1_score
    f_beta_score io_u binary_io_u one_hot_io_u mean_io_u one_hot_mean_io_u precision_at_recall
    recall_at_precision sensitivity_at_specificity specificity_at_sensitivity
""".split()
_LOWER_IS_BETTER = """
    loss mean_squared_error root_mean_squared_error mean_absolute_error mean_absolute_percentage_error
    mean_squared_logarithmic_error log_cosh_error kl_divergence poisson categorical_crossentropy
    binary_crossentropy hinge squared_hinge categorical_hinge false_positives false_negatives
""".split()
_HIGHER_IS_BETTER = """
    cosine_similarity pearson_correlation concordance_correlation r2_score true_positives true_negatives
""".split()


def limits(column: str) -> tuple[float, float]:
    """Return the smallest and the largest value that a column of the results can have."""
    part, _, name = column.partition("_")
    if part in ("train", "val", "test", "active") and name in _SHARES:
        return 0.0, 1.0
    if column in ("accuracy", "confidence", "calibration_error"):
        return 0.0, 1.0
    return (-1.0, 1.0) if part == "gap" and name in _SHARES else (-math.inf, math.inf)


def _parse_percentage_points(value: Any) -> Any:
    """Convert percentage points to a share: ``0.5pp`` becomes 0.005."""
    number = value.removesuffix("pp").strip() if isinstance(value, str) and value.endswith("pp") else None
    if number is None:
        return value
    try:
        return float(number) / 100
    except ValueError:
        raise ValueError(f"'{value}' is not a number of percentage points, like 0.5pp") from None


def _require_seeds(populations: tuple[Population, ...]) -> tuple[Population, ...]:
    if "seeds" not in populations:
        raise ValueError("expected [seeds, images] or [seeds]: trials differ by their seeds in every study")
    return tuple(population for population in ("seeds", "images") if population in populations)


Positive = Annotated[float, Field(gt=0)]
DEFAULT_MARGIN = 0.005
"""The smallest difference between two shares that matters, unless the study says otherwise."""
Population = Literal["seeds", "images"]
Populations = Annotated[tuple[Population, ...], Field(min_length=1), AfterValidator(_require_seeds)]
PER_IMAGE = ("test_accuracy",)
"""The metrics whose value on every single test image is kept."""
INTERIM_SHARE = 0.1
"""The share of alpha that verdicts may use on questions some of whose trials are pending."""


class CompareSettings(Settings):
    """Which questions the study asks, and how they are judged. It is declared before the run."""

    questions: Literal["variants", "effects", "both"] = "variants"
    """The questions that get verdicts: the comparisons of ``variants``, the main ``effects`` and interactions
    of the factors, or ``both``. They share alpha. All other results are exploratory: they are shown with
    their intervals and without verdicts."""
    against: Literal["baseline", "all"] = "baseline"
    """What each variant is compared with: the ``baseline``, or ``all`` other variants, which also ranks
    them."""
    holds_for: Populations = ("seeds", "images")
    """What the intervals generalise to: other ``seeds``, and other test ``images`` of the same kind. With
    ``[seeds]``, they hold for these test images only. So they do for any metric other than
    ``test_accuracy``, the only one whose value on each single image is kept. If ``vary`` contains ``test``,
    each seed has test images of its own, and intervals over seeds hold for other draws of them."""

    metric: str = "test_accuracy"
    """The metric that is compared, a column of the results."""
    direction: Literal["higher", "lower"] | None = None
    """Whether higher or lower values of the metric are better. It is needed for a metric whose name does not
    say so, such as your own."""
    margin: Annotated[
        Positive, BeforeValidator(_parse_percentage_points, json_schema_input_type=Positive | str)
    ] = DEFAULT_MARGIN
    """The smallest difference that matters, in the unit of the metric; ``0.5pp`` means 0.005. A variant whose
    interval lies within plus and minus the margin is equivalent to the baseline. Only metrics that are
    shares, such as accuracies, have a default margin."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The risk of calling anything better or worse, among all declared questions, if there is no difference;
    and the risk of calling anything equivalent if all differences are as large as the margin."""
    correction: Literal["holm", "none"] = "holm"
    """How these risks are controlled: ``holm`` for all declared questions together, ``none`` for each one on
    its own."""
    looks: Literal["once", "any"] = "once"
    """``once``: intervals and p-values are valid for a number of seeds that was fixed in advance. ``any``:
    they are anytime-valid, that is, valid however often the results are inspected and seeds are added, and
    the intervals are wider."""

    @property
    def trouble(self) -> tuple[str, str] | None:
        """The setting that is missing, superfluous or out of range for the metric, and a message."""
        if not self.in_points and "margin" not in self.model_fields_set:
            message = (
                f"{self.metric} has no default margin; set `margin`, the smallest difference that matters."
            )
            return "margin", message
        if self.in_points and self.margin >= 1:
            return "margin", (
                f"a margin of {self.margin:g} is larger than any difference in {self.metric}, which lies "
                f"between 0 and 1; for {self.margin:g} percentage points, write {self.margin:g}pp."
            )
        return ("direction", self.direction_trouble) if self.direction_trouble else None

    @property
    def direction_trouble(self) -> str:
        """What is missing or wrong in `direction`, as a message; empty if nothing is."""
        better = "higher" if self.higher_is_better else "lower"
        if self._is_known and self.direction not in (None, better):
            return f"{better} values of {self.metric} are always better; remove `direction`."
        if not self._is_known and not self.direction:
            return (
                f"the name of {self.metric} does not say which values are better; set `direction: higher` or "
                "`direction: lower`."
            )
        return ""

    @property
    def includes_images(self) -> bool:
        """Whether the intervals generalise to other test images, which the metric must allow."""
        return "images" in self.holds_for and self.metric in PER_IMAGE

    def interim(self) -> Self:
        """Return how to judge a question with pending trials: anytime-valid, at a tenth of alpha.

        A verdict on a part of the seeds must stay valid however many seeds follow. The verdicts on finished
        questions have the whole alpha, which the interim looks exceed by a tenth at most.
        """
        if self.looks == "any":
            return self
        return self.model_copy(update={"looks": "any", "alpha": INTERIM_SHARE * self.alpha})

    def with_the_baseline(self) -> Self:
        """Return how to judge the comparisons with the baseline alone, whatever else is asked."""
        return self.model_copy(update={"questions": "variants", "against": "baseline"})

    @property
    def metric_in_words(self) -> str:
        """The metric as a reader would write it, ``test accuracy`` for ``test_accuracy``."""
        return self.metric.replace("_", " ")

    @property
    def in_points(self) -> bool:
        """Whether the metric is a share, whose differences are given in percentage points."""
        return self._name in _SHARES

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values of the metric are better."""
        return not self._is_known_as_lower and (self._is_known or self.direction != "lower")

    @property
    def _is_known(self) -> bool:
        """Whether the name of the metric says which values are better."""
        return self.in_points or self._is_known_as_lower or self._name in _HIGHER_IS_BETTER

    @property
    def _is_known_as_lower(self) -> bool:
        return self.metric.startswith("gap_") or self._name in _LOWER_IS_BETTER

    @property
    def _name(self) -> str:
        """The name of the metric without the prefix for the images that it is measured on."""
        return self.metric.partition("_")[2]
