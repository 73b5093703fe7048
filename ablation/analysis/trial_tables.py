"""The tables of a run, derived from its trials; the columns are part of the public contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.data.datasets import Dataset
from ablation.grid.study import Study
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.models.cost import multiply_adds
from ablation.training.provenance import digest

RESULT_COLUMNS = [
    "variant", "seed", "status", "epochs", "best_epoch",
    "train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "val_loss", "test_loss",
    "gap_accuracy", "gap_loss", "parameters", "seconds", "trial_id", "best_epoch_inflation", "memory",
    "provenance",
]  # fmt: skip
HISTORY_COLUMNS = [
    "variant", "seed", "epoch", "loss", "accuracy",
    "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds",
    "active_loss", "active_accuracy", "penalty",
    "logged_gap", "running_average_lag", "dropout_active_bias", "true_gap",
]  # fmt: skip
COSTS = ["parameters", "multiply_adds", "seconds", "memory"]
COST_COLUMNS = ["variant", "n", *COSTS, "test_accuracy", "low", "high"]


def results_table(study: Study, trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> pd.DataFrame:
    """Return one row per planned trial, in the order of the plan.

    ``train_*`` and ``val_*`` are measured in inference mode on the weights that were tested.
    ``gap_accuracy`` is ``train_accuracy - val_accuracy``, and ``gap_loss`` is ``val_loss - train_loss``.
    ``best_epoch_inflation`` is what the best epoch's validation accuracy would add to the last epoch's: the
    part of a best-of-epochs score that is owed to choosing. ``memory`` is the peak memory of the trial's
    process in MiB, TensorFlow and the images included. ``provenance`` is a hash of everything that can change
    a result's bits; trials that differ in it ran in different environments. After the columns of the contract
    come one column per factor, one per further metric, and ``cause``.
    """
    levels = {variant.name: variant.levels for variant in study.variants}
    rows = []
    for trial in trials:
        result = results.get(trial.id) or TrialResult(trial_id=trial.id, status="pending")
        rows.append(
            {
                "variant": trial.variant,
                "seed": trial.seed,
                "status": result.status,
                "epochs": len(result.history) or None,
                "best_epoch": result.best_epoch,
                "parameters": result.parameters,
                "seconds": result.seconds if result.status != "pending" else None,
                "trial_id": trial.id,
                "best_epoch_inflation": _inflation(result.history),
                "memory": result.memory,
                "provenance": digest(result.provenance) if result.provenance else "",
                **result.metrics,
                **{_factor_column(name): label for name, label in levels[trial.variant].items()},
                "cause": result.cause,
            }
        )
    table = pd.DataFrame(rows)
    measures = ["train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "val_loss", "test_loss"]
    for column in (*measures, "seconds", "best_epoch_inflation", "memory"):
        table[column] = (table[column] if column in table else pd.Series(np.nan, table.index)).astype(float)
    for column in ("epochs", "best_epoch", "parameters"):
        table[column] = table[column].astype("Int64")
    table["gap_accuracy"] = table["train_accuracy"] - table["val_accuracy"]
    table["gap_loss"] = table["val_loss"] - table["train_loss"]
    factors = [_factor_column(name) for name in study.factors]
    further = [c for c in table.columns if c not in (*RESULT_COLUMNS, *factors, "cause")]
    return table[[*RESULT_COLUMNS, *factors, *further, "cause"]]


def _factor_column(name: str) -> str:
    """Return the column of a factor, which is its name unless the results have a column of that name."""
    return f"factor_{name}" if name in (*RESULT_COLUMNS, "cause") else name


def table_text(table: pd.DataFrame) -> str:
    """Return a table as CSV text, as it is written."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def _inflation(history: Sequence[EpochRecord]) -> float:
    scores = [record.val_accuracy for record in history]
    return max(scores) - scores[-1] if scores else math.nan


def history_table(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> pd.DataFrame:
    """Return one row per epoch of every trial.

    ``loss`` and ``accuracy`` are what Keras logs, running means in training mode; ``active_*`` are measured
    after the epoch in training mode, ``train_*`` and ``val_*`` in inference mode. ``loss`` contains class
    weights and ``penalty``, what regularizers and `add_loss` add; no other loss does. The gap in the training
    log is the sum of three components, in shares of images: ``logged_gap = accuracy - val_accuracy``
    ``= running_average_lag (accuracy - active_accuracy) + dropout_active_bias (active_accuracy -
    train_accuracy) + true_gap (train_accuracy - val_accuracy)``.
    """
    rows = []
    for trial in trials:
        result = results.get(trial.id)
        for record in result.history if result else ():
            measured = record.model_dump(exclude={"extra", "order"}) | record.extra
            rows.append({"variant": trial.variant, "seed": trial.seed, **measured})
    table = pd.DataFrame(rows, columns=None if rows else HISTORY_COLUMNS)
    table["logged_gap"] = table["accuracy"] - table["val_accuracy"]
    table["running_average_lag"] = table["accuracy"] - table["active_accuracy"]
    table["dropout_active_bias"] = table["active_accuracy"] - table["train_accuracy"]
    table["true_gap"] = table["train_accuracy"] - table["val_accuracy"]
    return table[[*HISTORY_COLUMNS, *(c for c in table.columns if c not in HISTORY_COLUMNS)]]


def variance_shift_table(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> pd.DataFrame:
    """Return one row per BatchNorm layer of every completed trial: ``variant, seed, layer, ratio``.

    ``ratio`` is the variance of the layer's input in training mode divided by that in inference mode.
    """
    rows = [
        (trial.variant, trial.seed, layer, ratio)
        for trial in trials
        if trial.id in results
        for layer, ratio in results[trial.id].variance_shift.items()
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "layer", "ratio"])


def cost_table(
    results: pd.DataFrame, study: Study, dataset: Dataset, counted: Mapping[str, int]
) -> pd.DataFrame:
    """Return what each variant costs, and its test accuracy.

    Args:
        results: The results table.
        study: The study, for its variants.
        dataset: The images.
        counted: The multiply-adds that trials counted, by variant; needed for custom models.

    Returns:
        One row per variant with completed trials: ``parameters``; ``multiply_adds`` of one image in inference
        mode; ``seconds`` (wall time) and ``memory`` (MiB), means over ``n`` seeds; the mean ``test_accuracy``
        with its 95% interval ``low`` to ``high`` (Student's t); and one column ``pareto_...`` per cost:
        whether the variant is on the Pareto front, that is, no other variant is as cheap and as accurate, and
        better in one of the two.
    """
    completed = completed_results(results)
    accuracy = mean_intervals(completed, ["variant"], ["test_accuracy"]).set_index("variant")
    groups = completed.groupby("variant", sort=False)
    rows = []
    for variant in study.variants:
        if variant.name in accuracy.index:
            trials, test = groups.get_group(variant.name), accuracy.loc[variant.name]
            rows.append(
                {
                    "variant": variant.name,
                    "n": len(trials),
                    "parameters": int(trials["parameters"].iloc[0]),
                    "multiply_adds": multiply_adds(
                        variant.model, dataset.image_shape, len(dataset.class_names)
                    )
                    or counted.get(variant.name)
                    or math.nan,
                    "seconds": trials["seconds"].mean(),
                    "memory": trials["memory"].mean(),
                    "test_accuracy": test["mean"],
                    "low": test["low"],
                    "high": test["high"],
                }
            )
    table = pd.DataFrame(rows, columns=COST_COLUMNS)
    gain = table["test_accuracy"].to_numpy(float)
    for cost in COSTS:
        table[f"pareto_{cost}"] = _on_front(table[cost].to_numpy(float), gain)
    return table


def _on_front(cost: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points no other point dominates; points with an unknown cost are not on the front."""
    no_worse = (cost[:, None] >= cost) & (gain[:, None] <= gain)
    better = (cost[:, None] > cost) | (gain[:, None] < gain)
    return ~np.isnan(cost) & ~(no_worse & better).any(axis=1)
