"""Which variants were still improving when their training ended."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ablation.analysis.convergence import CONVERGENCE_COLUMNS, still_improving, unfinished_note

Curve = Callable[[np.ndarray], np.ndarray]


def history(
    curves: dict[str, Curve], epochs: int = 20, seeds: int = 5, noise: float = 0.0, loss: Curve | None = None
) -> pd.DataFrame:
    """Return a history whose validation accuracy follows a curve of the epoch, and whose loss is constant."""
    generator = np.random.default_rng(0)
    epoch = np.arange(1, epochs + 1)
    parts = [
        pd.DataFrame(
            {
                "variant": variant,
                "seed": seed,
                "epoch": epoch,
                "val_accuracy": curve(epoch) + generator.normal(0, noise, epochs),
                "val_loss": np.full(epochs, 1.0)
                if loss is None
                else loss(epoch) + generator.normal(0, noise, epochs),
            }
        )
        for variant, curve in curves.items()
        for seed in range(seeds)
    ]
    return pd.concat(parts, ignore_index=True)


def flat(epoch: np.ndarray) -> np.ndarray:
    return np.full(len(epoch), 0.5)


def rising(epoch: np.ndarray) -> np.ndarray:
    return 0.2 + 0.01 * epoch


def saturated(epoch: np.ndarray) -> np.ndarray:
    return 0.6 - 0.5 * np.exp(-epoch / 2)


def test_a_rising_accuracy_is_unfinished_and_a_flat_one_is_not() -> None:
    table = still_improving(history({"flat": flat, "rising": rising, "saturated": saturated}, noise=0.005))
    assert list(table.columns) == CONVERGENCE_COLUMNS
    assert list(table["variant"]) == ["flat", "rising", "saturated"]
    assert list(table["improving"]) == [False, True, False]
    assert list(table["n"]) == [5, 5, 5]
    assert list(table["epochs"]) == [20, 20, 20]
    assert set(table["metric"]) == {"val_accuracy"}


def test_the_gain_is_from_the_last_but_one_fifth_to_the_last_with_students_interval() -> None:
    table = history({"a": rising}, noise=0.01, seeds=4)
    gains = [
        seed["val_accuracy"].iloc[16:].mean() - seed["val_accuracy"].iloc[12:16].mean()
        for _, seed in table.groupby("seed")
    ]
    low, high = stats.t.interval(0.95, 3, np.mean(gains), stats.sem(gains))
    row = still_improving(table).iloc[0]
    assert (row["gain"], row["low"], row["high"]) == pytest.approx((np.mean(gains), low, high))


@pytest.mark.parametrize(("margin", "improving"), [(0.03, True), (0.05, False)])
def test_a_gain_below_the_margin_is_none(margin: float, improving: bool) -> None:
    table = still_improving(history({"a": rising}), margin)
    assert table["gain"].iloc[0] == pytest.approx(0.04)
    assert table["improving"].iloc[0] == improving


def test_a_falling_loss_is_unfinished_while_the_accuracy_stands_still() -> None:
    row = still_improving(history({"a": flat}, loss=lambda epoch: 2 - 0.02 * epoch)).iloc[0]
    assert (row["metric"], row["improving"]) == ("val_loss", True)
    assert row["gain"] == pytest.approx(0.08 / (2 - 0.02 * 14.5))


def test_a_rising_loss_is_no_improvement() -> None:
    row = still_improving(history({"a": flat}, loss=lambda epoch: 1 + 0.02 * epoch)).iloc[0]
    assert (row["metric"], row["improving"]) == ("val_accuracy", False)


def test_a_small_loss_that_falls_by_next_to_nothing_is_finished() -> None:
    row = still_improving(history({"a": flat}, loss=lambda epoch: 0.02 * 0.97**epoch)).iloc[0]
    assert not row["improving"]


def test_a_step_of_the_learning_rate_with_a_plateau_after_it_is_finished() -> None:
    def stepped(epoch: np.ndarray) -> np.ndarray:
        return np.where(epoch > 16, 0.6, 0.5)

    def stepped_and_rising(epoch: np.ndarray) -> np.ndarray:
        return stepped(epoch) + 0.01 * epoch

    table = still_improving(history({"step": stepped, "rising": stepped_and_rising}, noise=0.003))
    assert list(table["improving"]) == [False, True]


@pytest.mark.parametrize("epochs", [2, 3, 4])
def test_with_few_epochs_the_last_is_compared_with_the_one_before(epochs: int) -> None:
    row = still_improving(history({"a": rising}, epochs=epochs)).iloc[0]
    assert row["gain"] == pytest.approx(0.01)
    assert row["improving"]


def test_after_one_epoch_nothing_is_known_so_training_counts_as_unfinished() -> None:
    row = still_improving(history({"a": flat}, epochs=1)).iloc[0]
    assert row["improving"]
    assert math.isnan(row["gain"])


def test_one_or_two_seeds_have_to_agree() -> None:
    both = history({"a": rising}, seeds=2)
    assert still_improving(both)["improving"].iloc[0]
    assert still_improving(both[both["seed"] == 0])["improving"].iloc[0]
    one = both.assign(val_accuracy=both["val_accuracy"].where(both["seed"] == 0, 0.5))
    assert not still_improving(one)["improving"].iloc[0]


def test_a_trial_that_stopped_by_itself_has_finished() -> None:
    table = history({"a": rising, "b": rising})
    stopped = {("a", seed) for seed in range(5)} | {("b", 0)}
    a, b = still_improving(table, stopped=stopped).to_dict("records")
    assert (a["n"], a["improving"]) == (0, False)
    assert math.isnan(a["gain"])
    assert (b["n"], b["improving"]) == (4, True)


def test_a_variant_of_which_most_trials_stopped_by_themselves_has_finished() -> None:
    stopped = {("a", seed) for seed in range(3)}
    assert not still_improving(history({"a": rising}), stopped=stopped)["improving"].iloc[0]


def test_a_trial_that_diverged_is_left_out() -> None:
    table = history({"a": rising})
    table.loc[(table["seed"] == 0) & (table["epoch"] == 20), ["val_accuracy", "val_loss"]] = np.nan
    row = still_improving(table).iloc[0]
    assert (row["n"], row["improving"]) == (4, True)


def test_without_epochs_there_are_no_rows() -> None:
    table = still_improving(history({"a": rising}).iloc[:0])
    assert list(table.columns) == CONVERGENCE_COLUMNS
    assert table.empty
    assert unfinished_note(table) == ""


@settings(deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 4),
    st.floats(0, 0.1),
    st.randoms(use_true_random=False),
)
def test_any_history_has_one_row_per_variant_whatever_its_order(
    epochs: int, seeds: int, noise: float, random: object
) -> None:
    table = history({"a": rising, "b": flat}, epochs, seeds, noise)
    rows = still_improving(table)
    assert list(rows["variant"]) == ["a", "b"]
    assert rows["improving"].dtype == bool
    known = rows.dropna(subset=["low"])
    assert ((known["low"] <= known["gain"]) & (known["gain"] <= known["high"])).all()
    shuffled = table.sample(frac=1, random_state=random.randrange(1000))  # type: ignore[attr-defined]
    again = still_improving(shuffled).set_index("variant").loc[["a", "b"]].reset_index()
    pd.testing.assert_frame_equal(again, rows)


def test_converged_variants_are_seldom_called_unfinished() -> None:
    table = history(
        {f"v{k}": flat for k in range(300)}, epochs=12, noise=0.015, loss=lambda epoch: 1 + 0 * epoch
    )
    assert still_improving(table)["improving"].mean() <= 0.05


@pytest.mark.parametrize(("seeds", "largest"), [(1, 0.2), (2, 0.03)])
def test_a_noisy_validation_accuracy_of_one_or_two_seeds_is_seldom_called_rising(
    seeds: int, largest: float
) -> None:
    table = history({f"v{k}": flat for k in range(200)}, epochs=12, seeds=seeds, noise=0.015)
    assert still_improving(table)["improving"].mean() <= largest


def test_the_note_names_variants_and_gains() -> None:
    table = still_improving(history({"plain": rising, "flat": flat, "+Dropout": rising}, epochs=10))
    assert unfinished_note(table) == (
        "Still improving at the end of training: plain, +Dropout (validation accuracy rose by 2.0 and 2.0 "
        "points from the last but one to the last fifth of the epochs). The comparison holds for 10 epochs, "
        "and not for training to convergence. Train for longer to compare finished models."
    )


def test_the_note_of_a_falling_loss() -> None:
    falling = history({"plain": flat}, loss=lambda epoch: 2 - 0.02 * epoch)
    table = pd.concat([still_improving(history({"+Dropout": rising}, epochs=10)), still_improving(falling)])
    assert unfinished_note(table) == (
        "Still improving at the end of training: +Dropout (validation accuracy rose by 2.0 points from the "
        "last but one to the last fifth of the epochs); plain (validation loss fell by 4.7% from the last but "
        "one to the last fifth of the epochs). The comparison holds for 10 to 20 epochs, and not for training to "
        "convergence. Train for longer to compare finished models."
    )


def test_the_note_of_a_short_training() -> None:
    assert unfinished_note(still_improving(history({"plain": rising}, epochs=3))) == (
        "Still improving at the end of training: plain (validation accuracy rose by 1.0 points in the last epoch). "
        "The comparison holds for 3 epochs, and not for training to convergence. Train for longer to compare finished "
        "models."
    )
    assert unfinished_note(still_improving(history({"plain": rising}, epochs=1))) == (
        "Trained for a single epoch: plain. That does not show whether training would improve the models further. "
        "Train for longer to compare finished models."
    )


def test_finished_variants_have_no_note() -> None:
    assert unfinished_note(still_improving(history({"plain": flat}))) == ""
