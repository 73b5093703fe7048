"""A run in a few lines: each variant's accuracies and gap, as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import (
    ASKED,
    conclusion,
    effect_conclusion,
    percent,
    ranks_phrase,
    signed_points,
)
from ablation.grid.study import Study
from ablation.grid.study_diff import changed_settings
from ablation.grid.value_text import counted
from ablation.results.run import Run

SUMMARY_HEADINGS = ("variant", "train", "validation", "test (95% interval)", "gap", "seeds")


def summary_rows(run: Run) -> list[tuple[str, ...]]:
    """Return one row per variant with completed trials, for the headings `SUMMARY_HEADINGS`."""
    completed = completed_results(run.results)
    if completed.empty:
        return []
    measures = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]
    summary = mean_intervals(completed, ["variant"], measures).set_index(["variant", "metric"])
    rows: list[tuple[str, ...]] = []
    for variant in completed["variant"].unique():
        train, val, test, gap = (summary.loc[(variant, measure)] for measure in measures)
        interval = f" ({100 * test['low']:.1f} to {100 * test['high']:.1f})" if test["n"] > 1 else ""
        rows.append(
            (
                str(variant),
                f"{train['mean']:.1%}",
                f"{val['mean']:.1%}",
                f"{test['mean']:.1%}{interval}",
                f"{signed_points(gap['mean'])} pp",
                str(int(test["n"])),
            )
        )
    return rows


def summary_html(run: Run) -> str:
    """Return the summary, the ranking if there is one, and the verdicts as HTML, for a notebook."""
    counts = run.results["status"].value_counts()
    state = ", ".join(f"{count} {status}" for status, count in counts.items())
    tables = _table_html(SUMMARY_HEADINGS, summary_rows(run))
    if len(run.ranking):
        headings = ("variant", f"mean {run.compare.metric_in_words}", "possible ranks", "seeds")
        tables += _table_html(headings, _ranking_rows(run))
    verdicts = f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in _verdict_sentences(run))}</ul>"
    return f"<div>{_head_html(run.study, state)}{tables}{verdicts}</div>"


def _ranking_rows(run: Run) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for row in run.ranking.to_dict("records"):
        mean = percent(row["mean"]) if run.compare.in_points else f"{row['mean']:.4f}"
        rows.append((str(row["variant"]), mean, ranks_phrase(row), str(row["n"])))
    return rows


def _verdict_sentences(run: Run) -> list[str]:
    """Say what the declared questions with a verdict support: comparisons with the baseline, then effects."""
    comparisons, effects = run.baseline_comparisons, run.effects
    if len(run.study.factors) < 2 and run.compare.questions == "variants":
        effects = effects.iloc[:0]  # the only effects are the comparisons
    effects = effects[effects["kind"].isin(ASKED)]
    count = len(run.study.factors)
    of_factors = [row for row in effects.to_dict("records") if row["verdict"]]
    return [
        *(conclusion(row, run.compare) for row in comparisons.to_dict("records") if row["verdict"]),
        *(effect_conclusion(row, run.compare, count) for row in of_factors),
    ]


def study_html(study: Study) -> str:
    """Return a study as HTML, for a notebook: its variants, and how each differs from the baseline."""
    baseline = next(variant for variant in study.variants if variant.name == study.baseline)
    rows = [
        (
            variant.name,
            *(variant.levels[factor] for factor in study.factors),
            "the baseline" if variant is baseline else changed_settings(variant, baseline),
            str(len(study.seeds_of(variant.name))),
        )
        for variant in study.variants
    ]
    trials = sum(len(study.seeds_of(variant.name)) for variant in study.variants)
    head = _head_html(study, f"{study.dataset.name}, {counted(trials, 'trial')}")
    return f"<div>{head}{_table_html(('variant', *study.factors, 'changed', 'seeds'), rows)}</div>"


def _head_html(study: Study, more: str) -> str:
    return f"<b>{escape(study.name)}</b> {escape(study.question)} <small>({escape(more)})</small>"


def _table_html(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
