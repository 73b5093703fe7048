"""The report's tables of comparisons and effects: what was asked, and what the answers are."""

from __future__ import annotations

import math

from ablation.analysis.aliases import SEPARATED, WITH_FOLD
from ablation.analysis.phrases import (
    Row,
    confidence_phrase,
    interval_phrase,
    minus,
    p_phrase,
    percent,
    points,
    ranks_phrase,
)
from ablation.figures.readable import PAIR, only_shown
from ablation.report.document import Cell, Table
from ablation.report.tables import in_unit, verdict_cell
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

_TITLES = {
    "main effect": "Main effects: each level against the factor's first, averaged over the other factors",
    "interaction": "Interactions: how much larger a level's effect is in the presence of the other factors",
    SEPARATED: "Interactions that the fold-over separates, over all variants",
    WITH_FOLD: "Effects that were declared, with the variants of the fold-over (exploratory)",
    "effect where": "Simple effects: each level against the factor's first, at fixed levels of the others",
    "Shapley share": "Shapley shares: each component's share of the difference between full and plain model",
}


def comparisons_table(run: Run, links: TrialLinks) -> Table:
    """Return the table of the comparisons: with the baseline, or of all pairs."""
    is_all = run.study.compare.against == "all"
    rows = []
    for row in only_shown(run, run.comparisons, PAIR).to_dict("records"):
        variant, other = str(row["variant"]), str(row["baseline"])
        names = [Cell(variant, kind="row"), *([Cell(other)] if is_all else [])]
        rows.append([*names, *_judged(row, run, links.pair(variant, other))])
    headings = ["Variant", *(["Compared with"] if is_all else []), *_judged_headings(run)]
    return Table([*headings, "Pairs", "Verdict"], rows, sortable=True)


def second_reading_table(run: Run, links: TrialLinks) -> Table:
    """Return what the comparisons say without assuming normal differences, and without failed seeds."""
    rows, any_failed = [], (run.comparisons["failed_seeds"] != "").any()
    for row in only_shown(run, run.comparisons[run.comparisons["n"] > 1], PAIR).to_dict("records"):
        variant, other = str(row["variant"]), str(row["baseline"])
        trials = links.pair(variant, other)
        rest: Row = {"n": row["n_rest"], "low": row["low_rest"], "high": row["high_rest"]}
        without = [Cell("–"), Cell("")]
        if row["failed_seeds"]:
            difference = points(row["difference_rest"], run.compare)
            without = [
                Cell(difference, interval_phrase(rest, run.compare), row["difference_rest"], trials),
                Cell(row["failed_seeds"]),
            ]
        rows.append([
            Cell(f"{variant} against {other}", kind="row"),
            Cell(points(row["median"], run.compare), "", row["median"], trials),
            Cell(f"{row['above_zero']} of {row['n']}", "", row["above_zero"], trials),
            Cell(p_phrase(row["p_sign"]), "", row["p_sign"], trials),
            Cell(p_phrase(row["p_normal"]), "", row["p_normal"], trials),
            *(without if any_failed else []),
        ])  # fmt: skip
    headings = ["Comparison", in_unit("Median", run), "Above 0", "Sign test, p", "Normality, p"]
    if any_failed:
        headings += [in_unit("Without collapsed seeds", run), "Collapsed seeds"]
    title = "A second reading, which does not assume normal differences (exploratory)"
    return Table(headings, rows, title, sortable=True)


def failed_seeds_table(run: Run, links: TrialLinks) -> Table:
    """Return how many seeds of each variant failed, if any did."""
    failed = run.failed_seeds
    rows = []
    for row in only_shown(run, failed).to_dict("records") if (failed["share"] > 0).any() else ():
        trials = links.of(str(row["variant"]))
        rows.append([
            Cell(str(row["variant"]), kind="row"),
            Cell(f"{row['collapsed'] + row['diverged']} of {row['n']}", "", row["share"], trials),
            Cell(f"{percent(row['low'])} to {percent(row['high'])}", "", row["low"], trials),
            Cell(row["seeds"] or "–"),
            Cell(p_phrase(row["p"]), "", row["p"], trials),
        ])  # fmt: skip
    headings = ["Variant", "Failed seeds", "95% interval of their share", "Which", "p against the baseline"]
    return Table(headings, rows, "Failed seeds (exploratory)", sortable=True)


def ranking_table(run: Run, links: TrialLinks) -> Table:
    """Return the ranks that the comparisons of all pairs support."""
    rows = [
        [
            Cell(str(row["variant"]), kind="row"),
            Cell(value_text(row["mean"], run), "", row["mean"], links.of(str(row["variant"]))),
            Cell(ranks_phrase(row), "", row["rank_low"], links.all()),
            Cell("yes" if row["tied_with_best"] else "no"),
            Cell(str(row["n"]), "", row["n"], links.of(str(row["variant"]))),
        ]
        for row in only_shown(run, run.ranking).to_dict("records")
    ]
    headings = ["Variant", f"Mean {run.compare.metric_in_words}", "Possible ranks", "None shown to be better"]
    return Table([*headings, "Seeds"], rows, "Ranking", sortable=True)


def value_text(value: float, run: Run) -> str:
    """Return a value of the compared metric as text."""
    return percent(value) if run.compare.in_points else f"{value:.4f}"


def effects_tables(run: Run, links: TrialLinks) -> list[Table]:
    """Return the effects that can be estimated, one table per kind of effect."""
    headings = ["Factor", "Level", *_judged_headings(run)]
    return [
        Table(
            [*headings, "Seeds", "Verdict"],
            [
                [
                    Cell(row["effect"], kind="row"),
                    Cell(row["levels"]),
                    *_judged(row, run, links.effect(row)),
                ]
                for row in effects.to_dict("records")
            ],
            _TITLES[str(kind)],
            sortable=True,
        )
        for kind, effects in run.effects[run.effects["n"] > 0].groupby("kind", sort=False)
    ]


def _judged_headings(run: Run) -> list[str]:
    """Return the headings of the cells that `_judged` returns, up to the effect size."""
    measured = [in_unit("Difference", run), in_unit("Interval", run)]
    return [*measured, "Confidence level", "p, adjusted", "Cohen's d"]


def _judged(row: Row, run: Run, trials: tuple[int, ...]) -> list[Cell]:
    """Return the cells that comparisons and effects share, from the difference to the verdict."""
    confidence, size = row["confidence"], row["effect_size"]
    return [
        Cell(points(row["difference"], run.compare), "", row["difference"], trials),
        Cell(interval_phrase(row, run.compare), "", row["low"], trials),
        Cell("–" if math.isnan(confidence) else confidence_phrase(confidence), "", confidence, trials),
        Cell(p_phrase(row["p_adjusted"]), "", row["p_adjusted"], trials),
        Cell("–" if math.isnan(size) else minus(f"{size:+.2f}"), "", size, trials),
        Cell(str(row["n"]), "", row["n"], trials),
        verdict_cell(row),
    ]
