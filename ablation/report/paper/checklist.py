"""A reproducibility checklist, filled in from a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ablation.analysis.convergence import unfinished_note
from ablation.analysis.failed_seeds import failed_note
from ablation.analysis.phrases import method_phrase
from ablation.grid.study_diff import study_digest
from ablation.grid.value_text import counted
from ablation.report.paper.components import changes, levels_text, setting_name, value_text
from ablation.report.paper.environment import Environment
from ablation.report.paper.latex import breakable
from ablation.report.paper.methods import STREAMS, seeds_text, split_sentence
from ablation.report.paper.statistics import family_sentence
from ablation.results.notes import identical_notes
from ablation.results.run import Run

_LEFT_OUT = ("none", "0")  # settings that are switched off


@dataclass(frozen=True)
class Item:
    """A question of the checklist with its answers, each a text."""

    question: str
    answers: list[str]


def checklist(run: Run) -> list[Item]:
    """Return the items that Pineau et al. (2021) ask of an empirical study, answered from a run."""
    environment, unknown = Environment.of(run), "Not recorded."
    return [
        Item("Data", [f"{run.dataset.describe()}.", f"Hash of the images: {run.trials[0].dataset_digest}."]),
        Item("Split", [split_sentence(run), *_classes(run)]),
        Item("Hyperparameters, all variants", [_shared(run)]),
        Item("Differences between the variants", _differences(run)),
        Item("How hyperparameters were chosen", [_chosen(run)]),
        Item("Runs and seeds", _runs(run)),
        Item("Error bars", _error_bars(run)),
        Item("Verdicts", [f"{_method(run)}.", *family_sentence(run)]),
        Item("Runs that did not complete, and how they were treated", _failed(run)),
        Item("Hardware", [f"{environment.hardware}." if environment.values else unknown]),
        Item("Time", [f"{environment.time}." if environment.time else unknown]),
        Item("Software", [_software(environment) or unknown]),
        Item("Code", [*_code(run, environment)]),
        Item("Limits", _limits(run)),
    ]


def checklist_tex(run: Run) -> str:
    """Return the checklist as LaTeX."""
    items = [
        rf"\item \textbf{{{breakable(item.question)}.}} "
        + " ".join(breakable(answer) for answer in item.answers)
        for item in checklist(run)
    ]
    head = r"The items follow the checklist of Pineau et al.~\cite{pineau2021improving}."
    begin, end = "\\begin{itemize}\n\\small\\raggedright", "\\end{itemize}"
    return "\n".join([head, begin, *items, end, ""])


def checklist_markdown(run: Run) -> str:
    """Return the checklist as Markdown."""
    lines = [f"# Reproducibility checklist of {_md(run.study.name)}", ""]
    for item in checklist(run):
        lines += [f"- [x] **{_md(item.question)}.** {' '.join(map(_md, item.answers))}"]
    return "\n".join([*lines, ""])


def _md(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|#~<>&])", r"\\\1", " ".join(text.split()))


def _classes(run: Run) -> list[str]:
    if run.dataset.label_noise:
        return [f"Share of wrong labels: {run.dataset.label_noise:g}, in training and validation images."]
    return []


def _shared(run: Run) -> str:
    flat = [variant.settings for variant in run.study.variants]
    shared = {key: v for key, v in flat[0].items() if all(key in other and other[key] == v for other in flat)}
    known = {key: text for key, value in shared.items() if (text := value_text(value)) not in _LEFT_OUT}
    return "; ".join(f"{key.replace('_', ' ')}: {text}" for key, text in known.items()) + "."


def _differences(run: Run) -> list[str]:
    """Say what each variant changes; combinations of the factors' levels are named by their levels."""
    study, texts = run.study, []
    if study.factors:
        levels = (f"{setting_name(name)} ({', '.join(of)})" for name, of in study.factors.items())
        texts.append(
            f"Factors: {', '.join(levels)}; {counted(len(study.combinations), 'variant')} combine their "
            f"levels."
        )
    for variant in study.variants:
        parts = [text for text in (levels_text(variant, study), changes(variant, study)) if text]
        if variant.name == study.baseline:
            texts.append(f"{variant.name}: the baseline.")
        elif not variant.crossed or not study.factors:
            texts.append(f"{variant.name}: {', '.join(parts) or 'a model of its own'}.")
    return texts


def _chosen(run: Run) -> str:
    tune = run.study.tune
    if tune is None:
        return (
            "They were set by hand in the grid of the study, which contains no search; whether they were "
            "tried "
            "out before is for the authors to say."
        )
    budget = counted(tune.most_trials, "proposal") if tune.most_trials else "all combinations"
    return (
        f"Each variant is compared as given and tuned by two searches of the {tune.proposer_name}: "
        f"{budget} per variant, {counted(tune.seeds, 'seed')} each; proposals were scored on "
        "validation images."
    )


def _method(run: Run) -> str:
    held = method_phrase(run.compare).replace("seeds and test images", _population(run))
    text = held.replace(" pp", " percentage points")
    return f"{text[0].upper()}{text[1:]}"


def _population(run: Run) -> str:
    """Return what the intervals are over, as far as predictions on single images are kept."""
    return "seeds and test images" if (run.comparisons["holds_for"] == "seeds and images").any() else "seeds"


def _runs(run: Run) -> list[str]:
    study, status = run.study, run.results["status"]
    done = int((status == "completed").sum())
    return [
        f"{counted(len(study.variants), 'variant')}, seeds {seeds_text(study)}; {done} of "
        f"{counted(len(status), 'planned trial')} completed.",
        f"The seed decides on {', '.join(STREAMS[stream] for stream in study.vary)}.",
        "Every completed trial is part of the results.",
    ]


def _error_bars(run: Run) -> list[str]:
    over = _population(run)
    return [
        "Of means: 95% confidence intervals over seeds (Student's t). Of differences: confidence intervals "
        "of paired "
        f"differences over {over}, at the level at which the question is decided.",
        "No bar is a standard deviation or a standard error.",
    ]


def _failed(run: Run) -> list[str]:
    results = run.results
    troubles = results[~results["status"].isin(["completed", "pending"])]
    pending = int((results["status"] == "pending").sum())
    notes = [f"{counted(pending, 'planned trial')} not run yet."] if pending else []
    if troubles.empty:
        return notes or ["None."]
    named = ", ".join(
        f"{row['variant']} seed {row['seed']} ({row['status']})" for row in troubles.to_dict("records")
    )
    return [*notes, f"{named}. Each comparison uses the seeds that both of its variants completed."]


def _software(environment: Environment) -> str:
    system = environment.one("system")
    parts = [f"{name} {version}" for name, version, _ in environment.versions]
    return ", ".join([*parts, *([system] if system else [])]) + "." if parts else ""


def _code(run: Run, environment: Environment) -> list[str]:
    texts = [f"{environment.code}." if environment.code else "The grid file is in no git repository."]
    return [*texts, f"Hash of the study's declaration: {study_digest(run.study)}."]


def _limits(run: Run) -> list[str]:
    """Return what limits the numbers: too little training, failed seeds, variants without an effect."""
    failed = [note for row in run.failed_seeds.to_dict("records") if (note := failed_note(row))]
    unfinished = unfinished_note(run.convergence).removesuffix(
        " Train for longer to compare finished models."
    )
    notes = [*identical_notes(run), *failed, *([unfinished] if unfinished else [])]
    return notes or ["None that the trials show."]
