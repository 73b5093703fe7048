"""The data of accuracy against cost."""

from __future__ import annotations

from typing import Any

from ablation.analysis.trial_tables import COSTS
from ablation.charts.compact import number
from ablation.charts.places import Places
from ablation.figures.cost import UNITS
from ablation.results.run import Run


def cost_data(run: Run, places: Places) -> dict[str, Any]:
    """Return what each variant costs, and its test accuracy.

    Returns:
        The ``costs`` that are known, by their names in words; and for each variant each cost, the mean
        ``accuracy`` with its 95% interval, ``n`` seeds, the trials, and the costs by which it is on the
        Pareto ``front``.
    """
    table = run.cost
    known = [cost for cost in COSTS if table[cost].notna().any()]
    completed = run.results[run.results["status"] == "completed"]
    variants = []
    for row in table.to_dict("records"):
        seeds = completed.loc[completed["variant"] == row["variant"], "seed"]
        variants.append(
            {
                "variant": row["variant"],
                "trials": places.of_seeds(row["variant"], seeds),
                **{cost: _exact(row[cost]) for cost in known},
                "accuracy": number(row["test_accuracy"]),
                "low": number(row["low"]), "high": number(row["high"]), "n": int(row["n"]),
                "front": [cost for cost in known if row[f"pareto_{cost}"]],
            }
        )  # fmt: skip
    return {"costs": {cost: UNITS[cost] for cost in known}, "variants": variants}


def _exact(cost: float) -> float | int | None:
    """Return a count as it is, and rounded what was measured."""
    return int(cost) if float(cost).is_integer() else number(cost)
