"""All charts of a run: one value that JSON can hold, which the page draws and `verify` recomputes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ablation.charts.comparisons import forest_data
from ablation.charts.cost import cost_data
from ablation.charts.curves import curves_data, is_cross_entropy, last_gaps
from ablation.charts.looks import variant_looks
from ablation.charts.places import Places
from ablation.charts.predictions import calibration_data, confusion_data
from ablation.figures.readable import readable
from ablation.results.run import Run


def chart_data(run: Run, figures: Collection[str]) -> dict[str, Any]:
    """Return the data of the charts of a run, for the variants that its figures show.

    Args:
        run: The run.
        figures: The figures that a page shows: each chart takes the place of the figure of its name.

    Returns:
        The index of the ``baseline``, the looks of the ``variants``, and one entry per chart. It is empty
        if none of the figures has a chart.
    """
    places, run = Places(run), readable(run)[0]
    charts = {name: data for name, make in _CHARTS.items() if name in figures and (data := make(run, places))}
    if {"learning_curves", "overfitting_gap"} & set(charts):
        charts["curves"] = {"variants": curves_data(run.history, places)}
    if not charts:
        return {}
    looks = variant_looks(run)
    baseline = [look["variant"] for look in looks].index(run.study.baseline)
    return {"baseline": baseline, "variants": looks, **charts}


def _learning_curves(run: Run, places: Places) -> dict[str, Any]:
    return {"loss": "cross-entropy loss" if is_cross_entropy(run) else "loss"}


def _overfitting_gap(run: Run, places: Places) -> dict[str, Any]:
    return {"variants": last_gaps(run.history, places)}


def _calibration(run: Run, places: Places) -> dict[str, Any]:
    of_labels = run.dataset.is_multi_label
    variants = calibration_data(run.calibration, run.calibration_error, places)
    return {"cases": "labels" if of_labels else "images", "variants": variants} if variants else {}


def _confusion(run: Run, places: Places) -> dict[str, Any] | None:
    return confusion_data(run.confusion, run.predictions, places)


_CHARTS: dict[str, Callable[[Run, Places], dict[str, Any] | None]] = {
    "forest": forest_data,
    "overfitting_gap": _overfitting_gap,
    "learning_curves": _learning_curves,
    "confusion": _confusion,
    "calibration": _calibration,
    "cost": cost_data,
}
