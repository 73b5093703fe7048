"""The captions of a paper's tables: what is shown, n, the intervals, the marks, and the images."""

from __future__ import annotations

import re

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.convergence import unfinished_note
from ablation.analysis.phrases import confidence_phrase, points
from ablation.analysis.questions import family_size
from ablation.figures.style import seeds_phrase
from ablation.grid.value_text import counted, several
from ablation.report.paper.components import components
from ablation.report.paper.latex import breakable
from ablation.report.paper.layout import Layout
from ablation.results.run import Run

_FEWEST_PAIRS = 3


def variants_caption(run: Run, layout: Layout) -> str:
    """Return the caption of the table of the variants, as LaTeX."""
    compare = run.compare
    counts = completed_results(run.results).groupby("variant")["seed"].count()
    unit = " in percentage points" if compare.in_points else ""
    sentences = [
        f"{compare.metric_in_words.capitalize()} of each variant: the mean over {seeds_phrase(counts)}, "
        "± half the width of its 95% confidence interval (Student's t).",
    ]
    if any(column.is_component for column in layout.columns):
        sentences.append(_components_sentence(run))
    if len(run.study.variants) > 1 and compare.questions != "effects":
        sentences.append(
            f"Δ: the difference from {run.study.baseline}{unit}, paired by seed, with the interval from "
            f"which the verdict is read ({_levels(run, run.baseline_comparisons)})."
        )
        sentences.append(_marks(run, run.baseline_comparisons))
    if len(run.ranking):
        sentences.append("Rank: the ranks that the comparisons of all pairs leave possible.")
    return _caption([*sentences, *_state(run), f"Data: {run.dataset.describe()}."])


def effects_caption(run: Run, effects: pd.DataFrame) -> str:
    """Return the caption of the table of the effects, as LaTeX."""
    compare = run.compare
    unit = " in percentage points" if compare.in_points else ""
    text = (
        f"Effects of the factors on {compare.metric_in_words}{unit}, estimated within each seed, over "
        f"{seeds_phrase(effects['n'])}. Main effects: the mean at the level in brackets minus the mean at "
        f"the "
        "factor's first level. Interactions: how much larger the effect of one factor is at the named level "
        "of the other. Δ: the estimate, with the interval from which the verdict is read "
        f"({_levels(run, effects)})."
    )
    if run.study.design == "fractional":
        text += " Interactions that the fractional design measures together are named as a sum."
    return _caption([text, _marks(run, effects), *_state(run), f"Data: {run.dataset.describe()}."])


def _caption(sentences: list[str]) -> str:
    text = breakable(" ".join(filter(None, sentences)))
    return re.sub(r"\bn = (\d+)", r"$n = \1$", text)


def _components_sentence(run: Run) -> str:
    """Say what the check marks mean, with the level that each one is."""
    switches = [component for component in components(run.study) if component.on]
    if not switches:
        return ""
    plain = ("true", "with", "on", "yes")
    named = [c.heading if c.on.lower() in plain else f"{c.heading} ({c.on})" for c in switches]
    return f"✓ and ✗: with and without {several(named, 'component')}."


def _levels(run: Run, judged: pd.DataFrame) -> str:
    """Say at which confidence the intervals of a table are, and why their levels differ."""
    compare = run.compare
    test = "paired t-test" if compare.looks == "once" else "anytime-valid paired t-test"
    over = "seeds and test images" if (judged["holds_for"] == "seeds and images").any() else "seeds"
    levels = sorted(judged["confidence"].dropna().unique())
    text = f"{test} over {over}"
    if levels:
        low, high = (confidence_phrase(level) for level in (levels[0], levels[-1]))
        text += f"; confidence {low}" + (f" to {high}" if low != high else "")
    if not judged["declared"].astype(bool).any():
        return f"{text}, not corrected for their number"
    size = family_size(run.study)
    if size == 1:
        return f"{text}; α = {compare.alpha:g}"
    if compare.correction == "holm":
        family = counted(size, "declared question")
        return f"{text}; Holm's method over {family}, α = {compare.alpha:g}"
    return f"{text}; α = {compare.alpha:g} for each, not corrected for their number"


def _marks(run: Run, judged: pd.DataFrame) -> str:
    """Explain the marks of the verdicts, only those that the table has."""
    compare = run.compare
    margin = points(compare.margin, compare, sign=False).replace(" pp", " percentage points")
    meanings = {
        "better": "▲: better, the interval excludes 0",
        "worse": "▼: worse, the interval excludes 0",
        "equivalent": f"=: equivalent, the interval lies within ±{margin}",
        "unresolved": f"?: unresolved, neither different from 0 nor equivalent within ±{margin}",
    }
    verdicts = set(judged["verdict"])
    said = [meaning for verdict, meaning in meanings.items() if verdict in verdicts]
    exploratory = judged[~judged["declared"].astype(bool)]
    if len(exploratory):
        said.append("no mark: exploratory, without a verdict")
    elif (judged["verdict"] == "").any():
        said.append(f"no mark: no verdict, which needs at least {counted(_FEWEST_PAIRS, 'pair')}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _state(run: Run) -> list[str]:
    """Say what of the plan is missing, and what else limits the numbers."""
    status, notes = run.results["status"], []
    pending, planned = int((status == "pending").sum()), len(status)
    if pending:
        notes.append(f"Preliminary: {pending} of {counted(planned, 'planned trial')} have not run yet.")
    if troubles := int((~status.isin(["completed", "pending"])).sum()):
        notes.append(
            f"{counted(troubles, 'trial')} of {planned:,} did not complete; each variant is compared on the "
            "seeds that it and the other one completed."
        )
    improving = run.convergence.loc[run.convergence["improving"], "variant"]
    if unfinished_note(run.convergence):
        notes.append(f"Still improving when training ended: {several(list(improving), 'variant')}.")
    return notes
