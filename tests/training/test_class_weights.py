"""Weights of classes in the loss that training minimises, and in nothing that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_trial

from ablation import Study
from ablation.data.datasets import Dataset, Part
from ablation.errors import AblationError
from ablation.results.notes import planned_notes
from ablation.training.class_weights import class_weights
from ablation.training.trial_runner import run_trial


def with_labels(dataset: Dataset, labels: object, *names: str) -> Dataset:
    train = Part(dataset.train.images, np.asarray(labels, np.int32))
    return replace(dataset, class_names=names, train=train)


def test_balanced_classes_count_the_same_however_many_images_they_have(tiny_dataset: Dataset) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [40, 15, 5])
    dataset = with_labels(tiny_dataset, labels, "a", "b", "c", "absent")
    weights = class_weights("balanced", dataset)
    assert [float(weights[k] * (labels == k).sum()) for k in range(3)] == pytest.approx([15.0] * 3)
    assert weights[3] == 1  # no image has it
    three = with_labels(tiny_dataset, labels, "a", "b", "c")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights("balanced", three), expected, rtol=1e-6)


def test_a_class_is_named_or_numbered_and_a_name_comes_first(tiny_dataset: Dataset) -> None:
    dataset = with_labels(tiny_dataset, np.zeros(60), "1", "cat", "dog")
    assert class_weights(None, dataset).tolist() == [1, 1, 1]
    assert class_weights({"1": 2.0, "2": 3.0}, dataset).tolist() == [2, 1, 3]
    assert class_weights({"cat": 0.5}, dataset).tolist() == [1, 0.5, 1]
    with pytest.raises(AblationError) as caught:
        class_weights({"cats": 2.0}, dataset)
    assert str(caught.value) == (
        "class_weight: there is no class 'cats'. Did you mean 'cat'? A class can also be given by its number, from 0 to 2."
    )


def test_images_of_several_labels_have_no_class_weight(tiny_dataset: Dataset) -> None:
    labels = np.zeros((60, 3), np.uint8)
    dataset = replace(
        tiny_dataset, class_names=("a", "b", "c"), train=Part(tiny_dataset.train.images, labels)
    )
    with pytest.raises(AblationError) as caught:
        class_weights("balanced", dataset)
    assert str(caught.value) == (
        "class_weight is for images of exactly one class, but these images have any number of labels."
    )


def test_they_change_training_and_leave_what_is_measured_unweighted(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """At a rate of nearly 0, the weights stay the same: only the logged loss is a weighted one."""
    settings = {"family": "dense", "dense": (6,), "optimizer": "sgd", "epochs": 1}
    still = {"learning_rate": 1e-12}
    plain, weighted = (
        run_trial(tiny_trial(tiny_dataset, class_weight=weights, **settings, **still), tiny_dataset, tmp_path)
        for weights in (None, {str(k): 3.0 for k in range(10)})
    )
    assert weighted.history[0].loss == pytest.approx(3 * plain.history[0].loss, rel=1e-4)
    assert weighted.history[0].active_loss == plain.history[0].active_loss
    assert weighted.metrics == plain.metrics
    one, other = (
        run_trial(
            tiny_trial(tiny_dataset, class_weight=w, learning_rate=0.1, **settings), tiny_dataset, tmp_path
        )
        for w in (None, {"0": 9.0})
    )
    assert one.metrics["test_loss"] != other.metrics["test_loss"]


def test_they_are_a_factor_like_any_other_and_the_report_says_what_they_weigh(
    write_grid: Callable[[str], Path], tiny_dataset: Dataset
) -> None:
    study = Study.from_yaml(
        write_grid(
            """
            study: s
            dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
            factors:
              class_weight: {none: null, balanced: balanced, threes: {3: 2}}
            """
        )
    )
    names = [variant.name for variant in study.variants]
    assert names == ["plain", "+class_weight balanced", "+class_weight threes"]
    assert [v.training.class_weight for v in study.variants] == [None, "balanced", {"3": 2.0}]
    assert len({trial.id[-8:] for trial in study.trials("d")}) == len(study.trials("d"))
    note = next(note for note in planned_notes(study, tiny_dataset) if "class_weight" in note)
    assert note == (
        "+class_weight balanced, +class_weight threes: `class_weight` weights the loss that training minimises, "
        "which is logged as `loss`. No other loss or accuracy is weighted."
    )
