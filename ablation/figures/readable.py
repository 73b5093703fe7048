"""A run as figures show it: of very many variants, those that differ most from the baseline."""

from __future__ import annotations

import copy

import pandas as pd

from ablation.results.run import Run

MOST_VARIANTS = 40
"""The variants of a figure with a row, a line or a panel for each: as many as fill a page."""
BY_VARIANT = (
    "forest", "ranking", "overfitting_gap", "gap_parts", "learning_curves", "per_class", "confusion",
    "predictions", "calibration", "cost", "seed_noise", "variance_shift",
)  # fmt: skip
_TABLES = (
    "results", "history", "comparisons", "ranking", "per_class", "confusion", "calibration",
    "calibration_error", "cost", "noise", "variance_shift",
)  # fmt: skip


def readable(run: Run) -> tuple[Run, str]:
    """Return a run with the variants that its figures show, and a sentence on those that they leave out.

    Of more than `MOST_VARIANTS` variants, these are the baseline and those that differ most from it on the
    compared metric, the best and the worst among them. All tables were computed from all variants, so that
    no number and no verdict changes.

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
    predictions = {name: trials for name, trials in run.predictions.items() if name in chosen}
    shown.__dict__.update(tables, predictions=predictions, convergence=run.convergence)
    return shown, f"Shown are {variants_shown(run)}"


def variants_shown(run: Run) -> str:
    """Say which variants are shown, and where the others are; empty if all are shown."""
    variants = len(run.study.variants)
    if variants <= MOST_VARIANTS:
        return ""
    return (
        f"{run.study.baseline} and the {MOST_VARIANTS - 1} variants that differ most from it, of {variants} "
        "variants; the tables of the run folder, such as comparisons.csv, have all of them."
    )


def only_shown(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that are about the variants that figures and report show.

    Args:
        run: The run.
        table: A table of the run with a column ``variant``. A row with another variant as its ``baseline``
            is about both.
    """
    if len(run.study.variants) <= MOST_VARIANTS:
        return table
    chosen = list(_chosen(run))
    is_shown = table["variant"].isin(chosen)
    if "baseline" in table:
        is_shown &= table["baseline"].isin([*chosen, ""])
    return table[is_shown].reset_index(drop=True)


def _chosen(run: Run) -> set[str]:
    """Return the names of the baseline and of the variants that differ most from it, in both directions."""
    compared = run.baseline_comparisons.sort_values("difference", kind="stable").dropna(subset="difference")
    by_size = compared.iloc[(-compared["difference"].abs()).argsort(kind="stable")]
    ends = compared["variant"].iloc[[0, -1]] if len(compared) else ()
    rest = (variant.name for variant in run.study.variants)
    names = dict.fromkeys([run.study.baseline, *ends, *by_size["variant"], *rest])
    return set(list(names)[:MOST_VARIANTS])
