"""The data of the forest plot: the compared metric of every variant, and its difference from the baseline."""

from __future__ import annotations

from typing import Any

from ablation.analysis.phrases import MARKS, confidence_phrase, interval_phrase, points, verdict_phrase
from ablation.charts.compact import compact, number, whole
from ablation.charts.places import Places
from ablation.figures.forest import difference_data, metric_data
from ablation.results.run import Run


def forest_data(run: Run, places: Places) -> dict[str, Any]:
    """Return the metric and its paired differences.

    Returns:
        The ``metric`` in words, whether it is ``in_points``, its ``margin``, and for each variant: every
        seed's ``values`` with their ``mean``, 95% interval and ``n``; and, unless it is the baseline,
        the same of its ``difference`` with the interval from which the verdict is read, and the verdict.
    """
    compare, baseline = run.compare, run.study.baseline
    summary, values = metric_data(run.results, compare.metric)
    differences = difference_data(run.results, baseline, compare.metric)
    compared = {row["variant"]: row for row in run.baseline_comparisons.to_dict("records")}
    variants = []
    for row in summary.to_dict("records"):
        name = row["variant"]
        of_variant = values[values["variant"] == name].dropna(subset=[compare.metric])
        seeds = whole(of_variant["seed"])
        entry = {
            "variant": name, "seeds": seeds, "trials": places.of_seeds(name, seeds),
            "values": compact(of_variant[compare.metric]),
            "mean": number(row["mean"]), "low": number(row["low"]), "high": number(row["high"]),
            "n": int(row["n"]),
        }  # fmt: skip
        if name in compared:
            paired = differences[differences["variant"] == name]
            pairs = whole(paired["seed"])
            entry["difference"] = {
                "seeds": pairs,
                "trials": [list(pair) for pair in zip(
                    places.of_seeds(name, pairs), places.of_seeds(baseline, pairs), strict=True
                )],
                "values": compact(paired["difference"]),
                **_judged(compared[name], run),
            }  # fmt: skip
        variants.append(entry)
    return {
        "metric": compare.metric_in_words,
        "in_points": compare.in_points,
        "margin": number(compare.margin),
        "variants": variants,
    }


def _judged(row: dict[Any, Any], run: Run) -> dict[str, Any]:
    """Return a comparison: numbers for the drawing, and the words in which the report states them."""
    unit = " points" if run.compare.in_points else ""
    estimate = f"{points(row['difference'], run.compare)}{unit}"
    if row["low"] == row["low"]:
        estimate += f", {confidence_phrase(row['confidence'])} interval {interval_phrase(row, run.compare)}"
    mark = MARKS.get(row["verdict"], "")
    return {
        "mean": number(row["difference"]), "low": number(row["low"]), "high": number(row["high"]),
        "n": int(row["n"]), "estimate": estimate, "verdict": f"{mark} {verdict_phrase(row)}".strip(),
    }  # fmt: skip
