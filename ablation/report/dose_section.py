"""The report's section on dose-response curves: what each supports, the figure, and the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ablation.analysis.dose_curves import is_averaged
from ablation.analysis.dose_phrases import best_phrase, curve_name, dose_conclusion, method_of_curves
from ablation.analysis.phrases import Row, confidence_phrase, percent, points
from ablation.figures.style import Picture
from ablation.grid.value_text import counted
from ablation.report.document import Cell, Finding, Section, Table, code
from ablation.report.tables import in_unit
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

_MOST_ANSWERED = 2  # curves that the first screen names
_MOST_CURVES = 6  # of a run whose sentences and numbers are in the report; the table on disk has all


def dose_section(run: Run, pictures: Mapping[str, Sequence[Picture]], links: TrialLinks) -> Section | None:
    """Return the section on factors with three or more numeric levels; None if there is none."""
    curves = [curve for _, curve in run.dose_response.groupby(["factor", "where"], sort=False)]
    if not curves:
        return None
    shown = curves[:_MOST_CURVES]
    more = ""
    if rest := len(curves) - len(shown):
        file = code("dose_response.csv")
        more = f" {counted(rest, 'further curve')} of other levels {'are' if rest > 1 else 'is'} in {file}."
    holds = "other seeds, that is, to other draws from this pool of images"
    if not run.study.draws_test_images:
        holds = "other seeds, on these test images"
    text = [
        "A factor with three or more numeric levels, or doses, is a curve. These results are exploratory: "
        f"they generalise to {holds}, they are not corrected for the number of curves, and they give no "
        "verdicts. The mean of a dose that is picked for being the best is too optimistic, because the same "
        f"images choose it and judge it.{more}",
        *(dose_conclusion(curve, run.compare) for curve in shown),
    ]
    factors = run.dose_response["factor"].unique()
    tables = [
        _table([curve for curve in shown if curve["factor"].iloc[0] == factor], run, links)
        for factor in factors
    ]
    drawn = pictures.get("dose_response", [])
    notes = [] if drawn else [method_of_curves(run.compare)]  # which the caption has
    return Section("dose-response", "Dose–response curves", text, drawn, [t for t in tables if t.rows], notes)


def dose_answer(run: Run, links: TrialLinks) -> list[Finding]:
    """Say which doses could be the best, in one sentence; with many curves, of those that are averaged."""
    curves = [curve for _, curve in run.dose_response.groupby(["factor", "where"], sort=False)]
    usable = [curve[curve["reason"] == ""] for curve in curves]
    usable = [curve for curve in usable if len(curve)]
    single = [curve for curve in usable if not is_averaged(str(curve["where"].iloc[0]))]
    averaged = [curve for curve in usable if is_averaged(str(curve["where"].iloc[0]))]
    chosen = single if len(single) <= _MOST_ANSWERED else averaged
    rows = [(curve, curve.to_dict("records")[0]) for curve in chosen[:_MOST_ANSWERED]]
    if not rows:
        return []
    names = "; ".join(f"{best_phrase(curve)} of {curve_name(row)}" for curve, row in rows)
    level = confidence_phrase(rows[0][1]["confidence"])
    counts = sorted({int(row["n"]) for _, row in rows})
    n = counted(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    text = (
        f"Doses that could be the best in {run.compare.metric_in_words}, at {level} confidence: {names} "
        f"(n = {n}; exploratory)."
    )
    return [Finding(text, "", tuple(sorted({place for _, row in rows for place in links.curve(row)})))]


def _table(curves: Sequence[pd.DataFrame], run: Run, links: TrialLinks) -> Table:
    """Return the table of the curves of one factor, one row per curve and dose."""
    rows = [_cells(row, run, links) for curve in curves for row in curve.to_dict("records")]
    if not rows:
        return Table([], [])
    level = confidence_phrase(float(curves[0]["confidence"].iloc[0]))
    factor, metric = str(curves[0]["factor"].iloc[0]), run.compare.metric_in_words
    headings = [
        factor, "Other factors", f"Mean {metric}", f"Band, {level}", in_unit("From the best mean", run),
        "Could be the best", "Seeds",
    ]  # fmt: skip
    if not any(row[1].text for row in rows):
        headings, rows = [headings[0], *headings[2:]], [[row[0], *row[2:]] for row in rows]
    return Table(headings, rows, sortable=True)


def _cells(row: Row, run: Run, links: TrialLinks) -> list[Cell]:
    trials = links.dose(row)
    judged = row["reason"] == ""
    has_band = not math.isnan(row["low"])
    band = f"{_value(row['low'], run)} to {_value(row['high'], run)}" if has_band else "–"
    could = ("yes" if row["could_be_best"] else "no") if judged else str(row["reason"])
    return [
        Cell(str(row["level"]), "", row["dose"], kind="row"),
        Cell(str(row["where"])),
        Cell(_value(row["mean"], run), "", row["mean"], trials),
        Cell(band, "", row["low"], trials),
        Cell(points(row["from_best"], run.compare) if judged else "–", "", row["from_best"], trials),
        Cell(could, "", None, links.curve(row)),
        Cell(str(row["n"]), "", row["n"], trials),
    ]


def _value(value: float, run: Run) -> str:
    if run.compare.in_points:
        return percent(value)
    return "–" if math.isnan(value) else f"{value:.4f}"
