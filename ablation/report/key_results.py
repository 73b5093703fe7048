"""What a run found, in sentences, the most important first."""

from __future__ import annotations

from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import conclusion, effect_conclusion, minus
from ablation.report.document import Finding
from ablation.report.tables import MEASURES
from ablation.report.trial_links import Sources
from ablation.results.notes import run_notes
from ablation.results.run import Run

_MOST = 6  # sentences of a kind, and names in one; the tables have all


def findings(run: Run, sources: Sources) -> list[Finding]:
    """Say which variant is in front, what is decided, what the factors do, and how much was overfitted."""
    if run.results["status"].eq("completed").any():
        return [
            *_front(run, sources),
            *_comparisons(run, sources),
            *_effects(run, sources),
            *_gap(run, sources),
        ]
    return [Finding("No trial is completed yet.")]


def warnings(run: Run, sources: Sources) -> list[Finding]:
    """Name what a reader must know before believing the rest."""
    results, found = run.results, []
    pending = int((results["status"] == "pending").sum())
    if pending:
        said = (
            f"{pending} planned trial{'s have' if pending > 1 else ' has'} not run: what follows is of those "
        )
        said += "that have."
        if run.compare.looks != run.study.compare.looks:
            said += (
                " Verdicts are by the anytime-valid test, so that they are safe however many seeds follow."
            )
        found.append(Finding(said))
    troubles = results[~results["status"].isin(["completed", "pending"])]
    if len(troubles):
        said = f"{len(troubles)} trial{'s' if len(troubles) > 1 else ''} did not complete; a variant is "
        found.append(Finding(said + "compared with the baseline on the seeds that both completed."))
    found += [Finding(f"{r['trial_id']}: {r['status']}, {r['cause']}") for r in troubles.to_dict("records")]
    return [*found, *(Finding(note) for note in run_notes(run))]


def _front(run: Run, sources: Sources) -> list[Finding]:
    """Name the variant whose mean is best, and what its lead is worth."""
    compare, baseline = run.compare, run.study.baseline
    completed = run.results[run.results["status"] == "completed"].dropna(subset=[compare.metric])
    means = completed.groupby("variant", sort=False)[compare.metric].mean()
    if len(means) < 2:
        return []
    best = str(means.idxmax() if compare.higher_is_better else means.idxmin())
    value = f"{means[best]:.1%}" if compare.in_points else f"{means[best]:.4f}"
    metric = compare.metric.replace("_", " ")
    most = "highest" if compare.higher_is_better else "lowest"
    n = int((completed["variant"] == best).sum())
    said = f"{best} has the {most} mean {metric}: {value} (n = {n} seed{'s' if n != 1 else ''})."
    verdicts = run.comparisons.set_index("variant")["verdict"]
    if best != baseline and verdicts.get(best) == "unresolved":
        said += f" That is no verdict: whether it differs from {baseline} is unresolved."
    return [Finding(said, "", sources.of(best))]


def _comparisons(run: Run, sources: Sources) -> list[Finding]:
    rows = [row for row in run.comparisons.to_dict("records") if row["n"]]
    decided = [row for row in rows if row["verdict"] in ("better", "worse", "equivalent")]
    shown = rows if len(rows) <= _MOST else decided[:_MOST]
    found = [
        Finding(
            conclusion(row, run.compare), str(row["verdict"] or "unresolved"), sources.pairs(row["variant"])
        )
        for row in shown
    ]
    rest = [row for row in rows if row not in shown]
    for verdict in ("better", "worse", "equivalent", "unresolved", ""):
        names = [str(row["variant"]) for row in rest if row["verdict"] == verdict]
        if names:
            against = f"against {run.study.baseline} in {run.compare.metric.replace('_', ' ')}"
            said = f"{(verdict or 'no verdict').capitalize()} {against}, with intervals in the table below: "
            trials = {place for name in names for place in sources.pairs(name)}
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            listed = f"{said}{', '.join(names[:_MOST])}{more}."
            found.append(Finding(listed, verdict, tuple(sorted(trials))))
    return found


def _effects(run: Run, sources: Sources) -> list[Finding]:
    if len(run.study.factors) < 2:
        return []
    effects = run.effects[run.effects["kind"].isin(["main effect", "interaction"])].dropna(subset=["low"])
    rows = effects.to_dict("records")
    shown = rows if len(rows) <= _MOST else [row for row in rows if row["verdict"] != "unresolved"][:_MOST]
    found = [
        Finding(effect_conclusion(row, run.compare), str(row["verdict"]), sources.effect(row))
        for row in shown
    ]
    if len(shown) < len(rows):
        more = f"{len(rows) - len(shown)} further effects of the factors are in the tables below."
        found.append(Finding(more))
    return found


def _gap(run: Run, sources: Sources) -> list[Finding]:
    """Say how far the baseline overfits, and which variant the least."""
    completed = run.results[run.results["status"] == "completed"]
    summary = mean_intervals(completed, ["variant"], MEASURES).set_index(["metric", "variant"])["mean"]
    gaps, baseline = summary["gap_accuracy"], run.study.baseline
    if baseline not in gaps.index:
        return []
    last = all(v.training.evaluate == "last" for v in run.study.variants)
    said = (
        f"{baseline} {'ends at' if last else 'has at its best epoch'} "
        f"{summary['train_accuracy'][baseline]:.1%} training and {summary['val_accuracy'][baseline]:.1%} "
        f"validation accuracy, an overfitting gap of {minus(f'{100 * gaps[baseline]:.1f}')} percentage points"
    )
    least = str(gaps.idxmin())
    if least != baseline:
        said += f"; the smallest gap is that of {least}, {minus(f'{100 * gaps[least]:.1f}')} points"
    return [Finding(said + ".", "", tuple(sorted({*sources.of(baseline), *sources.of(least)})))]
