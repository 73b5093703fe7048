"""Dose-response curves in words, the same in the terminal, the report and the figure's caption."""

from __future__ import annotations

import math

import pandas as pd

from ablation.analysis.dose_curves import is_averaged, positions
from ablation.analysis.phrases import Row, confidence_phrase, p_phrase, percent, points
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted


def curve_name(row: Row) -> str:
    """Return the factor of a curve, with the levels of the others: ``dropout where batch_norm=false``."""
    where = str(row["where"])
    if is_averaged(where):
        return f"{row['factor']}, {where}"
    return f"{row['factor']} where {where}" if where else str(row["factor"])


def best_phrase(curve: pd.DataFrame) -> str:
    """Return the doses that could be the best, as ``0.1``, ``0.1 or 0.3`` or ``0.1, 0.2 or 0.3``."""
    names = list(curve.loc[curve["could_be_best"].astype(bool), "level"])
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else str(names[0])


def dose_conclusion(curve: pd.DataFrame, compare: CompareSettings) -> str:
    """Say in a few sentences what a dose-response curve supports, with its n.

    Args:
        curve: The rows of one curve of the table.
        compare: The metric, its direction, and alpha.
    """
    first = curve.to_dict("records")[0]
    name = curve_name(first)
    usable = curve[curve["reason"] == ""]
    if usable.empty:
        return f"{name}: no curve yet ({first['reason']})."
    row = usable.to_dict("records")[0]
    parts = [f"{name}: {_change(row, compare)}{_line(usable, compare)}", _best(usable, compare)]
    if left_out := list(curve.loc[curve["reason"] != "", "level"]):
        parts.append(f"Left out, because fewer than 3 of their seeds are completed: {', '.join(left_out)}.")
    return " ".join(parts)


def _change(row: Row, compare: CompareSettings) -> str:
    """Say whether the response changes with the dose."""
    metric, n = compare.metric_in_words, f"n = {counted(int(row['n']), 'seed')}"
    if math.isnan(row["p"]):
        return f"whether {metric} changes cannot be tested, because all seeds give the same curve ({n})"
    found = f"p {p_phrase(row['p'])}" if row["p"] < 0.001 else f"p = {p_phrase(row['p'])}"
    if row["p"] <= compare.alpha:
        return f"{metric} changes ({found}, {n})"
    return f"no change of {metric} is shown ({found}, {n})"


def _line(curve: pd.DataFrame, compare: CompareSettings) -> str:
    """Say what a straight line gains from the first dose to the last, if the means go one way.

    Without a change, it is left out. The slope per unit, which the table has, is unreadable for doses such as
    numbers of images and learning rates.
    """
    row = curve.to_dict("records")[0]
    one_way = curve["mean"].is_monotonic_increasing or curve["mean"].is_monotonic_decreasing
    if not one_way or not row["p"] <= compare.alpha or math.isnan(row["slope_low"]):
        return "."
    along = positions(list(curve["dose"]))
    gain, low, high = (
        points(float(row[name] * (along[-1] - along[0])), compare)
        for name in ("slope", "slope_low", "slope_high")
    )
    unit = " points" if compare.in_points else ""
    first, last = curve["level"].iloc[0], curve["level"].iloc[-1]
    level = confidence_phrase(row["confidence"])
    return f", by {gain}{unit} from {first} to {last} on a straight line ({level} interval {low} to {high})."


def _best(curve: pd.DataFrame, compare: CompareSettings) -> str:
    """Name the best mean, the doses that could be the best, and the smallest of them."""
    row = curve.to_dict("records")[0]
    at = curve[curve["dose"] == row["best"]].to_dict("records")[0]
    value = percent(at["mean"]) if compare.in_points else f"{at['mean']:.4f}"
    text = f"The best mean, {value}, is at {at['level']}."
    tested, could = len(curve), int(curve["could_be_best"].sum())
    if could == tested:
        return f"{text} Any of the {tested} tested doses could be the best."
    level = confidence_phrase(row["confidence"])
    if could == 1:
        text += f" At {level} confidence, it is the best of the {tested} tested doses."
    else:
        text += f" At {level} confidence, the best of the {tested} tested doses is {best_phrase(curve)}."
        smallest = curve.loc[curve["could_be_best"], "level"].iloc[0]
        text += f" {smallest} is the smallest dose that is not shown to be worse than another one."
    if curve["could_be_best"].iloc[-1]:
        text += f" Doses above {curve['level'].iloc[-1]} were not tested, and one of them may be better."
    return text


def method_of_curves(compare: CompareSettings) -> str:
    """Say what the band, the set and the test of a dose-response curve are."""
    level = confidence_phrase(1 - compare.alpha)
    return (
        f"At {level} confidence, the band of a curve contains the true means of all its doses (Student's t, "
        "Bonferroni over the doses), and the set of doses that could be the best contains the best of the "
        "tested doses (one-sided paired t-tests of each dose against every other one, Bonferroni). Whether "
        "the response changes with the dose is tested by the slope and the curvature of each seed's curve "
        "(t-tests over the seeds, the smaller p doubled)."
    )
