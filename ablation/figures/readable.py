"""A run as figures show it: of very many variants, those that differ most from the baseline."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pandas as pd

from ablation.results.run import Run

MOST_VARIANTS = 40
"""The variants of a figure with a row, a line or a panel for each: as many as fill a page."""
BY_VARIANT = (
    "forest", "ranking", "overfitting_gap", "gap_parts", "learning_curves", "per_class", "confusion",
    "predictions", "calibration", "cost", "seed_noise", "variance_shift",
)  # fmt: skip
PAIR = ("variant", "baseline")
"""The columns of the comparisons that name variants."""
_TABLES = (
    "results", "history", "ranking", "per_class", "confusion", "calibration",
    "calibration_error", "cost", "noise", "variance_shift",
)  # fmt: skip


def readable(run: Run) -> tuple[Run, str]:
    """Return a run with the variants that its figures show, and a sentence on those that they leave out.

    Of more than `MOST_VARIANTS` variants, these are the baseline, the best and the worst of the others on the
    compared metric, and those that differ most from the baseline. All tables were computed from all
    variants, so that no number and no verdict changes.

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
    tables = {name: only_shown(run, getattr(run, name)) for name in _TABLES}
    tables["comparisons"] = only_shown(run, run.comparisons, PAIR)
    predictions = {name: trials for name, trials in run.predictions.items() if name in chosen}
    shown.__dict__.update(tables, predictions=predictions, convergence=run.convergence)
    return shown, f"Shown are {variants_shown(run)}"


def variants_shown(run: Run) -> str:
    """Say which variants are shown, and where the others are; empty if all are shown."""
    variants, baseline = len(run.study.variants), run.study.baseline
    if variants <= MOST_VARIANTS:
        return ""
    return (
        f"{baseline}, the best and the worst of the other variants, and those that differ most from "
        f"{baseline}: {MOST_VARIANTS} of {variants} variants. The tables of the run folder, such as "
        "comparisons.csv, have all of them."
    )


def only_shown(run: Run, table: pd.DataFrame, of: Sequence[str] = ("variant",)) -> pd.DataFrame:
    """Return the rows of a table that are about the variants that figures and report show.

    Args:
        run: The run.
        table: A table of the run.
        of: The columns that name variants, all of which must be shown. Another column may be a factor,
            whatever its name.
    """
    if len(run.study.variants) <= MOST_VARIANTS:
        return table
    return table[table[list(of)].isin(_chosen(run)).all(axis=1)].reset_index(drop=True)


def _chosen(run: Run) -> set[str]:
    """Return the names of the baseline and of the variants that differ most from it, in both directions."""
    compared = run.baseline_comparisons.sort_values("difference", kind="stable").dropna(subset="difference")
    by_size = compared.iloc[(-compared["difference"].abs()).argsort(kind="stable")]
    ends = compared["variant"].iloc[[0, -1]] if len(compared) else ()
    rest = (variant.name for variant in run.study.variants)
    names = dict.fromkeys([run.study.baseline, *ends, *by_size["variant"], *rest])
    return set(list(names)[:MOST_VARIANTS])
