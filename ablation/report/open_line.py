"""The line of a report's first screen on what is open, and on what would resolve it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ablation.analysis.open_questions import Answer, Remedy, remedy
from ablation.analysis.phrases import Row, conclusion, duration, effect_conclusion, points
from ablation.analysis.questions import COMPARISON
from ablation.analysis.sample_size import MOST_SEEDS, POWER
from ablation.grid.value_text import counted, separator
from ablation.report.document import Finding
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

_MOST_LETTERS = 100  # of these names together
_MOST = 6  # names of open questions in a sentence; of more, half as many are given


def open_questions(run: Run, links: TrialLinks, answers: Sequence[Answer]) -> list[Finding]:
    """Return one line on all that is open, and on what would resolve it; none if everything is resolved."""
    if not answers:
        return []
    unresolved = [answer for answer in answers if answer.row["verdict"]]
    parts = [
        _unresolved(run, unresolved),
        *_without_verdict(run, [a for a in answers if not a.row["verdict"]]),
    ]
    pending = int((run.results["status"] == "pending").sum())
    if pending:
        verb = "are" if pending > 1 else "is"
        parts.append(f"{counted(pending, 'trial')} {verb} pending, which may resolve this.")
    else:
        parts.append(_what_resolves(run, answers))
    trials = {place for answer in answers for place in _behind(answer, links)}
    return [Finding(" ".join(filter(None, parts)), "unresolved", tuple(sorted(trials)))]


def _behind(answer: Answer, links: TrialLinks) -> tuple[int, ...]:
    if answer.question.kind == COMPARISON:
        return links.pair(answer.question.subject, answer.question.detail)
    return links.effect(answer.row)


def _unresolved(run: Run, answers: Sequence[Answer]) -> str:
    """Name the unresolved questions in a sentence; a single one is given with its interval."""
    if not answers:
        return ""
    if len(answers) == 1:
        (only,) = answers
        if only.question.kind == COMPARISON:
            return conclusion({**only.row, "unfinished": "", "failed_seeds": ""}, run.compare)
        return effect_conclusion(only.row, run.compare, len(run.study.factors))
    baseline, metric = run.study.baseline, run.compare.metric_in_words
    with_baseline = [
        a.question.subject for a in answers if a.question.kind == COMPARISON and a.question.detail == baseline
    ]
    others = [a for a in answers if a.question.kind == COMPARISON and a.question.detail != baseline]
    effects = [_effect_name(a) for a in answers if a.question.kind != COMPARISON]
    asked = []
    if with_baseline:
        verb = "differs" if len(with_baseline) == 1 else "differ"
        asked.append(f"whether {some(with_baseline, 'or')} {verb} from {baseline} in {metric}")
    if others:
        asked.append(f"{counted(len(others), 'comparison')} of other variants with each other")
    if effects:
        of = "effect" if len(effects) == 1 else f"{len(effects)} effects"
        asked.append(f"the {of} of {some(effects, 'and')} on {metric}")
    unit = "pair" if with_baseline or others else "seed"
    return f"Unresolved: {', and '.join(asked)}{shared_n([a.row for a in answers], unit)}."


def _effect_name(answer: Answer) -> str:
    """Return ``dropout = 0.3``, or the factors of an interaction."""
    is_main = answer.question.kind == "main effect"
    return f"{answer.question.subject} = {answer.question.detail}" if is_main else answer.question.subject


def _name(answer: Answer, run: Run) -> str:
    question = answer.question
    if question.kind != COMPARISON:
        return _effect_name(answer)
    return (
        question.subject
        if question.detail == run.study.baseline
        else f"{question.subject} – {question.detail}"
    )


def some(names: Sequence[str], word: str) -> str:
    """Return names as a list in a sentence; of many or long names, some and the number of the others."""
    shown = len(names) if len(names) <= _MOST else _MOST // 2
    while shown > 1 and sum(map(len, names[:shown])) > _MOST_LETTERS:
        shown -= 1
    rest = [f"{len(names) - shown} more"] if len(names) > shown else []
    return listed([*names[:shown], *rest], word, separator(names))


def _without_verdict(run: Run, answers: Sequence[Answer]) -> Iterable[str]:
    """Yield a sentence for each reason why questions have no verdict at all."""
    by_reason: dict[str, list[str]] = {}
    for answer in answers:
        by_reason.setdefault(str(answer.row["reason"]), []).append(_name(answer, run))
    for reason, names in by_reason.items():
        verb = "has" if len(names) == 1 else "have"
        yield f"{some(names, 'and')} {verb} no verdict: {reason}."


def _what_resolves(run: Run, answers: Sequence[Answer]) -> str:
    """Say how many further seeds, or test images, would resolve open questions, and how long that takes."""
    images = len(run.dataset.test) if run.compare.includes_images else 0
    found = remedy(answers, run.compare, run.results, images)
    is_mixed = sum(map(bool, (found.by_seeds, found.by_images, found.unknown))) > 1

    def of(group: Sequence[Answer]) -> str:
        return f" for {len(group)} of them" if is_mixed else ""

    needed, texts = [], []
    if found.by_seeds:
        needed.append(f"{_further_seeds(found)}{of(found.by_seeds)}")
    if found.by_images:
        limit = "" if is_mixed else ", whatever the number of seeds"
        test = f"at least {found.images:,} test images instead of {images:,}"
        needed.append(f"{test}{of(found.by_images)}{limit}")
    if needed:
        margin = points(run.compare.margin, run.compare, sign=False)
        power = f"Detecting a difference of {margin} with a power of {POWER:.0%} takes"
        texts.append(f"{power} {', and '.join(needed)}.")
    if found.unknown:
        what = f" {len(found.unknown)} of them" if is_mixed else " this"
        texts.append(f"How many seeds would resolve{what} cannot be estimated from these trials.")
    return " ".join(texts)


def _further_seeds(found: Remedy) -> str:
    """Return how many further seeds are needed, how certain that number is, and how long they take."""
    if math.isinf(found.seeds):
        return f"more than {MOST_SEEDS:,} seeds per variant"
    high = f"more than {MOST_SEEDS:,}" if math.isinf(found.high) else f"{found.high:,.0f}"
    time = "" if math.isnan(found.seconds) else f"; {duration(found.seconds)} of training on one worker"
    seeds = counted(round(found.seeds), "more seed")
    return f"about {seeds} per variant (80% interval {found.low:,.0f} to {high}{time})"


def shared_n(rows: Sequence[Row], unit: str) -> str:
    """Return the n that rows have in common in parentheses; empty if they differ, or for one row."""
    counts = {int(row["n"]) for row in rows}
    return f" (n = {counted(counts.pop(), unit)})" if len(counts) == 1 < len(rows) else ""


def listed(texts: Sequence[str], word: str, between: str = ", ") -> str:
    """Return texts as a list in a sentence: ``a, b and c``."""
    return texts[0] if len(texts) == 1 else f"{between.join(texts[:-1])} {word} {texts[-1]}"
