"""The findings of a run in sentences, as its sections give them in full, and what to know before them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import ASKED, Row, conclusion, effect_conclusion, minus, verdicts_so_far
from ablation.figures.readable import variants_shown
from ablation.figures.style import DrawnPictures, Picture
from ablation.grid.value_text import counted, separator
from ablation.report.document import Finding, code
from ablation.report.tables import MEASURES
from ablation.report.trial_links import TrialLinks
from ablation.results.notes import identical_notes, run_notes
from ablation.results.run import Run

_MOST = 6  # sentences of a kind, and names in one; the tables have all
_MOST_CAVEATS = 40
_RELATIONS = {
    "better": "Better than",
    "worse": "Worse than",
    "equivalent": "Equivalent to",
    "unresolved": "Unresolved against",
    "": "No verdict against",
}


def warnings(run: Run, links: TrialLinks) -> list[Finding]:
    """List what a reader must know before relying on the other findings."""
    results, identical = run.results, identical_notes(run)
    caveats = [Finding(note) for note in identical]
    pending = int((results["status"] == "pending").sum())
    if pending:
        sentence = (
            f"{pending} planned trial{'s have' if pending > 1 else ' has'} not run yet. This report covers "
            f"only the trials that have."
        )
        sentence += f" {verdicts_so_far(run.compare)}"
        caveats.append(Finding(sentence))
    troubles = results[~results["status"].isin(["completed", "pending"])]
    if len(troubles):
        sentence = (
            f"{counted(len(troubles), 'trial')} did not complete. Each variant is "
            "compared with the baseline on the seeds that both completed."
        )
        caveats.append(Finding(sentence))
    causes = [
        Finding(f"{row['trial_id']}: {row['status']}, {row['cause']}") for row in troubles.to_dict("records")
    ]
    notes = [Finding(note) for note in run_notes(run)[len(identical) :]]
    further = len(caveats) + len(causes) + len(notes) - _MOST_CAVEATS
    if further < 2:  # one would take as much room as the sentence that counts it
        return [*caveats, *causes, *notes]
    listed = [*caveats, *notes, *causes][:_MOST_CAVEATS]  # a note is about more than one trial
    where = "`ablation compare` prints them, and results.csv has the cause of each trial that failed"
    return [*listed, Finding(f"{further} further caveats are not listed here: {where}.")]


def missing_figures(pictures: Sequence[Picture]) -> list[Finding]:
    """Say which figures could not be drawn, and why."""
    reasons = pictures.missing if isinstance(pictures, DrawnPictures) else {}
    return [
        Finding(f"The figure {name} is missing, because it could not be drawn: {reason.rstrip('.')}.")
        for name, reason in reasons.items()
    ]


def best_mean(run: Run, links: TrialLinks) -> list[Finding]:
    """Name the variant whose mean is best, and say whether its lead over the baseline is resolved."""
    compare = run.compare
    completed = completed_results(run.results).dropna(subset=[compare.metric])
    means = completed.groupby("variant", sort=False)[compare.metric].mean()
    if len(means) < 2:
        return []
    best = str(means.idxmax() if compare.higher_is_better else means.idxmin())
    value = f"{means[best]:.1%}" if compare.in_points else f"{means[best]:.4f}"
    metric = compare.metric_in_words
    most = "highest" if compare.higher_is_better else "lowest"
    n = int((completed["variant"] == best).sum())
    sentence = f"{best} has the {most} mean {metric}: {value} (n = {counted(n, 'seed')})."
    return [Finding(sentence + _standing(run, best), "", links.of(best))]


def _standing(run: Run, best: str) -> str:
    """Say what the best mean is worth: which variants the comparisons cannot distinguish from it."""
    baseline = run.study.baseline
    if len(run.ranking):
        return _rank_of_best(run.ranking, best)
    verdicts = run.baseline_comparisons.set_index("variant")["verdict"]
    if verdicts.get(best) == "unresolved":
        return f" This is not a verdict: whether it differs from {baseline} is unresolved."
    if len(run.study.variants) == 2 and "unresolved" in set(verdicts):
        return f" This is not a verdict: whether {verdicts.index[0]} differs from it is unresolved."
    if len(run.study.variants) > 2:
        return f" This is not a ranking: variants are compared with {baseline} only, not with each other."
    return ""


def _rank_of_best(ranking: pd.DataFrame, best: str) -> str:
    """Say which variants are tied with the one of the best mean, as far as the verdicts on all pairs say."""
    row = ranking.set_index("variant").loc[best]
    if row["rank_high"] == 1:
        return " It is better than every other variant."
    tied = [str(name) for name in ranking.loc[ranking["tied_with_best"], "variant"]]
    more = f" and {len(tied) - _MOST} more" if len(tied) > _MOST else ""
    names = separator(tied).join(tied[:_MOST])
    if not row["tied_with_best"]:
        return f" Yet another variant is better than it. None is shown to be better than {names}{more}."
    if len(tied) == 1:
        return " No variant is shown to be better than it."
    return f" No variant is shown to be better than any of {names}{more}. Their order is not resolved."


def comparison_findings(run: Run, links: TrialLinks) -> list[Finding]:
    """Say what each comparison supports; where they are many, the unresolved ones are only counted up."""
    declared = run.baseline_comparisons[run.baseline_comparisons["declared"].astype(bool)]
    rows = [row for row in declared.to_dict("records") if row["n"]]
    decided = [row for row in rows if row["verdict"] in ("better", "worse", "equivalent")]
    in_full = rows if len(rows) <= _MOST else decided[:_MOST]
    sentences = [_in_full(row, run, links) for row in in_full]
    rest = [row for row in rows if row not in in_full]
    metric = run.compare.metric_in_words
    where = code("comparisons.csv") if variants_shown(run) else "the table below"
    for verdict, relation in _RELATIONS.items():
        of_verdict = [row for row in rest if row["verdict"] == verdict]
        names = [str(row["variant"]) for row in of_verdict]
        if len(names) == 1:
            sentences.append(_in_full(of_verdict[0], run, links))
        elif names:
            heading = f"{relation} {run.study.baseline} in {metric} (intervals in {where})"
            trials = {place for name in names for place in links.pairs(name)}
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            sentence = f"{heading}: {separator(names).join(names[:_MOST])}{more}."
            sentences.append(Finding(sentence, verdict, tuple(sorted(trials))))
    return sentences


def _in_full(row: Row, run: Run, links: TrialLinks) -> Finding:
    return Finding(conclusion(row, run.compare), str(row["verdict"]), links.pairs(str(row["variant"])))


def effect_findings(run: Run, links: TrialLinks) -> list[Finding]:
    """Say what each effect supports; where there are many, the unresolved ones are only counted up."""
    if len(run.study.factors) < 2 and run.compare.questions == "variants":
        return []  # the only effects are the comparisons
    of_factors = run.effects[run.effects["kind"].isin(ASKED)].dropna(subset=["low"])
    rows = of_factors[of_factors["declared"].astype(bool)].to_dict("records")
    decided = [row for row in rows if row["verdict"] != "unresolved"]
    most = len(rows) if run.study.design == "fractional" else _MOST  # for which effects are the question
    in_full = rows if len(rows) <= _MOST else decided[:most]
    sentences = [
        Finding(
            effect_conclusion(row, run.compare, len(run.study.factors)),
            str(row["verdict"]),
            links.effect(row),
        )
        for row in in_full
    ]
    if further := len(rows) - len(in_full):
        verb = "effects of the factors are" if further > 1 else "effect of the factors is"
        sentences.append(Finding(f"{further} further {verb} in the tables below."))
    if exploratory := len(of_factors) - len(rows):
        verb = "effects of the factors are" if exploratory > 1 else "effect of the factors is"
        sentences.append(Finding(f"{exploratory} {verb} exploratory, with intervals in the tables below."))
    return sentences


def gap_findings(run: Run, links: TrialLinks) -> list[Finding]:
    """Say how far the baseline overfits, and which variant has the smallest gap."""
    completed = completed_results(run.results)
    summary = mean_intervals(completed, ["variant"], MEASURES).set_index(["metric", "variant"])["mean"]
    gaps, baseline = summary["gap_accuracy"], run.study.baseline
    if baseline not in gaps.index:
        return []
    last = next(v for v in run.study.variants if v.name == baseline).training.evaluate == "last"
    sentence = (
        f"{baseline} {'ends at' if last else 'has at its best epoch'} "
        f"{summary['train_accuracy'][baseline]:.1%} training and {summary['val_accuracy'][baseline]:.1%} "
        f"validation accuracy, an overfitting gap of {minus(f'{100 * gaps[baseline]:.1f}')} percentage points"
    )
    least = str(gaps.idxmin())
    if least != baseline:
        sentence += f"; the smallest gap is that of {least}, {minus(f'{100 * gaps[least]:.1f}')} points"
    return [Finding(sentence + ".", "", tuple(sorted({*links.of(baseline), *links.of(least)})))]
