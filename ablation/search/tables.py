"""The tables of a search: what it tried, which settings matter, and what the confirmation found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.completed_trials import completed_results
from ablation.grid.search_space import Parameter
from ablation.grid.value_text import yaml_text
from ablation.results.run import Run
from ablation.search.proposal import Proposal
from ablation.search.settings import Search

_FEWEST = 8  # proposals; with fewer, no importance is estimated
_REPEATS = 50  # shuffles per parameter


def search_table(search: Search, proposals: Sequence[Proposal], run: Run) -> pd.DataFrame:
    """Return one row per proposal, in the order in which they were made.

    Returns:
        ``trial``; the searched settings, empty if a condition leaves one out; ``epochs``; ``seeds``, the
        number of completed ones; ``objective``, the mean over the seeds of the value after the last epoch,
        NaN unless all seeds completed, because a mean of the survivors would flatter; ``deviation`` over the
        seeds; ``seconds`` of training that the search had spent when the proposal was done; ``status``,
        ``pruned`` for one that was stopped before its last epoch because others were better;
        ``goes_on_from``; and ``rank``, where 1 is best, among the proposals that were trained for the most
        epochs that their settings ask for.
    """
    results, planned = run.results, len(search.settings.seeds)
    grouped = results.groupby("variant", sort=False)
    spent = grouped["seconds"].sum()
    variants = {variant.name: variant for variant in run.study.variants}
    rows, total = [], 0.0
    for proposal in proposals:
        of_proposal = grouped.get_group(proposal.name)
        completed_seeds = completed_results(of_proposal)
        values = completed_seeds[search.settings.objective].astype(float)
        whole = len(completed_seeds) == planned
        from_scratch = not proposal.goes_on_from or variants[proposal.name].training.callbacks
        before = 0.0 if from_scratch else spent[proposal.goes_on_from]
        total += float(spent[proposal.name]) - before  # a training that goes on counts only its new epochs
        troubles = sorted(set(of_proposal["status"]) - {"completed"})
        rows.append(
            {
                "trial": proposal.name,
                **{name: _cell(proposal.values.get(name)) for name in search.settings.space},
                "epochs": variants[proposal.name].training.epochs,
                "seeds": len(completed_seeds),
                "objective": float(values.mean()) if whole else math.nan,
                "deviation": float(values.std(ddof=1)) if whole and planned > 1 else math.nan,
                "seconds": total,
                "status": ("pruned" if proposal.pruned else "completed") if whole else ", ".join(troubles),
                "goes_on_from": proposal.goes_on_from or "",
            }
        )
    table = pd.DataFrame(rows)
    longest = ~table["trial"].isin(table["goes_on_from"])
    if search.settings.has_rungs:  # pruned proposals were trained for fewer epochs
        longest &= table["epochs"] == search.baseline.training.epochs
    ranked = table["objective"].where(longest)
    table["rank"] = ranked.rank(ascending=not search.settings.maximise, method="first")
    return table


def importance_table(search: Search, table: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the objective each parameter explains, as permutation importance.

    A random forest of 300 trees is fitted to the proposals' settings and mean objectives. Then the values of
    each parameter are shuffled in turn: its importance is the growth of the forest's error, as a share of the
    variance of the objective (Breiman, 2001, "Random forests"). If the forest cannot predict proposals that a
    tree was not fitted to, no importance is estimated.

    Returns:
        One row per parameter: ``parameter``; ``importance``, the mean over the shuffles, with ``low`` and
        ``high``, their 2.5% and 97.5% quantiles; ``explained``, the share of the variance that the forest
        explains out of bag; and ``trials``, the number of proposals. The importance is NaN if ``explained``
        is not above 0, or if there are fewer than eight proposals.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    known = table.dropna(subset=["objective"])
    names = list(search.settings.space)
    x = np.column_stack([_numbers(known[name], search.settings.space[name]) for name in names])
    y = known["objective"].to_numpy(float)
    explained = math.nan
    if len(known) >= _FEWEST and np.ptp(y) > 0:
        forest = RandomForestRegressor(300, oob_score=True, random_state=0).fit(x, y)
        explained = float(forest.oob_score_)
    rows = []
    if explained > 0:
        shuffled = permutation_importance(forest, x, y, n_repeats=_REPEATS, random_state=0)
        for name, values in zip(names, shuffled.importances, strict=True):
            low, high = np.quantile(values, [0.025, 0.975])
            rows.append([name, float(values.mean()), float(low), float(high), explained, len(known)])
    else:
        rows = [[name, math.nan, math.nan, math.nan, explained, len(known)] for name in names]
    return pd.DataFrame(rows, columns=["parameter", "importance", "low", "high", "explained", "trials"])


def confirmation_table(search: Search, table: pd.DataFrame, confirmed: Run) -> pd.DataFrame:
    """Return the scores of the search beside the confirmed scores.

    Returns:
        One row per confirmed setting, the best one of the search first: ``trial``; ``searched``, the
        objective in the search; ``confirmed``, the objective with fresh seeds; ``optimism``, by how much the
        former is better; and the columns of `Run.comparisons` against the baseline, on the metric of the
        grid.
    """
    objective = search.settings.objective
    means = completed_results(confirmed.results).groupby("variant")[objective].mean()
    searched = table.set_index("trial")["objective"]
    comparisons = confirmed.baseline_comparisons.set_index("variant")
    sign = 1 if search.settings.maximise else -1
    rows = []
    for name, row in comparisons.iterrows():
        fresh = float(means.get(name, math.nan))
        scores = {"trial": name, "searched": searched[name], "confirmed": fresh}
        rows.append(scores | {"optimism": sign * (searched[name] - fresh)} | row.to_dict())
    return pd.DataFrame(rows)


def winner(confirmation: pd.DataFrame, maximise: bool) -> str | None:
    """Return the name of the setting with the best confirmed objective; None if none was confirmed.

    The objective does not use the test set.
    """
    known = confirmation.set_index("trial")["confirmed"].astype(float).dropna()
    if known.empty:
        return None
    return str(known.idxmax() if maximise else known.idxmin())


def _cell(value: Any) -> Any:
    """Return a value as a cell of the table, in which components are text."""
    parts = value if isinstance(value, list) else [value]
    return yaml_text(value) if any(isinstance(part, dict) for part in parts) else value


def _numbers(values: pd.Series[Any], parameter: Parameter) -> NDArray[np.float64]:
    """Return a parameter's values as numbers that a tree can split.

    Choices become their positions, values on a logarithmic scale their logarithms. A value that a condition
    leaves out becomes a number below all others.
    """
    if parameter.choice is not None:
        places = {yaml_text(choice): k for k, choice in enumerate(parameter.choice)}
        return np.array([places.get(yaml_text(value), -1) for value in values], float)
    numbers = np.array([math.nan if value is None else float(value) for value in values])
    numbers = np.log(numbers) if parameter.log else numbers
    return np.where(np.isnan(numbers), np.nanmin(numbers) - 1 if np.isfinite(numbers).any() else 0, numbers)
