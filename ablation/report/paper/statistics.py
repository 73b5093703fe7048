"""The sentences of a paper on how variants were compared: the test, the family of questions, the verdicts."""

from __future__ import annotations

from ablation.analysis.phrases import points
from ablation.analysis.questions import family_size
from ablation.grid.study_diff import study_digest
from ablation.grid.tuners import SAMPLERS
from ablation.grid.value_text import counted
from ablation.report.paper.latex import breakable, tex
from ablation.results.run import Run


def statistics(run: Run) -> list[str]:
    """Return the sentences on the comparison as LaTeX, with citations of the methods that were used."""
    if len(run.study.variants) < 2:
        return ["The study has a single variant, so that nothing is compared."]
    return [_asked(run), *_tested(run), *_judged(run), *_declared(run), *_failed(run), *_tuned(run)]


def _asked(run: Run) -> str:
    compare, baseline = run.compare, breakable(run.study.baseline)
    with_ = "every other variant" if compare.against == "all" else f"the baseline, {baseline}"
    asked = {
        "variants": f"how each variant compares with {with_}",
        "effects": "for the main effects and interactions of the factors",
        "both": f"how each variant compares with {with_}, and for the main effects and interactions of the "
        "factors",
    }[compare.questions]
    return f"The study asks {asked}, in {breakable(compare.metric_in_words)}."


def _tested(run: Run) -> list[str]:
    """Say which test and which interval were used, and what they generalise to."""
    compare = run.compare
    looks_early = (run.results["status"] == "pending").any()
    anytime = r"anytime-valid t-tests~\cite{lai1976confidence,wang2025anytime}"
    student = r"t-tests~\cite{student1908probable}"
    sentences = [
        f"Differences were taken within each seed and judged by paired "
        f"{student if compare.looks == 'once' else anytime}."
    ]
    if compare.looks == "any":
        sentences.append("These remain valid however often results are inspected and seeds are added.")
    elif looks_early:
        sentences.append(
            f"Questions whose trials are not all finished were judged by {anytime} at level "
            f"{compare.interim().alpha:g}."
        )
    judged = run.comparisons
    if run.study.draws_test_images:
        sentences.append(
            "Intervals generalise to other seeds, and thereby to other draws of the images, because each "
            "seed has "
            "test images of its own."
        )
    elif (judged["holds_for"] == "seeds and images").any():
        sentences.append(
            "Intervals generalise to other seeds and to other test images, which are crossed random "
            r"factors~\cite{obuchowski1995hypothesis,gallas2006one}: half the width of an interval is the "
            r"root of "
            r"the sum of the squares of that over seeds and that over images~\cite{howe1974approximate}."
        )
        if (judged["holds_for"] == "seeds").any():
            sentences.append("Where predictions are missing, intervals generalise to other seeds only.")
    else:
        sentences.append("Intervals generalise to other seeds, on these test images.")
    return sentences


def _judged(run: Run) -> list[str]:
    """Say how the family of questions shares alpha, and how a verdict is read off an interval."""
    compare, size = run.compare, family_size(run.study)
    margin = tex(points(compare.margin, compare, sign=False).replace(" pp", " percentage points"))
    family = f"The study declares {counted(size, 'question')}"
    alpha = rf"$\alpha = {compare.alpha:g}$"
    level = r"1 - \alpha"
    if size == 1:
        text = f"{family}, decided at {alpha}."
    elif compare.correction == "holm":
        level = rf"1 - \alpha / {size}"
        text = rf"{family}, which share {alpha} by Holm's method~\cite{{holm1979simple}}."
    else:
        text = f"{family}, each decided at {alpha}, without a correction for their number."
    return [
        text,
        "A variant is called better or worse if the interval of its difference, at the confidence at which "
        "the "
        "question is decided, excludes 0.",
        rf"It is called equivalent if its interval of confidence ${level}$ lies within $\pm$ {margin}, the "
        rf"smallest "
        r"difference that matters (two one-sided tests~\cite{schuirmann1987comparison}), and unresolved "
        r"otherwise.",
        "Everything that the study does not declare is exploratory and has no verdict.",
    ]


def family_sentence(run: Run) -> list[str]:
    """Say in plain text how many questions the study declares, and what a verdict is read from."""
    number = counted(family_size(run.study), "declared question")
    return [
        f"{number}; everything else is exploratory.",
        "A verdict is read off an interval: better or worse if it excludes 0, equivalent if it lies within "
        "the "
        "margin, otherwise unresolved.",
    ]


def _declared(run: Run) -> list[str]:
    """Say whether the comparison was declared before the first trial, and what was changed since."""
    changes, digest = run.changes, rf"\texttt{{{study_digest(run.study)}}}"
    if changes is None:
        return [f"The comparison is part of the study's declaration (hash {digest})."]
    if not changes:
        return [f"All of this was declared before the first trial, and not changed since (hash {digest})."]
    number = counted(len(changes), "setting")
    return [
        f"The comparison was declared before the first trial; {number} of the study changed since then (hash "
        f"of "
        f"the present declaration: {digest})."
    ]


def _failed(run: Run) -> list[str]:
    """Say how many trials failed, and how they are treated."""
    status = run.results["status"]
    counts = {kind: int((status == kind).sum()) for kind in ("failed", "diverged", "timeout")}
    words = [
        f"{count} {'timed out' if kind == 'timeout' else kind}" for kind, count in counts.items() if count
    ]
    if not words:
        return []
    return [
        f"Of {len(status):,} planned trials, {' and '.join(words)}; each comparison uses the seeds that both "
        f"of its "
        "variants completed."
    ]


def _tuned(run: Run) -> list[str]:
    """Say how the variants were tuned, if they were."""
    tune = run.study.tune
    if tune is None:
        return []
    most = counted(tune.most_trials, "proposal") if tune.most_trials else "all combinations"
    return [
        rf"Besides, each variant was tuned by two {_searches(tune.tuner)}, "
        f"each of {most} with {counted(tune.seeds, 'seed')} each; the results of this paper are those of the "
        "variants as given."
    ]


def _searches(tuner: str) -> str:
    if sampler := SAMPLERS.get(tuner):
        return rf"{sampler.name}~\cite{{{sampler.key}}} searches with Optuna~\cite{{akiba2019optuna}}"
    return rf"{tuner} searches with KerasTuner~\cite{{omalley2019kerastuner}}"
