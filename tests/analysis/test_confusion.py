"""Which classes are told right, and which confusions differ, against plain pandas, SciPy and a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ablation import Run
from ablation.analysis.confusion import (
    confusion_counts,
    confusion_differences,
    confusion_table,
    per_class_table,
)
from ablation.data.predictions import ByTrial, LabelsBySeed, Predictions

NAMES = ("cat", "dog", "ship")


def drawn(
    generator: np.random.Generator, labels: np.ndarray, right: float, seeds: int
) -> dict[int, Predictions]:
    """Predictions that are right with one chance, whatever the class, and else any other class."""
    found = {}
    for seed in range(seeds):
        wrong = (labels + generator.integers(1, 3, len(labels))) % 3
        classes = np.where(generator.random(len(labels)) < right, labels, wrong)
        found[seed] = Predictions(classes.astype(np.int32), np.ones(len(labels), np.float32))
    return found


def same(labels: np.ndarray) -> LabelsBySeed:
    """The labels of ten seeds that share their test images."""
    return dict.fromkeys(range(10), labels)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(300) % 3


@pytest.fixture
def predictions(labels: np.ndarray) -> ByTrial:
    generator = np.random.default_rng(1)
    return {"plain": drawn(generator, labels, 0.6, 5), "other": drawn(generator, labels, 0.8, 5)}


def test_confusion_counts_are_those_of_a_hand_written_case() -> None:
    labels = np.array([0, 0, 1, 2])
    found = {"plain": {0: Predictions(np.array([0, 1, 1, 0], np.int32), np.ones(4, np.float32))}}
    table = confusion_table(confusion_counts(found, same(labels), 3), NAMES)
    assert table["count"].tolist() == [1, 1, 0, 0, 1, 0, 1, 0, 0]
    assert table["share"].tolist() == [0.5, 0.5, 0, 0, 1, 0, 1, 0, 0]
    assert table["predicted"].tolist() == list(NAMES) * 3


def test_accuracies_of_a_class_agree_with_scipy(predictions: ByTrial, labels: np.ndarray) -> None:
    table = per_class_table(predictions, same(labels), "plain", NAMES)
    assert table["images"].unique().tolist() == [100]
    row = table[(table["variant"] == "other") & (table["class"] == "dog")].iloc[0]
    own, plain = (
        np.array([(predictions[v][s].classes == labels)[labels == 1].mean() for s in range(5)])
        for v in ("other", "plain")
    )
    test = stats.ttest_rel(own, plain)
    interval = test.confidence_interval()
    assert row["accuracy"] == pytest.approx(own.mean(), abs=1e-12)
    assert (row["low"], row["high"]) == pytest.approx(
        stats.t.interval(0.95, 4, own.mean(), stats.sem(own)), abs=1e-9
    )
    assert row["p"] == pytest.approx(test.pvalue, abs=1e-9)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(interval, abs=1e-9)
    known = table.dropna(subset=["p"])
    assert known["q"].tolist() == pytest.approx(stats.false_discovery_control(known["p"]).tolist(), abs=1e-12)
    assert table[table["variant"] == "plain"][["difference", "p", "q"]].isna().all(axis=None)


def test_each_seed_is_compared_with_the_classes_of_its_own_test_images() -> None:
    labels = {0: np.array([0, 0, 1, 2]), 1: np.array([2, 1, 0, 0])}
    found = {
        "plain": {0: Predictions(np.array([0, 1, 1, 2], np.int32), np.ones(4, np.float32)),
                  1: Predictions(np.array([2, 1, 0, 0], np.int32), np.ones(4, np.float32))},
    }  # fmt: skip
    counts = confusion_counts(found, labels, 3)
    assert counts["plain"][0].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert counts["plain"][1].tolist() == [[2, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert per_class_table(found, labels, "plain", NAMES)["accuracy"].tolist() == [0.75, 1, 1]


def test_a_class_has_the_images_of_the_seed_with_the_fewest() -> None:
    labels = {0: np.array([0, 0, 0, 1, 2]), 1: np.array([0, 0, 1, 1, 2])}
    right = {seed: Predictions(of.astype(np.int32), np.ones(5, np.float32)) for seed, of in labels.items()}
    table = per_class_table({"plain": right}, labels, "plain", NAMES)
    assert table["images"].tolist() == [2, 1, 1]
    assert table["accuracy"].tolist() == [1, 1, 1]


def test_a_planted_confusion_is_told_and_the_others_are_not(labels: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    found = {"plain": drawn(generator, labels, 0.7, 8), "other": drawn(generator, labels, 0.7, 8)}
    for seed in range(8):  # the variant takes a third of the ships for dogs
        classes = found["other"][seed].classes
        classes[(labels == 2) & (generator.random(300) < 0.33)] = 1
    table = confusion_differences(confusion_counts(found, same(labels), 3), "plain", NAMES)
    assert len(table) == 6
    told = table[(table["q"] <= 0.05) & (table["difference"] > 0)]
    assert told[["true", "predicted"]].to_numpy().tolist() == [["ship", "dog"]]


def test_where_nothing_differs_seldom_anything_is_told(labels: np.ndarray) -> None:
    """With no difference at all, a false discovery rate is the chance of telling any: at most 5%."""
    generator, told = np.random.default_rng(3), 0
    for _ in range(400):
        found = {name: drawn(generator, labels, 0.7, 5) for name in ("plain", "a", "b")}
        table = confusion_differences(confusion_counts(found, same(labels), 3), "plain", NAMES)
        told += int((table["q"] <= 0.05).any())
    assert told / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_under_three_pairs_nothing_is_told(finished_run: Run) -> None:
    assert finished_run.confusion_differences["pairs"].unique().tolist() == [2]
    assert finished_run.confusion_differences[["p", "q"]].isna().all(axis=None)
    assert finished_run.per_class.query("variant != 'plain'")["difference"].notna().all()


def test_trials_made_elsewhere_are_not_pooled(finished_run: Run) -> None:
    run = Run(finished_run.folder)
    elsewhere = (run.results["variant"] == "+both") & (run.results["seed"] == 1)
    run.__dict__["results"] = run.results.assign(
        provenance=run.results["provenance"].mask(elsewhere, "another machine")
    )
    assert set(run.predictions["+both"]) == {0}
    assert set(run.predictions["plain"]) == {0, 1}
    assert run.per_class.query("variant == '+both'")["pairs"].unique().tolist() == [1]


def test_a_class_without_test_images_has_no_accuracy_and_no_confusions() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(100) % 2
    predictions = {name: drawn(generator, labels, 0.7, 5) for name in ("plain", "other")}
    table = per_class_table(predictions, same(labels), "plain", NAMES)
    absent = table[table["class"] == "ship"]
    assert absent["images"].tolist() == [0, 0]
    assert absent[["accuracy", "low", "high", "difference", "p", "q"]].isna().all(axis=None)
    assert table.loc[table["class"] != "ship", "accuracy"].notna().all()
    counts = confusion_counts(predictions, same(labels), 3)
    shares = confusion_table(counts, NAMES)
    assert shares.loc[shares["true"] == "ship", "share"].isna().all()
    assert shares.loc[shares["true"] != "ship", "share"].notna().all()
    assert shares.loc[shares["true"] == "ship", "count"].eq(0).all()
    differences = confusion_differences(counts, "plain", NAMES)
    assert differences.loc[differences["true"] == "ship", ["share", "difference", "p"]].isna().all(axis=None)
