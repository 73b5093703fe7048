"""The tables of a study whose variants were tuned: what was proposed, what was chosen, what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.grid.search_space import Parameter
from ablation.grid.study import Study
from ablation.grid.tuning import TunedProposal, proposals_of
from ablation.grid.value_text import yaml_text

AS_GIVEN = 0
"""The budget of a variant at the settings of the grid file: no proposal."""
PROPOSALS = [
    "variant", "search", "proposal", "settings", "seeds", "objective", "status", "best", "chosen", "lead",
]  # fmt: skip
_JUDGED = ["n", "difference", "low", "high", "confidence", "p_adjusted", "verdict", "reason"]
COMPARED = [
    "variant", "budget", "exploratory", "settings", "searched", "second_settings", "second_searched",
    "distance", "metric", "mean", *_JUDGED,
]  # fmt: skip


class Searched(NamedTuple):
    """A search: its study, as `search_study` returns it, and the results of its trials."""

    study: Study
    results: pd.DataFrame


class Compared(NamedTuple):
    """The variants at one budget: the results of their trials, and their comparisons with the baseline."""

    results: pd.DataFrame
    comparisons: pd.DataFrame


def proposals_table(study: Study, searches: Mapping[int, Searched]) -> pd.DataFrame:
    """Return one row per proposal of each search.

    Args:
        study: The study that is tuned.
        searches: The searches, by their number.

    Returns:
        ``variant``; ``search``, 1 or 2; ``proposal``, the number of proposals so far; ``settings``, those
        that it changes; ``seeds``, the number of completed ones; ``objective``, the mean over the seeds on
        the validation images after the last epoch, NaN unless all seeds completed; ``status``; ``best``, the
        best objective so far; ``chosen``, the proposal that has it; and ``lead``, by how much ``best`` is
        above the baseline's after as many proposals.
    """
    parts = [_of_search(study, number, searched) for number, searched in searches.items()]
    if not parts:
        return pd.DataFrame(columns=PROPOSALS)
    table = pd.concat(parts, ignore_index=True)
    reference = table[table["variant"] == study.baseline].set_index(["search", "proposal"])["best"]
    places = pd.MultiIndex.from_frame(table[["search", "proposal"]])
    table["lead"] = table["best"] - reference.reindex(places).to_numpy(float)
    return table[PROPOSALS]


def _of_search(study: Study, number: int, searched: Searched) -> pd.DataFrame:
    assert study.tune
    by_proposal = searched.results.groupby("variant", sort=False)
    rows = []
    for variant, proposal in zip(searched.study.variants, proposals_of(searched.study), strict=True):
        of_proposal = by_proposal.get_group(variant.name)
        values = completed_results(of_proposal)[study.tune.objective].astype(float)
        whole = len(values) == len(searched.study.seeds)
        troubles = sorted(set(of_proposal["status"]) - {"completed"})
        rows.append({
            "variant": proposal.variant,
            "search": number,
            "settings": settings_text(proposal.values),
            "seeds": len(values),
            "objective": float(values.mean()) if whole else math.nan,
            "status": "completed" if whole else ", ".join(troubles),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    grouped = table.groupby("variant", sort=False)
    table["proposal"] = grouped.cumcount() + 1
    table["best"] = grouped["objective"].cummax() if study.tune.maximise else grouped["objective"].cummin()
    table["best"] = table.groupby("variant", sort=False)["best"].ffill()  # a failed proposal changes nothing
    is_new = table["objective"].notna() & (table["best"] != table.groupby("variant")["best"].shift())
    table["chosen"] = table["proposal"].where(is_new)
    table["chosen"] = table.groupby("variant", sort=False)["chosen"].ffill()
    return table


def settings_text(values: Mapping[str, Any]) -> str:
    """Return settings as text, like ``learning_rate: 0.01, dropout: 0.2``, every number in full."""
    return ", ".join(f"{name}: {yaml_text(value)}" for name, value in values.items())


def choices_at(
    study: Study, searched: Study, proposals: pd.DataFrame, search: int, budget: int
) -> dict[str, TunedProposal]:
    """Return what a search had chosen for each variant after so many proposals.

    Args:
        study: The study that is tuned.
        searched: The study of the search.
        proposals: The table from `proposals_table`.
        search: The number of the search, 1 or 2.
        budget: The number of proposals per variant. A search that made fewer has then made all of them.

    Returns:
        The choices by variant, without variants of which no proposal has completed.
    """
    made: dict[str, list[TunedProposal]] = {}
    for proposal in proposals_of(searched):
        made.setdefault(proposal.variant, []).append(proposal)
    early = proposals[(proposals["search"] == search) & (proposals["proposal"] <= budget)]
    chosen = early.groupby("variant")["chosen"].last().dropna().astype(int)
    return {v.name: made[v.name][chosen[v.name] - 1] for v in study.variants if v.name in chosen.index}


def tuned_table(
    study: Study,
    proposals: pd.DataFrame,
    choices: Mapping[int, Mapping[int, Mapping[str, TunedProposal]]],
    compared: Mapping[int, Compared],
) -> pd.DataFrame:
    """Return one row per variant and budget: what was chosen, how surely, and the comparison with it.

    Args:
        study: The study that is tuned.
        proposals: The table from `proposals_table`.
        choices: The choices of each search, by budget and number of the search, as `choices_at` returns them.
        compared: The comparisons by budget, ascending; `AS_GIVEN` is the study itself.

    Returns:
        ``variant``; ``budget``, the number of proposals, where 0 is the variant as given; ``exploratory``,
        true for budgets that are smaller than the whole one; ``settings`` and ``searched``, the choice of the
        first search and its objective there; ``second_settings`` and ``second_searched``, those of the second
        search; ``distance`` between the two choices, from 0 to 1, see `distance`; ``metric`` and ``mean``,
        its mean over the completed seeds; and the comparison with the baseline as in ``comparisons.csv``.
    """
    rows = []
    scores = proposals.set_index(["search", "variant", "proposal"])["best"].sort_index()
    for budget, at in compared.items():
        metric = study.compare.metric
        means = completed_results(at.results).groupby("variant")[metric].mean()
        judged = at.comparisons.set_index("variant")[_JUDGED]
        for variant in study.variants:
            row: dict[str, Any] = {"variant": variant.name, "budget": budget, "metric": metric}
            row["exploratory"] = AS_GIVEN < budget < max(compared)
            row["mean"] = float(means.get(variant.name, math.nan))
            both = [choices.get(budget, {}).get(search, {}).get(variant.name) for search in (1, 2)]
            for search, prefix, choice in ((1, "", both[0]), (2, "second_", both[1])):
                row[f"{prefix}settings"] = settings_text(choice.values) if choice else ""
                last = scores.get((search, variant.name)) if choice else None
                row[f"{prefix}searched"] = math.nan if last is None else float(last[:budget].iloc[-1])
            row["distance"] = math.nan
            if study.tune and both[0] and both[1]:
                row["distance"] = distance(study.tune.space, both[0].values, both[1].values)
            row |= judged.loc[variant.name].to_dict() if variant.name in judged.index else {"verdict": ""}
            rows.append(row)
    return pd.DataFrame(rows, columns=COMPARED)


def distance(space: Mapping[str, Parameter], first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Return how far two choices are apart: the largest distance over the settings, from 0 to 1.

    The distance of two values of a range is their share of the range, on its own scale. Two different
    choices, and a value that one of the two does not have, are 1 apart.
    """
    names = [name for name in space if name in first or name in second]
    return max((_apart(space[name], first.get(name), second.get(name)) for name in names), default=0.0)


def _apart(parameter: Parameter, first: Any, second: Any) -> float:
    if parameter.range is None or first is None or second is None:
        return float(yaml_text(first) != yaml_text(second))
    low, high, one, other = (
        math.log(value) if parameter.log else float(value) for value in (*parameter.range, first, second)
    )
    return abs(one - other) / (high - low)


def standing(leads: Sequence[float], maximise: bool) -> list[tuple[int, int, int]]:
    """Return where a variant stood against the baseline over the budget, as runs of budgets.

    Args:
        leads: The lead of the variant's best objective over the baseline's, after 1, 2, … proposals.
        maximise: Whether a higher objective is better.

    Returns:
        A tuple per run: the first and the last budget, and 1 for better, -1 for worse, 0 for equal. Budgets
        at which one of the two has no score are left out.
    """
    runs: list[tuple[int, int, int]] = []
    for budget, lead in enumerate(leads, 1):
        if math.isnan(lead):
            continue
        sign = (lead > 0) - (lead < 0)
        sign = sign if maximise else -sign
        if runs and runs[-1][2] == sign and runs[-1][1] == budget - 1:
            runs[-1] = runs[-1][0], budget, sign
        else:
            runs.append((budget, budget, sign))
    return runs
