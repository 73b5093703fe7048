"""The data of the charts of single predictions: calibration, and confusion matrices."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ablation.charts.compact import compact, number, whole
from ablation.charts.places import Places
from ablation.data.predictions import ByTrial

MOST_CELLS = 400_000  # of all confusion matrices together: a megabyte; beyond, a page has only the pictures


def calibration_data(table: pd.DataFrame, errors: pd.DataFrame, places: Places) -> list[dict[str, Any]]:
    """Return the reliability diagram of each variant.

    Args:
        table: The calibration table of a run.
        errors: The expected calibration errors of its trials.
        places: Where its trials are in the list of trials.

    Returns:
        For each variant the columns of its rows of the table, one value per bin; its mean expected
        calibration ``error``; and the trials.
    """
    found = []
    for variant, bins in table.groupby("variant", sort=False):
        of_variant = errors[errors["variant"] == variant]
        columns = {
            name: compact(bins[name]) for name in ("confidence", "accuracy", "low", "high", "above", "up_to")
        }
        counts = {name: whole(bins[name]) for name in ("n", "images")}
        found.append(
            {
                "variant": str(variant),
                "trials": places.of_seeds(str(variant), of_variant["seed"]),
                "error": number(of_variant["calibration_error"].mean()),
                **columns,
                **counts,
            }
        )
    return found


def confusion_data(confusion: pd.DataFrame, predictions: ByTrial, places: Places) -> dict[str, Any] | None:
    """Return the confusion matrix of each variant, as counts over its seeds.

    Args:
        confusion: The confusion table of a run.
        predictions: What the trials predict, which says which trials are counted.
        places: Where its trials are in the list of trials.

    Returns:
        The names of the ``classes``, and for each variant the ``counts``, (true classes, predicted
        classes); None if there are none, or too many cells for a page.
    """
    if confusion.empty or len(confusion) > MOST_CELLS:
        return None
    classes = [str(name) for name in confusion["true"].unique()]
    variants = []
    for variant, cells in confusion.groupby("variant", sort=False):
        counts = cells["count"].to_numpy(int).reshape(len(classes), len(classes))
        trials = places.of_seeds(str(variant), predictions[str(variant)])
        variants.append({"variant": str(variant), "trials": trials, "counts": counts.tolist()})
    return {"classes": classes, "variants": variants}
