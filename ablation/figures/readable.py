"""A run as figures show it: of very many variants, those that differ most from the baseline."""

from __future__ import annotations

import copy
from collections.abc import Collection

import pandas as pd

from ablation.results.run import Run

MOST_VARIANTS = 40
"""The variants of a figure with a row, a line or a panel for each: as many as fill a page."""
BY_VARIANT = (
    "forest", "overfitting_gap", "gap_parts", "learning_curves", "per_class", "confusion", "calibration",
    "seed_noise", "variance_shift",
)  # fmt: skip
_TABLES = (
    "results", "history", "comparisons", "per_class", "confusion", "calibration", "calibration_error",
    "noise", "variance_shift",
)  # fmt: skip


def readable(run: Run) -> tuple[Run, str]:
    """Return a run with the variants that its figures show, and a sentence on those that they leave out.

    Of more than `MOST_VARIANTS` variants, these are the baseline and those that differ most from it on the
    compared metric. All tables were computed from all variants, so that no number and no verdict changes.

    Args:
        run: The run.

    Returns:
        The run itself and no sentence if it has no more variants than that.
    """
    variants = run.study.variants
    if len(variants) <= MOST_VARIANTS:
        return run, ""
    chosen = _chosen(run)
    shown = copy.copy(run)
    shown.study = run.study.model_copy(update={"variants": tuple(v for v in variants if v.name in chosen)})
    shown.trials = tuple(trial for trial in run.trials if trial.variant in chosen)
    tables = {name: _of(getattr(run, name), chosen) for name in _TABLES}
    predictions = {name: trials for name, trials in run.predictions.items() if name in chosen}
    shown.__dict__.update(tables, predictions=predictions, convergence=run.convergence)
    left_out = (
        f"Shown are {run.study.baseline} and the {len(chosen) - 1} variants that differ most from it, of "
        f"{len(variants)} variants; the tables of the run folder, such as comparisons.csv, have all of them."
    )
    return shown, left_out


def _chosen(run: Run) -> set[str]:
    """Return the names of the baseline and of the variants that differ most from it."""
    compared = run.baseline_comparisons
    by_size = compared.assign(size=compared["difference"].abs()).sort_values(
        "size", ascending=False, kind="stable", na_position="last"
    )
    rest = (variant.name for variant in run.study.variants)
    names = dict.fromkeys([run.study.baseline, *by_size["variant"], *rest])
    return set(list(names)[:MOST_VARIANTS])


def _of(table: pd.DataFrame, variants: Collection[str]) -> pd.DataFrame:
    """Return the rows of these variants."""
    return table[table["variant"].isin(list(variants))].reset_index(drop=True)
