"""Unfinished training: which variants were still improving when their budget of epochs ended.

A variant that learns more slowly, as with Dropout, looks worse at a small budget than it is at a large one.
Its comparison is valid for this number of epochs, and the opposite one may be valid for more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from ablation.analysis.intervals import CONFIDENCE
from ablation.analysis.phrases import percent
from ablation.grid.value_text import MOST_NAMES, counted, several

CONVERGENCE_COLUMNS = ["variant", "n", "epochs", "metric", "gain", "low", "high", "improving"]
_PARTS = 5  # the last fifth of the epochs is compared with the one before it
_RELEVANT_FALL = 0.01  # of the validation loss
_FEWEST_SEEDS = 3  # with fewer, an interval over the seeds says next to nothing
_LEVELLED = 1 / 8  # of the gain: what rises by less between the halves of the last fifth has levelled off


class _Gains(NamedTuple):
    """What the trials of a variant gained, one value per seed; NaN after a single epoch.

    Attributes:
        gain: The mean of the last fifth of the epochs minus that of the fifth before.
        within: The mean of the later half of the last fifth minus that of the earlier half; NaN if the fifth
            is a single epoch.
        before: The mean of the last fifth but one.
        error: The standard error of the gain from the scatter of single epochs; 0 under five epochs.
    """

    gain: NDArray[np.float64]
    within: NDArray[np.float64]
    before: NDArray[np.float64]
    error: NDArray[np.float64]


def still_improving(
    history: pd.DataFrame, margin_accuracy: float = 0.005, stopped: Collection[tuple[str, int]] = ()
) -> pd.DataFrame:
    """Return which variants were still improving on the validation images when training ended.

    The gain of a trial is the mean of its last fifth of epochs minus that of the fifth before; under ten
    epochs, a fifth is one epoch. A variant was still improving if

    - its validation accuracy gained at least ``margin_accuracy`` in the mean over the seeds, or
    - its validation loss fell by at least 1%, and by at least ``margin_accuracy`` in nats, which is about the
      same relative gain of the probability that is given to the true class;

    and if the 95% interval of that gain over the seeds lies above 0. With one or two seeds there is no such
    interval, and each of them must have gained as much, by more than twice the standard error that comes from
    the scatter of its last epochs. Where the curve has levelled off, the variant was not
    improving: there, the later half of the last fifth is above the earlier half by clearly less than an
    eighth of the gain. That is the case after a learning rate was lowered shortly before the end. After a
    single epoch nothing is known, and the variant counts as improving.

    Args:
        history: The history table of trials that completed, one row per epoch and trial.
        margin_accuracy: The smallest gain in accuracy that matters, a share of images.
        stopped: The (variant, seed) of trials that early stopping or a callback ended. They have finished; a
            variant of which at least half of the trials have finished is not improving.

    Returns:
        One row per variant with `CONVERGENCE_COLUMNS`. ``n`` counts the trials that ran until their budget
        ended, with finite measurements, and ``epochs`` is the largest number of epochs of any trial.
        ``gain`` is a mean over the ``n`` seeds, positive where the variant improved, with its 95% interval
        ``low`` to ``high`` (Student's t). It is a share of images if ``metric`` is ``val_accuracy``, and a
        share of the loss if it is ``val_loss``, which is given only if the loss alone improved.
    """
    rows = []
    for variant, trials in _curves(history).items():
        unstopped = [curves for seed, curves in sorted(trials.items()) if (variant, seed) not in stopped]
        ended = [curves for curves in unstopped if np.isfinite(curves).all()]
        metric, gains, improving = _judged(ended, margin_accuracy)
        if 2 * len(unstopped) <= len(trials):
            improving = False
        row = [variant, len(ended), max(map(len, trials.values()))]
        rows.append([*row, metric, *_interval(gains), improving])
    return pd.DataFrame(rows, columns=CONVERGENCE_COLUMNS).astype({"improving": bool})


def unfinished_note(table: pd.DataFrame) -> str:
    """Say which variants were still improving, by a table of `still_improving`; "" if none was."""
    improving = table[table["improving"]]
    if improving.empty:
        return ""
    groups: dict[tuple[str, str], tuple[list[str], list[float]]] = {}
    for row in improving.to_dict("records"):
        names, gains = groups.setdefault((row["metric"], _period(row["epochs"])), ([], []))
        names.append(row["variant"])
        gains.append(row["gain"])
    unknown, _ = groups.pop(("val_accuracy", ""), ([], []))
    if not groups:
        return (
            f"Trained for a single epoch: {several(unknown, 'variant')}. That does not show whether training "
            "would improve the models further. Train for longer to compare finished models."
        )
    parts = [f"{several(names, 'variant')} ({_gained(*of, gains)})" for of, (names, gains) in groups.items()]
    fewest, most = int(table["epochs"].min()), int(table["epochs"].max())
    budget = counted(most, "epoch") if fewest == most else f"{fewest} to {most} epochs"
    return (
        f"Still improving at the end of training: {'; '.join(parts)}. The comparison holds for {budget}, and "
        "not for training to convergence. Train for longer to compare finished models."
    )


def _curves(history: pd.DataFrame) -> dict[str, dict[int, NDArray[np.float64]]]:
    """Return the validation accuracy and loss of each trial, (epochs, 2), by variant and seed."""
    measured = history[["val_accuracy", "val_loss"]].to_numpy(float)
    epochs = history["epoch"].to_numpy()
    curves: dict[str, dict[int, NDArray[np.float64]]] = {name: {} for name in history["variant"].unique()}
    for (variant, seed), rows in history.groupby(["variant", "seed"]).indices.items():
        curves[variant][seed] = measured[rows[np.argsort(epochs[rows])]]
    return curves


def _judged(trials: list[NDArray[np.float64]], margin: float) -> tuple[str, NDArray[np.float64], bool]:
    """Return the metric that is reported, its gains, (seeds,), and whether it was still improving.

    Args:
        trials: The validation accuracy and loss of each trial, (epochs, 2).
        margin: The smallest gain in accuracy that matters.
    """
    accuracy = _gains([trial[:, 0] for trial in trials])
    loss = _gains([-trial[:, 1] for trial in trials])
    if trials and max(map(len, trials)) == 1:
        return "val_accuracy", accuracy.gain, True
    least_fall = np.maximum(margin, -_RELEVANT_FALL * loss.before)
    if not _improves(accuracy, np.full(len(trials), margin)) and _improves(loss, least_fall):
        return "val_loss", loss.gain / -loss.before, True
    return "val_accuracy", accuracy.gain, _improves(accuracy, np.full(len(trials), margin))


def _gains(curves: list[NDArray[np.float64]]) -> _Gains:
    """Return what each curve, (epochs,), gained towards its end; higher values are better ones."""
    rows = []
    for curve in curves:
        fifth = max(1, len(curve) // _PARTS)
        last, before = curve[-fifth:], curve[-2 * fifth : -fifth]
        half = fifth // 2
        within = last[fifth - half :].mean() - last[:half].mean() if half else math.nan
        start = before.mean() if len(before) else math.nan
        rows.append([last.mean() - start, within, start, _scatter(curve) * math.sqrt(2 / fifth)])
    return _Gains(*np.array(rows, float).reshape(-1, 4).T)


def _scatter(curve: NDArray[np.float64]) -> float:
    """Return the standard deviation of an epoch about the trend of the later half of a curve.

    It is taken from second differences, whose variance is six times that of an epoch and to which a straight
    trend contributes nothing.
    """
    if len(curve) < 5:
        return 0.0
    later = curve[-max(5, len(curve) // 2) :]
    return math.sqrt(float((np.diff(later, 2) ** 2).mean()) / 6)


def _improves(gains: _Gains, least: NDArray[np.float64]) -> bool:
    """Return whether the gains, (seeds,), are relevant, certain, and going on."""
    if len(gains.gain) < _FEWEST_SEEDS:
        relevant = (gains.gain >= least) & (gains.gain > 2 * gains.error)
        return len(gains.gain) > 0 and bool(relevant.all())
    mean, low, _ = _interval(gains.gain)
    _, _, highest_within = _interval(gains.within)
    return mean >= least.mean() and low > 0 and not highest_within < _LEVELLED * mean


def _interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean, and low and high end of the 95% interval; NaN where there are too few values."""
    n = len(values)
    if n < 2:
        return float(values[0]) if n else math.nan, math.nan, math.nan
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())
    return mean, mean - half, mean + half


def _period(epochs: int) -> str:
    """Return the epochs over which a gain is measured, in words; nothing after a single one."""
    if epochs < 2 * _PARTS:
        return "in the last epoch" if epochs > 1 else ""
    return "from the last but one to the last fifth of the epochs"


def _gained(metric: str, period: str, gains: list[float]) -> str:
    if len(gains) > MOST_NAMES:
        gains = [min(gains), max(gains)]
        join = " to ".join
    else:
        join = _listed
    if metric == "val_loss":
        return f"validation loss fell by {join([percent(gain) for gain in gains])} {period}"
    return f"validation accuracy rose by {join([f'{100 * gain:.1f}' for gain in gains])} points {period}"


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
