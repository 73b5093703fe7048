"""Every metric of Keras on a classification: it is what its definition says, or it is refused with a valid one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from ablation.errors import AblationError, GridError
from ablation.grid.component_parser import resolved
from ablation.grid.keras_names import KINDS, _classes, measured, metric
from ablation.grid.settings import Component, MetricName, TrainingSettings
from ablation.grid.study import Study
from ablation.workflow.preflight import require_fit

Array = NDArray[np.float64]
_generator = np.random.default_rng(0)
LABELS = _generator.integers(0, 6, 150)
TRUTH: Array = np.eye(6)[LABELS]
_logits = _generator.normal(size=(150, 6)) + 2 * TRUTH
PROBABILITIES: Array = np.exp(_logits) / np.exp(_logits).sum(axis=1, keepdims=True)
PREDICTED, DECIDED = PROBABILITIES.argmax(axis=1), PROBABILITIES > 0.5


def by_image(of_one: Callable[[Array, Array], float]) -> float:
    return float(np.mean([of_one(t, p) for t, p in zip(TRUTH, PROBABILITIES, strict=True)]))


def concordance(t: Array, p: Array) -> float:
    return float(2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2))


def best_of_curve(values: Array, others: Array, least: float) -> float:
    return float(values[others >= least].max())


def curves() -> dict[str, float]:
    precision, recall, _ = sk.precision_recall_curve(TRUTH.ravel(), PROBABILITIES.ravel())
    false, true, _ = sk.roc_curve(TRUTH.ravel(), PROBABILITIES.ravel())
    return {
        "PrecisionAtRecall": best_of_curve(precision, recall, 0.8),
        "RecallAtPrecision": best_of_curve(recall, precision, 0.8),
        "SensitivityAtSpecificity": best_of_curve(true, 1 - false, 0.8),
        "SpecificityAtSensitivity": best_of_curve(1 - false, true, 0.8),
        "AUC": float(sk.roc_auc_score(TRUTH.ravel(), PROBABILITIES.ravel())),
    }


T, P, D = TRUTH, PROBABILITIES, DECIDED
SIGNS, ERROR = 2 * T - 1, P - T
BY_CLASS = sk.jaccard_score(LABELS, PREDICTED, average=None)
DEFINED: dict[str, float] = {
    "BinaryAccuracy": np.mean(D == T),
    "BinaryCrossentropy": -np.mean(T * np.log(P) + (1 - T) * np.log(1 - P)),
    "BinaryIoU": np.mean([sk.jaccard_score(T.ravel() == k, D.ravel() == k) for k in (0, 1)]),
    "CategoricalAccuracy": np.mean(PREDICTED == LABELS),
    "CategoricalCrossentropy": by_image(lambda t, p: -np.log(p[t > 0][0])),
    "CategoricalHinge": by_image(lambda t, p: max(0, p[t == 0].max() - p[t > 0][0] + 1)),
    "ConcordanceCorrelation": by_image(concordance),
    "CosineSimilarity": by_image(lambda t, p: t @ p / np.linalg.norm(p)),
    "F1Score": sk.f1_score(LABELS, PREDICTED, average="macro"),
    "FBetaScore": sk.fbeta_score(LABELS, PREDICTED, beta=1, average="macro"),
    "FalseNegatives": np.sum((T == 1) & ~D),
    "FalsePositives": np.sum((T == 0) & D),
    "Hinge": np.mean(np.maximum(0, 1 - SIGNS * P)),
    "KLDivergence": by_image(lambda t, p: -np.log(p[t > 0][0])),
    "LogCoshError": np.mean(np.log(np.cosh(ERROR))),
    "MeanAbsoluteError": np.mean(np.abs(ERROR)),
    "MeanSquaredError": np.mean(ERROR**2),
    "MeanSquaredLogarithmicError": np.mean((np.log1p(P) - np.log1p(T)) ** 2),
    "OneHotIoU": BY_CLASS[2],
    "OneHotMeanIoU": BY_CLASS.mean(),
    "PearsonCorrelation": by_image(lambda t, p: np.corrcoef(t, p)[0, 1]),
    "Poisson": np.mean(P - T * np.log(P)),
    "Precision": sk.precision_score(T.ravel(), D.ravel()),
    "R2Score": sk.r2_score(T, P),
    "Recall": sk.recall_score(T.ravel(), D.ravel()),
    "RootMeanSquaredError": np.sqrt(np.mean(ERROR**2)),
    "SquaredHinge": np.mean(np.maximum(0, 1 - SIGNS * P) ** 2),
    "TopKCategoricalAccuracy": sk.top_k_accuracy_score(LABELS, P, k=5),
    "TrueNegatives": np.sum((T == 0) & ~D),
    "TruePositives": np.sum((T == 1) & D),
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "OneHotIoU": {"num_classes": 6, "target_class_ids": [2]},
    "OneHotMeanIoU": {"num_classes": 6},
    "IoU": {"num_classes": 6, "target_class_ids": [2]},
    "MeanIoU": {"num_classes": 6},
    "PrecisionAtRecall": {"recall": 0.8},
    "RecallAtPrecision": {"precision": 0.8},
    "SensitivityAtSpecificity": {"specificity": 0.8},
    "SpecificityAtSensitivity": {"sensitivity": 0.8},
}
REFUSED = {
    "Accuracy": "Accuracy compares probabilities with labels for equality; accuracy is always measured, so remove it.",
    "IoU": "IoU compares class numbers, but labels are one-hot here; use OneHotIoU.",
    "Mean": "Mean does not compare outputs with labels; use MeanMetricWrapper, or your own function.",
    "MeanAbsolutePercentageError": "MeanAbsolutePercentageError divides by labels, most of which are 0; use MeanAbsoluteError.",
    "MeanIoU": "MeanIoU compares class numbers, but labels are one-hot here; use OneHotMeanIoU.",
    "MeanMetricWrapper": "MeanMetricWrapper cannot be created with these arguments (TypeError: MeanMetricWrapper.__init__() "
    "missing 1 required positional argument: 'fn').",
    "SparseCategoricalAccuracy": "SparseCategoricalAccuracy expects integer labels, but labels are one-hot here; use the "
    "name without Sparse.",
    "SparseCategoricalCrossentropy": "SparseCategoricalCrossentropy expects integer labels, but labels are one-hot here; "
    "use the name without Sparse.",
    "SparseTopKCategoricalAccuracy": "SparseTopKCategoricalAccuracy expects integer labels, but labels are one-hot here; "
    "use the name without Sparse.",
    "Sum": "Sum does not compare outputs with labels; use MeanMetricWrapper, or your own function.",
}  # fmt: skip


def read(name: str, **arguments: Any) -> Any:
    setting = resolved("metrics", {name: arguments} if arguments else name, Path(), 1)
    return metric(setting if isinstance(setting, str) else Component(**setting))


def test_every_metric_of_keras_is_decided() -> None:
    assert {*_classes(KINDS["metrics"])} == {*DEFINED, *curves(), *REFUSED}


@pytest.mark.parametrize("name", DEFINED)
def test_a_metric_is_what_its_definition_says(name: str) -> None:
    value = measured(read(name, **ARGUMENTS.get(name, {})), TRUTH.astype(np.float32), P.astype(np.float32))
    assert value == pytest.approx(float(DEFINED[name]), rel=1e-4)


@pytest.mark.parametrize("name", curves())
def test_a_metric_of_a_curve_is_near_the_exact_one(name: str) -> None:
    value = measured(read(name, **ARGUMENTS.get(name, {})), TRUTH.astype(np.float32), P.astype(np.float32))
    assert value == pytest.approx(curves()[name], abs=0.03)  # Keras takes 200 thresholds


@pytest.mark.parametrize(
    ("name", "arguments", "of_one"),
    [
        ("AUC", {"multi_label": True}, sk.roc_auc_score),
        ("AUC", {"multi_label": True, "label_weights": [1, 1, 1, 1, 1, 1]}, sk.roc_auc_score),
        ("AUC", {"multi_label": True, "curve": "PR"}, sk.average_precision_score),
        ("R2Score", {}, sk.r2_score),
        ("F1Score", {"average": "macro"}, lambda t, p: sk.f1_score(t, p == P.max(axis=1))),
    ],
)
def test_a_mean_over_classes_leaves_out_those_of_which_nothing_is_known(
    name: str, arguments: dict[str, Any], of_one: Callable[[Array, Array], float]
) -> None:
    truth = TRUTH.copy()
    truth[:, 2] = 0
    known = [0, 1, 3, 4, 5]
    if name == "AUC":
        truth[:, 4] = 1
        known.remove(4)
    value = measured(read(name, **arguments), truth.astype(np.float32), P.astype(np.float32))
    assert value == pytest.approx(np.mean([of_one(truth[:, k], P[:, k]) for k in known]), abs=0.02)
    assert value == measured(read(name, **arguments), truth.astype(np.float32), P.astype(np.float32))


def test_where_no_label_has_a_curve_there_is_no_auc() -> None:
    auc = read("AUC", multi_label=True)
    assert np.isnan(measured(auc, np.ones((4, 2), np.float32), np.full((4, 2), 0.5, np.float32)))
    truth = np.array([[1, 0], [0, 1]], np.float32)
    assert measured(read("AUC", multi_label=True), truth, truth) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_misused_is_refused_with_a_valid_name(name: str) -> None:
    with pytest.raises(AblationError) as error:
        read(name, **ARGUMENTS.get(name, {}))
    assert str(error.value) == REFUSED[name]


def test_a_metric_of_several_thresholds_is_refused() -> None:
    with pytest.raises(AblationError) as error:
        read("Precision", thresholds=[0.3, 0.7])
    assert str(error.value) == (
        "Precision would be averaged over its thresholds; list it once per threshold, each with its own `name`."
    )


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("[{TopKCategoricalAccuracy: {k: 10}}]",
         "training.metrics: the top 10 of 10 classes always contain the right one, so that "
         "TopKCategoricalAccuracy(k=10) is always 1. Write {TopKCategoricalAccuracy: {k: 5}}."),
        ("[{OneHotMeanIoU: {num_classes: 3}}]",
         "training.metrics: OneHotMeanIoU(num_classes=3) counts 3 classes, but the images have 10. Write "
            "num_classes: 10."),
        ("[{Precision: {class_id: 12}}]", "training.metrics: Precision(class_id=12) cannot be measured: "),
    ],
)  # fmt: skip
def test_a_metric_that_does_not_fit_the_classes_is_refused_before_training(
    metrics: str, message: str, tiny_study: Study, tiny_dataset: Any
) -> None:
    from ruamel.yaml import YAML

    listed = [resolved("metrics", m, Path(), 1) for m in YAML(typ="safe").load(metrics)]
    training = TrainingSettings.model_validate({"metrics": tuple(listed)})
    variant = tiny_study.variants[0].model_copy(update={"training": training})
    with pytest.raises(GridError) as error:
        require_fit(tiny_study.model_copy(update={"variants": (variant,)}), tiny_dataset)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("metric", "instead"),
    [
        ("precision", "{Precision: {class_id: 1}} for the class low"),
        ("auc", "{AUC: {multi_label: true}}"),
        (
            "RecallAtPrecision(precision=0.5)",
            "{RecallAtPrecision: {precision: 0.5, class_id: 1}} for the class low",
        ),
        ("TruePositives", "{Precision: {class_id: 1}} for the class low"),
    ],
)
def test_a_metric_that_pools_two_classes_is_refused(
    metric: str, instead: str, tiny_study: Study, tiny_dataset: Any
) -> None:
    """A model that always says the more frequent class would have a precision, recall and AUC of its share."""
    truth = np.repeat([[1, 0], [0, 1]], [7, 3], axis=0).astype(np.float32)
    always = np.tile(np.float32([0.7, 0.3]), (10, 1))
    assert [measured(read(n), truth, always) for n in ("Precision", "Recall")] == pytest.approx([0.7, 0.7])
    assert measured(read("AUC"), truth, always) == pytest.approx(0.7)
    assert measured(read("AUC", multi_label=True), truth, always) == 0.5
    assert measured(read("Recall", class_id=1), truth, always) == 0

    name, _, argument = metric.removesuffix(")").partition("(")
    setting = {name: {"precision": 0.5}} if argument else name
    parts = {
        part: dataclasses.replace(found, labels=found.labels // 5)
        for part in ("train", "val", "test")
        for found in [getattr(tiny_dataset, part)]
    }
    halves = dataclasses.replace(tiny_dataset, class_names=("high", "low"), **parts)

    def require(value: Any) -> None:
        training = TrainingSettings.model_validate({"metrics": (resolved("metrics", value, Path()),)})
        variant = tiny_study.variants[0].model_copy(update={"training": training})
        require_fit(tiny_study.model_copy(update={"variants": (variant,)}), halves)

    with pytest.raises(GridError) as error:
        require(setting)
    assert str(error.value) == (
        f"training.metrics: {metric} of two classes counts every image twice, once per class, and so describes neither "
        f"class. Write {instead}."
    )
    require({"Precision": {"class_id": 0}})
    require({"AUC": {"multi_label": True}})


def test_names_that_settings_keep_are_decided_too() -> None:
    from typing import get_args

    kept = {type(metric(name)).__name__ for name in get_args(MetricName)}
    assert kept <= {*DEFINED, "AUC"}
