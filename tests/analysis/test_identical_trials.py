"""Variants whose trials gave the same numbers to the bit are found, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import results_of

from ablation.analysis.identical_trials import identical_variants

MEASURED = ["train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "val_loss", "test_loss"]


def tables(values: dict[str, list[float | None]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a results table and a history of two epochs in which everything that is measured has this value."""
    results = results_of(values)
    results = results.assign(**dict.fromkeys(MEASURED, results["test_accuracy"]))
    rows = [
        {"variant": row.variant, "seed": row.seed, "epoch": epoch, "loss": (row.test_accuracy or 0.0) / epoch,
         "seconds": np.random.default_rng().random()}
        for row in results.itertuples() for epoch in (1, 2)
    ]  # fmt: skip
    return results, pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ({"plain": [0.1, 0.2], "a": [0.3, 0.4]}, []),
        ({"plain": [0.1, 0.2], "a": [0.1, 0.2]}, [("plain", "a")]),

        ({"plain": [0.1, 0.2], "a": [0.1, float(np.nextafter(0.2, 1))]}, []),
        ({"plain": [0.1, 0.2], "a": [0.1, 0.3]}, []),  # one seed of two
        ({"plain": [0.5, 0.6], "a": [0.1, 0.2], "b": [0.3, 0.4], "c": [0.1, 0.2]}, [("a", "c")]),
        ({"plain": [0.5, 0.6], "a": [0.1, 0.2], "b": [0.5, 0.6], "c": [0.1, 0.2]}, [("plain", "b"), ("a", "c")]),
        ({"plain": [0.1, 0.2], "a": [0.1, None]}, [("plain", "a")]),  # on the seed that both completed
        ({"plain": [0.1, None], "a": [None, 0.2]}, []),
        ({"plain": [None, None], "a": [None, None]}, []),
        ({"plain": [float("nan")], "a": [float("nan")]}, [("plain", "a")]),
    ],
)  # fmt: skip
def test_variants_of_the_same_numbers_are_grouped(
    values: dict[str, list[float | None]], groups: list[tuple[str, ...]]
) -> None:
    assert identical_variants(list(values), *tables(values)) == groups


@pytest.mark.parametrize("column", MEASURED)
def test_one_other_measure_of_one_trial_is_a_difference(column: str) -> None:
    results, history = tables({"plain": [0.1, 0.2], "a": [0.1, 0.2]})
    results.loc[3, column] = np.nextafter(0.2, 1)
    assert identical_variants(["plain", "a"], results, history) == []


def test_one_other_epoch_of_one_trial_is_a_difference() -> None:
    results, history = tables({"plain": [0.1, 0.2], "a": [0.1, 0.2]})
    history.loc[5, "loss"] = np.nextafter(history.loc[5, "loss"], 1)
    assert identical_variants(["plain", "a"], results, history) == []


@given(st.permutations(["plain", "a", "b", "c"]))
def test_a_group_names_its_variants_in_the_order_of_the_study(order: list[str]) -> None:
    values: dict[str, list[float | None]] = {"plain": [0.1], "a": [0.1], "b": [0.2], "c": [0.1]}
    same = tuple(name for name in order if name != "b")
    assert identical_variants(order, *tables(values)) == [same]
