"""The first screen of a report: the answer to the study's question, in two or three sentences."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.analysis.open_questions import RESOLVED, Answer, declared_answers
from ablation.analysis.phrases import (
    MARKS,
    Row,
    confidence_phrase,
    effect_conclusion,
    interval_phrase,
    points,
)
from ablation.analysis.questions import COMPARISON
from ablation.grid.value_text import counted
from ablation.report.document import Finding
from ablation.report.dose_section import dose_answer
from ablation.report.key_results import best_mean
from ablation.report.open_line import listed, open_questions, shared_n, some
from ablation.report.trial_links import TrialLinks
from ablation.report.tuning_section import tuning_answer
from ablation.results.run import Run

_MOST = 3  # results of a kind that are given with their intervals; the sections have all of them


def answer(run: Run, links: TrialLinks) -> list[Finding]:
    """Answer the study's question: what is resolved first, then all that is open in one line.

    Each verdict that is given is that of the tables, with its interval and n. Where many questions have the
    same verdict, those of the largest differences are given, and the others are counted.
    """
    if not run.results["status"].eq("completed").any():
        return [Finding("No trial is completed yet.")]
    answers = _answers(run)
    if not answers:
        return [_nothing_asked(run, links)]
    ranked = best_mean(run, links) if len(run.ranking) else []
    comparisons = [
        a for a in answers if a.question.kind == COMPARISON and a.question.detail == run.study.baseline
    ]
    effects = [a.row for a in answers if a.question.kind != COMPARISON]
    of_variants = _resolved_comparisons(run, links, [a.row for a in comparisons])
    of_factors = (
        _effects_in_one(run, links, effects) if of_variants else _resolved_effects(run, links, effects)
    )
    return [
        *ranked,
        *of_variants,
        *of_factors,
        *dose_answer(run, links),
        *tuning_answer(run),
        *open_questions(run, links, [a for a in answers if a.is_open]),
    ]


def _answers(run: Run) -> list[Answer]:
    return declared_answers(run.study, run.compare, run.comparisons, run.effects, run.seeds_needed)


def _nothing_asked(run: Run, links: TrialLinks) -> Finding:
    """Say what a study measured that declares no question that can be answered."""
    found = best_mean(run, links)
    if found:
        return Finding(
            f"No question is declared that these variants can answer. {found[0].text}", "", found[0].trials
        )
    metric, name = run.compare.metric, run.study.baseline
    value = float(run.results.loc[run.results["variant"] == name, metric].mean())
    text = f"{value:.1%}" if run.compare.in_points else f"{value:.4f}"
    n = counted(len(links.of(name)), "seed")
    return Finding(
        f"{name} has a mean {run.compare.metric_in_words} of {text} (n = {n}). There is no other variant to "
        "compare it with.",
        "",
        links.of(name),
    )


# What is resolved


def _resolved_comparisons(run: Run, links: TrialLinks, rows: Sequence[Row]) -> list[Finding]:
    """Return a sentence for each verdict that a comparison with the baseline has."""
    found, metric, baseline = list[Finding](), run.compare.metric_in_words, run.study.baseline
    for verdict in RESOLVED:
        of_verdict = _largest([row for row in rows if row["verdict"] == verdict])
        if not of_verdict:
            continue
        relation = f"{verdict} than {baseline} in {metric}"
        if verdict == "equivalent":
            margin = points(run.compare.margin, run.compare, sign=False)
            relation = f"equivalent to {baseline} in {metric}, within ±{margin}"
        as_given = "As given, " if run.study.tune else ""
        if len(of_verdict) == 1:
            text = f"{as_given}{_estimates(of_verdict, run, 'variant')} is {relation}."
        elif len(of_verdict) <= _MOST:
            shared = shared_n(of_verdict, "pair")
            text = f"{as_given}{_estimates(of_verdict, run, 'variant')} are {relation}{shared}."
        else:
            text = (
                f"{as_given}{len(of_verdict)} variants are {relation}{shared_n(of_verdict, 'pair')}; the "
                f"largest differences are those of {_estimates(of_verdict[:_MOST], run, 'variant')}."
            )
        trials = {place for row in of_verdict for place in links.pairs(str(row["variant"]))}
        text = " ".join([text, *_reservations(of_verdict, baseline)])
        found.append(Finding(text, verdict, tuple(sorted(trials))))
    return found


def _reservations(rows: Sequence[Row], baseline: str) -> list[str]:
    """Return what verdicts depend on, in sentences; the section on comparisons has the details."""
    improving = [str(row["variant"]) for row in rows if row["unfinished"] not in ("", baseline)]
    if any(row["unfinished"] not in ("", row["variant"]) for row in rows):
        improving.append(baseline)
    texts = []
    if improving:
        verb = "was" if len(improving) == 1 else "were"
        texts.append(
            f"{some(improving, 'and')} {verb} still improving, so this holds for this budget of epochs."
        )
    if any(row["failed_seeds"] for row in rows):
        texts.append("This includes seeds in which training collapsed.")
    return texts


def _effects_in_one(run: Run, links: TrialLinks, rows: Sequence[Row]) -> list[Finding]:
    """Return one sentence on all effects that have a verdict, beside the sentences on variants."""
    resolved = [row for row in rows if row["verdict"] in RESOLVED]
    if not resolved:
        return []
    named = [{**row, "effect": f"{MARKS[str(row['verdict'])]} {row['effect']}"} for row in resolved[:_MOST]]
    more = f", and {len(resolved) - _MOST} more" if len(resolved) > _MOST else ""
    text = (
        f"Effects of the factors on {run.compare.metric_in_words}: {_estimates(named, run, 'effect')}{more}"
    )
    trials = {place for row in resolved for place in links.effect(row)}
    return [Finding(f"{text}{shared_n(resolved[:_MOST], 'seed')}.", "", tuple(sorted(trials)))]


def _resolved_effects(run: Run, links: TrialLinks, rows: Sequence[Row]) -> list[Finding]:
    """Return a sentence for each verdict that a main effect has, and one on interactions."""
    found, metric, factors = list[Finding](), run.compare.metric_in_words, len(run.study.factors)
    main = [row for row in rows if row["kind"] == "main effect"]
    for verdict, effect in (
        ("better", f"make {metric} better"),
        ("worse", f"make {metric} worse"),
        ("equivalent", f"change {metric} by less than the margin"),
    ):
        of_verdict = _largest([row for row in main if row["verdict"] == verdict])
        if not of_verdict:
            continue
        text = effect_conclusion(of_verdict[0], run.compare, factors)
        if len(of_verdict) > 1:
            more = f" and {len(of_verdict) - _MOST} more" if len(of_verdict) > _MOST else ""
            text = (
                f"{_estimates(of_verdict[:_MOST], run, 'effect')}{more} {effect}, each averaged over the "
                f"other factors{shared_n(of_verdict, 'seed')}."
            )
        trials = {place for row in of_verdict for place in links.effect(row)}
        found.append(Finding(text, verdict, tuple(sorted(trials))))
    others = [row for row in rows if row["kind"] != "main effect"]
    resolved = _largest([row for row in others if row["verdict"] in RESOLVED])
    if resolved:
        text = effect_conclusion(resolved[0], run.compare, factors)
        if further := len(resolved) - 1:
            verb = "have" if further > 1 else "has"
            text += f" {counted(further, 'further interaction')} {verb} a verdict, too."
        found.append(Finding(text, str(resolved[0]["verdict"]), links.effect(resolved[0])))
    return found


def _largest(rows: Sequence[Row]) -> list[Row]:
    """Return rows in the order of their differences, the largest first, and equivalent ones last."""
    return sorted(rows, key=lambda row: (row["verdict"] == "equivalent", -abs(float(row["difference"]))))


def _estimates(rows: Sequence[Row], run: Run, name: str) -> str:
    """Return names with their differences and intervals, as a list in a sentence."""
    unit, same_n = " points" if run.compare.in_points else "", len({row["n"] for row in rows}) == 1
    texts = []
    for row in rows:
        subject = str(row["variant"]) if name == "variant" else f"{row['effect']} = {row['levels']}"
        interval = f"{confidence_phrase(row['confidence'])} interval {interval_phrase(row, run.compare)}"
        n = (
            ""
            if same_n and len(rows) > 1
            else f", n = {counted(row['n'], 'pair' if name == 'variant' else 'seed')}"
        )
        texts.append(f"{subject} ({points(row['difference'], run.compare)}{unit}, {interval}{n})")
    return listed(texts, "and")
