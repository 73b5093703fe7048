"""The data of the learning curves and of the overfitting gap: means with intervals, and every seed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ablation.analysis.intervals import mean_intervals
from ablation.charts.compact import compact, number, whole
from ablation.charts.places import Places
from ablation.results.run import Run

MEASURES = ["train_accuracy", "val_accuracy", "train_loss", "val_loss", "gap"]


def curves_data(history: pd.DataFrame, places: Places) -> list[dict[str, Any]]:
    """Return the measurements after every epoch of each variant that has any.

    Args:
        history: The history table of a run.
        places: Where its trials are in the list of trials.

    Returns:
        For each variant its ``seeds``, the ``trials`` by their places, the ``epochs``, and of each of
        `MEASURES` the ``mean`` over the seeds at every epoch with its 95% interval from ``low`` to ``high``
        (Student's t), ``n`` seeds, and ``every`` seed's values, (seeds, epochs); a seed that ended early has
        fewer. The gap of a seed is the difference of its accuracies, and is not repeated. ``seconds`` has
        the same of the wall time since the start of training, without an interval.
    """
    if history.empty:
        return []
    measured = history.assign(
        gap=history["train_accuracy"] - history["val_accuracy"],
        seconds=history.groupby(["variant", "seed"], sort=False)["seconds"].cumsum(),
    )
    means = mean_intervals(measured, ["variant", "epoch"], [*MEASURES, "seconds"])
    by_variant = dict(list(means.groupby("variant", sort=False)))
    return [
        _of_variant(str(variant), rows, by_variant[variant], places)
        for variant, rows in measured.groupby("variant", sort=False)
    ]


def _of_variant(variant: str, rows: pd.DataFrame, means: pd.DataFrame, places: Places) -> dict[str, Any]:
    of_metric = {metric: table.set_index("epoch") for metric, table in means.groupby("metric", sort=False)}
    epochs = sorted(rows["epoch"].unique())
    seeds = whole(rows["seed"].unique())
    by_seed = [rows[rows["seed"] == seed] for seed in seeds]
    curves: dict[str, Any] = {
        "variant": variant,
        "seeds": seeds,
        "trials": places.of_seeds(variant, seeds),
        "epochs": whole(epochs),
    }
    for measure in (*MEASURES, "seconds"):
        at_epochs = of_metric.get(measure, means.iloc[:0].set_index("epoch")).reindex(epochs)
        curves[measure] = {"mean": compact(at_epochs["mean"])}
        if measure != "seconds":
            curves[measure] |= {
                "low": compact(at_epochs["low"]),
                "high": compact(at_epochs["high"]),
                "n": whole(at_epochs["n"].fillna(0)),
            }
        if measure != "gap":
            curves[measure]["every"] = [compact(of_seed[measure]) for of_seed in by_seed]
    return curves


def last_gaps(history: pd.DataFrame, places: Places) -> list[dict[str, Any]]:
    """Return the overfitting gap after each trial's last epoch, by variant: every seed's, and their mean."""
    if history.empty:
        return []
    last = history.groupby(["variant", "seed"], sort=False).tail(1)
    last = last.assign(gap=last["train_accuracy"] - last["val_accuracy"])
    means = mean_intervals(last, ["variant"], ["gap"])
    found = []
    for row in means.to_dict("records"):
        of_variant = last[last["variant"] == row["variant"]]
        seeds = whole(of_variant["seed"])
        found.append(
            {
                "variant": row["variant"],
                "seeds": seeds,
                "trials": places.of_seeds(row["variant"], seeds),
                "values": compact(of_variant["gap"]),
                "mean": number(row["mean"]), "low": number(row["low"]), "high": number(row["high"]),
                "n": int(row["n"]),
            }
        )  # fmt: skip
    return found


def is_cross_entropy(run: Run) -> bool:
    """Return whether the loss of every variant is the cross-entropy."""
    return all(variant.training.loss == "categorical_crossentropy" for variant in run.study.variants)
