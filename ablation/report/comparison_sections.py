"""The report's sections on comparisons and effects: what the study asks, and what the answers hold for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablation.analysis.alias_phrases import alias_sentences
from ablation.analysis.failed_seeds import FAILED_MEANS
from ablation.analysis.phrases import method_phrase, not_estimated
from ablation.figures.style import Picture
from ablation.grid.study_diff import study_digest
from ablation.report import comparison_tables as tables
from ablation.report.document import Section, code
from ablation.report.key_results import comparison_findings, effect_findings
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

Pictures = Mapping[str, Sequence[Picture]]
"""The drawn figures, by the name of the figure that they belong to."""


def comparison_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    """Return the section on the comparisons: what was asked, the verdicts, and a second reading of them."""
    text = (
        f"{_asked(run)} Each verdict is read off an interval: better or worse if it excludes 0, equivalent "
        "if it lies within the margin, otherwise unresolved. The confidence level of the interval is the one "
        f"at which a declared question is decided among all of them. {_generalises(run)}"
    )
    declared = f"The comparison was declared in the grid, whose hash is {code(study_digest(run.study))}."
    changes = run.changes
    if changes is None:
        declared += " Whether the grid was changed after the first trial was not recorded."
    elif not changes:
        declared += " The grid has not been changed since before the first trial."
    else:
        declared += " Changed in the grid since the first trial:"
    drawn = [tables.comparisons_table(run, links)]
    if len(run.ranking):
        drawn.append(tables.ranking_table(run, links))
    further = (tables.second_reading_table(run, links), tables.failed_seeds_table(run, links))
    drawn += [table for table in further if table.rows]
    return Section(
        "support",
        "Comparison of all variants"
        if run.study.compare.against == "all"
        else "Comparison with the baseline",
        [text],
        [*pictures.get("ranking", []), *(pictures.get("forest", []) if pictures.get("effects") else [])],
        tables=drawn,
        findings=comparison_findings(run, links),
        notes=[*([FAILED_MEANS] if further[1].rows else []), declared],
        lines=changes or [],
    )


def _asked(run: Run) -> str:
    """Say which questions the study declares, and how they are judged."""
    compare, baseline = run.compare, run.study.baseline
    with_ = "every other variant" if compare.against == "all" else baseline
    asked = {
        "variants": f"The study asks how each variant compares with {with_}",
        "effects": "The study asks for the main effects and interactions of its factors",
        "both": f"The study asks how each variant compares with {with_}, and for the main effects and "
        "interactions of its factors",
    }[compare.questions]
    exploratory = {
        "variants": " Effects of factors that are no such comparison are exploratory: they have no verdict.",
        "effects": " Comparisons of variants that are no such effect are exploratory: they have no verdict.",
        "both": "",
    }[compare.questions]
    if not run.study.factors:
        exploratory = ""
    shared = " All of these questions share alpha." if compare.correction == "holm" else ""
    return (
        f"{asked}, in {compare.metric_in_words}, seed by seed: {method_phrase(compare)}.{shared}{exploratory}"
    )


def _generalises(run: Run) -> str:
    """Say what the intervals generalise to."""
    compare = run.compare
    if run.study.draws_test_images:
        return (
            "The intervals generalise to other seeds, that is, to other draws from this pool of images: each "
            "seed has test images of its own, so the variation over seeds contains that of test images drawn "
            "from this pool."
        )
    if "images" not in run.study.compare.holds_for:
        return "The intervals generalise to other seeds, on these test images."
    if not compare.includes_images:
        return (
            f"The intervals generalise to other seeds, on these images: {compare.metric} has no value per "
            "test image that is kept."
        )
    compared = run.comparisons[run.comparisons["n"] > 1]
    for_seeds = compared.loc[compared["holds_for"] == "seeds", "variant"]
    if len(for_seeds) == len(compared):
        return "The intervals generalise to other seeds, on these test images: no predictions are kept."
    text = (
        "The intervals generalise to other seeds and to other test images of the same kind: seeds and images "
        "are crossed random factors (Obuchowski and Rockette, 1995; Gallas, 2006)."
    )
    if len(for_seeds):
        names = ", ".join(for_seeds.unique())
        text += f" Those of {names} generalise to other seeds only, because predictions are missing."
    return text


def effects_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    """Return the section on the effects of the factors; None without factors."""
    effects = tables.effects_tables(run, links)
    missing = not_estimated(run.effects) if (run.effects["n"] == 0).any() else ""
    if not effects and not missing:
        return None
    text = (
        "Effects are estimated within each seed, over the variants that cross the factors. An effect has a "
        "verdict if the study declares it, or if it is the same contrast as a declared comparison. All "
        "others are exploratory: their intervals are not corrected for the number of effects. For "
        "an interaction, a verdict of better means that the levels together are better than the sum of their "
        "separate effects predicts."
    )
    aliases = alias_sentences(run.study)
    if len(run.study.factors) > 2 and run.study.design == "full":
        text += " For three or more factors, that sum includes the interactions of fewer of them."
    if run.study.design == "fractional":
        text += (
            " The design measures some interactions together. Such a sum has one row, which names all of "
            f"them{', and the list below the tables names the groups' if aliases else ''}."
        )
    drawn = pictures.get("interaction", [])
    notes, found = [missing] if missing else [], effect_findings(run, links)
    return Section("effects", "Factor effects", [text], drawn, effects, notes, aliases, findings=found)
