"""The tables of a paper: one row per variant, and one per declared effect of the factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import Row, points
from ablation.grid.study import Variant
from ablation.report.paper.captions import effects_caption, variants_caption
from ablation.report.paper.components import changes, components, have_distinct_levels, setting_name
from ablation.report.paper.latex import tex
from ablation.report.paper.layout import (
    Column,
    Layout,
    Names,
    fitting,
    heading_lines,
    parts_of,
    stacked,
    table_text,
    text_width,
    without_components,
)
from ablation.results.run import Run

MARKS = {
    "better": r"$\blacktriangle$",
    "worse": r"$\blacktriangledown$",
    "equivalent": "$=$",
    "unresolved": "?",
}
_LONGEST_LEVEL = 14
_LONGEST_NOTE = 60
_PACKAGES = "% It needs the packages amssymb, array, booktabs, graphicx, pifont and tabularx.\n"


def variants_table(run: Run) -> str:
    """Return the table of the variants as LaTeX, in as many parts as fit a page each."""
    study = run.study
    names, numbers = _named(run), _numbers(run)
    layout = fitting(names, _components(run), numbers, nameless=have_distinct_levels(study))
    if layout is None:
        layout = without_components(names, numbers)
    return _parts(layout, variants_caption(run, layout), "tab:ablation")


def effects_table(run: Run) -> str:
    """Return the table of the declared effects of the factors as LaTeX; empty if the study declares none."""
    if run.compare.questions == "variants":
        return ""
    declared = run.effects[run.effects["declared"].astype(bool) & (run.effects["n"] > 0)]
    declared = declared[~declared["kind"].isin(("effect where", "Shapley share"))]
    if declared.empty:
        return ""
    rows, is_fractional = declared.to_dict("records"), run.study.design == "fractional"
    names = [_effect_name(str(row["effect"])) for row in rows]
    levels = [str(row["levels"]) if row["kind"] == "main effect" or not is_fractional else "" for row in rows]
    layout = without_components(Names("Effect", names, levels), _judged(rows, run))
    return _parts(layout, effects_caption(run, declared), "tab:effects")


def _effect_name(effect: str) -> str:
    """Return the name of an effect, a factor, a product of factors or a sum of products, for readers."""
    return " ".join(setting_name(word) if word not in "×+" else word for word in effect.split(" "))


def _parts(layout: Layout, caption: str, label: str) -> str:
    tables = [
        table_text(layout, rows, caption if k == 0 else "Continued.", label, is_continued=k > 0)
        for k, rows in enumerate(parts_of(layout))
    ]
    return _PACKAGES + "\n".join(tables)


def _named(run: Run) -> Names:
    """Return the column of the variants' names; those that are no combination of levels say what changed."""
    notes = [changes(variant, run.study) for variant in run.study.variants]
    short = [note if len(note) <= _LONGEST_NOTE else f"{note[:_LONGEST_NOTE]}…" for note in notes]
    return Names("Variant", [variant.name for variant in run.study.variants], short)


def _components(run: Run) -> list[Column]:
    columns = []
    for component in components(run.study):
        cells, width = [], 1.0
        for variant in run.study.variants:
            is_on = component.is_on(variant)
            level = component.level(variant) or "–"
            if is_on is None and len(level) > _LONGEST_LEVEL:
                level = f"{level[: _LONGEST_LEVEL - 1]}…"
            cells.append(tex(level) if is_on is None else r"\ding{51}" if is_on else r"\ding{55}")
            width = max(width, 1.0 if is_on is not None else text_width(level))
        columns.append(Column(component.heading, cells, width, "c", is_component=True))
    return columns


def _numbers(run: Run) -> list[Column]:
    """Return the columns of the mean, the difference with its interval, and the verdict's mark."""
    study, compare = run.study, run.compare
    summary = _means(run)
    compared = {row["variant"]: row for row in run.baseline_comparisons.to_dict("records")}
    rows = [compared.get(variant.name) for variant in study.variants]
    unit = r" (\%)" if compare.in_points else ""
    means = [_mean(summary.get(variant.name), run) for variant in study.variants]
    heading = stacked(compare.metric_in_words.capitalize(), "r")
    heading = heading[:-1] + unit + "}" if heading.startswith(r"\shortstack") else heading + unit
    named = max(map(text_width, heading_lines(f"{compare.metric_in_words} (%)")))
    columns = [replace(_column(heading, means), width=max(named, *map(text_width, means)))]
    counts = [_count(run, variant) for variant in study.variants]
    if len(set(counts)) > 1:
        columns.append(_column("$n$", counts))
    if compare.questions != "effects":  # else the differences are exploratory, and no answer
        columns += _judged(rows, run)
    if len(run.ranking):
        ranks = {row["variant"]: row for row in run.ranking.to_dict("records")}
        columns.append(_column("Rank", [_rank(ranks.get(variant.name)) for variant in study.variants]))
    return columns


def _column(heading: str, texts: Sequence[str], kind: str = "r") -> Column:
    return Column(heading, [tex(text) for text in texts], max(map(text_width, texts)), kind)


def _means(run: Run) -> dict[str, Row]:
    completed = completed_results(run.results)
    summary = mean_intervals(completed, ["variant"], [run.compare.metric])
    return {str(row["variant"]): row for row in summary.to_dict("records")}


def _mean(row: Row | None, run: Run) -> str:
    """Return ``80.9 ± 4.1``: a mean with half the width of its interval, as far as there are any."""
    if row is None or math.isnan(row["mean"]):
        return "–"
    half = max(row["mean"] - row["low"], row["high"] - row["mean"])  # an end may be cut off at 0 or 1
    scale, digits = (100, 1) if run.compare.in_points else (1, 4)
    text = f"{scale * row['mean']:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return text if math.isnan(half) else f"{text} ± {scale * half:.{digits}f}"


def _count(run: Run, variant: Variant) -> str:
    of_variant = completed_results(run.results)
    return str(int((of_variant["variant"] == variant.name).sum()))


def _rank(row: Row | None) -> str:
    if row is None:
        return "–"
    low, high = row["rank_low"], row["rank_high"]
    return str(low) if low == high else f"{low}–{high}"


def _judged(rows: Sequence[Row | None], run: Run) -> list[Column]:
    """Return the difference, its interval and the mark of its verdict; dashes where there is none."""
    differences = ["–" if row is None else points(row["difference"], run.compare) for row in rows]
    intervals = [_interval(row, run) for row in rows]
    marks = ["" if row is None else MARKS.get(str(row["verdict"]), "") for row in rows]
    of_verdict = Column("", marks, 0.9, "c")
    return [_column(r"$\Delta$", differences), _column("[interval]", intervals, "c"), of_verdict]


def _interval(row: Row | None, run: Run) -> str:
    if row is None or math.isnan(row["low"]):
        return "" if row is None else "–"
    return f"[{points(row['low'], run.compare)}, {points(row['high'], run.compare)}]"
