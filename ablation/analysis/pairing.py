"""Whether the variants' trials are pairs: what they shared before training, and what pairing gained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.estimates import Measurements
from ablation.analysis.intervals import CONFIDENCE
from ablation.digest import short_digest
from ablation.grid.trial import InitialState, Trial, TrialResult
from ablation.grid.value_text import counted

PAIRING_COLUMNS = [
    "seed", "variant", "shared_layers", "layers", "weights", "baseline_weights",
    "order", "baseline_order", "paired",
]  # fmt: skip


def recorded_initial_states(results: Mapping[str, TrialResult]) -> dict[str, InitialState]:
    """Return the initial states that trained trials recorded, by trial id."""
    return {
        trial_id: InitialState(result.initial_weights, tuple(record.order for record in result.history))
        for trial_id, result in results.items()
        if result.initial_weights
    }


def pairing_table(trials: Sequence[Trial], starts: Mapping[str, InitialState], baseline: str) -> pd.DataFrame:
    """Compare what each trial started from with the baseline's trial of the same seed.

    Two trials share the layers that have the same name and shape in both. Batch orders are compared over the
    epochs that both have trained, if both are trained on the same images.

    Returns:
        One row per trial: ``shared_layers`` out of ``layers``, a hash of the initial weights of the shared
        layers in the variant and in the baseline, the same for the batch orders, and ``paired``: whether both
        agree. If no layer is shared, the hashes of weights are empty. A trial without an initial state, or
        whose partner has none, has empty hashes, and ``paired`` is missing.
    """
    partners = {trial.seed: trial for trial in trials if trial.variant == baseline}
    rows: list[list[Any]] = []
    for trial in trials:
        paired_with = partners.get(trial.seed)
        start, partner = starts.get(trial.id), starts.get(paired_with.id) if paired_with else None
        if start is None or partner is None or paired_with is None:
            rows.append([trial.seed, trial.variant, None, None, "", "", "", "", None])
            continue
        shared = [
            name
            for name, weights in start.weights.items()
            if name in partner.weights and partner.weights[name].shape == weights.shape
        ]
        epochs = min(len(start.orders), len(partner.orders))
        hashes = [
            *(_hash(side.weights[name].digest for name in shared) for side in (start, partner)),
            *(_hash(side.orders[:epochs]) for side in (start, partner)),
        ]
        same_images = trial.training.train_size == paired_with.training.train_size
        paired = hashes[0] == hashes[1] and (hashes[2] == hashes[3] or not same_images)
        rows.append([trial.seed, trial.variant, len(shared), len(start.weights), *hashes, paired])
    table = pd.DataFrame(rows, columns=PAIRING_COLUMNS)
    return table.astype({"shared_layers": "Int64", "layers": "Int64", "paired": "boolean"})


def pairing_by_seed(pairing: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Lay a pairing table out as text for a reader, one row per seed.

    Returns:
        ``seed``, ``batch order``, and one column per variant with the hash of the initial weights that it
        shares with the baseline, followed by a check mark, or by the hash that the baseline has instead. A
        dash means that there is nothing to compare.
    """
    rows = []
    for seed, group in pairing.groupby("seed", sort=False):
        by_variant = group.set_index("variant")
        orders = {_agreement(r["order"], r["baseline_order"]) for _, r in by_variant.iterrows() if r["order"]}
        cells = {
            name: _agreement(row["weights"], row["baseline_weights"])
            for name, row in by_variant.iterrows()
            if name != baseline
        }
        rows.append({"seed": seed, "batch order": ", ".join(sorted(orders)) or "–", **cells})
    return pd.DataFrame(rows)


def pairing_verdict(pairing: pd.DataFrame) -> str:
    """Say in a sentence or two whether all trials are paired, and by what."""
    known = pairing.dropna(subset=["paired"])
    broken = known[~known["paired"].astype(bool)]
    if len(broken):
        names = ", ".join(f"{row.variant} seed {row.seed}" for row in broken.itertuples(index=False))
        return f"Not paired with the baseline's trial of the same seed: {names}."
    if len(known) < len(pairing):
        return (
            f"{len(known)} of {counted(len(pairing), 'trial')} are paired; the others have no initial state "
            "to compare yet."
        )
    all_are = "The only trial is" if len(known) == 1 else f"All {len(known)} trials are"
    text = (
        f"{all_are} paired: within a seed, the layers that a variant shares with the "
        "baseline start from the same weights, and if both use the same training images, both see the same "
        "batches in the same order."
    )
    without_layers = known.loc[known["shared_layers"] == 0, "variant"].unique()
    if len(without_layers):
        names = ", ".join(without_layers)
        text += f" These variants share only the batch order, and no layer's weights: {names}."
    return text


def pairing_gain(results: pd.DataFrame, baseline: str, metric: str = "test_accuracy") -> pd.DataFrame:
    """Measure what comparing seed by seed gained over comparing the same trials as if they were unrelated.

    Args:
        results: The results table; only completed pairs of one environment count.
        baseline: The variant that the others are paired with.
        metric: A column of the table.

    Returns:
        One row per variant: ``n`` pairs, their ``correlation``, and ``variance_saved``, which is one minus
        the variance of the paired differences over the sum of both variances. With many pairs, a value of 0.5
        is worth twice the seeds; with few, pairing pays only above `pairing_break_even`. Below 0, pairing has
        increased the variance. Both are NaN under three pairs.
    """
    completed = completed_results(results)
    by_seed = completed.pivot(index="seed", columns="variant", values=metric).astype(float)
    measured = Measurements(results, metric)
    rows = []
    for variant in (name for name in results["variant"].unique() if name != baseline):
        seeds = measured.seeds([variant, baseline])
        pairs = by_seed.loc[seeds, [variant, baseline]] if seeds else by_seed.iloc[:0, :0]
        correlation = saved = np.nan
        if len(pairs) >= 3:
            unpaired = pairs[variant].var() + pairs[baseline].var()
            if pairs.std().min() > 1e-12:  # else rounding alone would be correlated
                correlation = pairs[variant].corr(pairs[baseline])
            if unpaired > 1e-24:
                saved = 1 - (pairs[variant] - pairs[baseline]).var() / unpaired
        rows.append([variant, baseline, metric, len(pairs), correlation, saved])
    return pd.DataFrame(rows, columns=["variant", "baseline", "metric", "n", "correlation", "variance_saved"])


def pairing_break_even(pairs: int) -> float:
    """Return the share of the variance from which on pairing makes a 95% interval narrower.

    The paired t-test has n - 1 degrees of freedom, and the t-test of two unrelated samples of that size has
    2 (n - 1). The intervals are equally wide where the variance that pairing leaves is the squared ratio of
    the two critical values of t (that of the unpaired test over that of the paired one).

    Args:
        pairs: The number n of pairs, at least 2.
    """
    paired, unpaired = (stdtrit(degrees, (1 + CONFIDENCE) / 2) for degrees in (pairs - 1, 2 * (pairs - 1)))
    return float(1 - (unpaired / paired) ** 2)


def when_pairing_pays() -> str:
    """Say how large a variance reduction must be for pairing to pay, for small numbers of pairs."""
    three, five, ten = (f"{pairing_break_even(pairs):.0%}" for pairs in (3, 5, 10))
    return (
        "Pairing halves the degrees of freedom of the test, so it makes a 95% interval narrower only if the "
        f"reduction is larger than {three} with 3 pairs, {five} with 5 or {ten} with 10. With many pairs, a "
        "reduction of 50% is worth twice the seeds. Below zero, pairing has increased the variance."
    )


def _hash(parts: Iterable[str]) -> str:
    text = " ".join(parts)
    return short_digest(text) if text else ""


def _agreement(of_variant: str, of_baseline: str) -> str:
    """Return a variant's hash with a check mark, or with the baseline's hash if that is a different one."""
    if not of_variant:
        return "–"
    return f"{of_variant} ✓" if of_variant == of_baseline else f"{of_variant} ≠ {of_baseline}"
