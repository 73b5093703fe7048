"""Two runs side by side: what differs between them, and what came out of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.estimates import Estimate, Measurements
from ablation.analysis.inference import judge
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import MARKS, interval_phrase, percent, points
from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study_diff import study_changes
from ablation.report.document import Cell, Finding, Report, Section, Table
from ablation.report.key_results import missing_figures
from ablation.results.run import Run

_FIGURES = ("forest", "overfitting_gap", "learning_curves", "per_class", "calibration", "cost")


def side_by_side_report(run: Run, other: Run, pictures: Sequence[Picture], folder: Path) -> Report:
    """Return the report that shows two runs side by side.

    A variant is compared with the variant of the same name. If both runs have the same images, trials of the
    same seed and environment are pairs; a variant without pairs is compared unpaired. Such a comparison was
    not declared before the runs, so it gets a 95% interval and no verdict.

    Args:
        run: The first run.
        other: The second run.
        pictures: The first run's figures.
        folder: The folder in which the second run's figures are drawn.
    """
    other_pictures = draw_figures(other, folder=folder) if other.completed_trials else []
    names = [f"{side.study.name} ({side.folder.resolve()})" for side in (run, other)]
    shared = [v.name for v in run.study.variants if v.name in {w.name for w in other.study.variants}]
    lines = study_changes(run.study, other.study)
    differ = (
        "Settings that differ, with their values in the first and in the second run."
        if lines
        else "Both runs declare the same settings."
    )
    return Report(
        name=f"{run.study.name} and {other.study.name}",
        question=f"{run.study.name} and {other.study.name}, side by side",
        lead=f"{names[0]} · {names[1]}",
        facts=f"First: {run.dataset.describe()}. Second: {other.dataset.describe()}.",
        warnings=[*missing_figures(pictures), *missing_figures(other_pictures)],
        findings=[Finding(f"In both runs: {', '.join(shared) or 'no variant'}.")],
        sections=[
            Section("differences", "Differences in settings", [differ], lines=lines),
            Section(
                "variants",
                "Variants",
                _other_questions(run, other),
                tables=[_table(run, other, shared)],
                notes=[_note(run, other, shared)],
            ),
            *_figures(pictures, other_pictures, names),
        ],
        drawn=tuple(range(len(run.trials) + len(other.trials))),
        trials=[f"{side.study.name}: {trial.id}" for side in (run, other) for trial in side.trials],
    )


def _other_questions(run: Run, other: Run) -> list[str]:
    """Say in a sentence which questions the verdicts answer, if they are not the same in both runs."""
    about = [f"about {side.compare.metric_in_words} and {_generalise(side)}" for side in (run, other)]
    if about[0] == about[1]:
        return []
    return [
        f"The verdicts of the two runs answer different questions: those of the first run are {about[0]}, "
        f"and those of the second run are {about[1]}."
    ]


def _generalise(run: Run) -> str:
    """Say what the intervals of a run's comparisons generalise to."""
    if run.study.draws_test_images:
        return "generalise to other seeds, that is, to other draws from its pool of images"
    compared = run.baseline_comparisons[run.baseline_comparisons["n"] > 1]
    holds_for = sorted(set(compared["holds_for"]), reverse=True)
    if not holds_for:
        holds_for = ["seeds and images" if run.compare.includes_images else "seeds"]
    if len(holds_for) > 1:
        return "generalise to other seeds, and for some variants to other test images"
    return {
        "seeds": "generalise to other seeds, on these test images",
        "seeds and images": "generalise to other seeds and other test images",
    }[holds_for[0]]


def _note(run: Run, other: Run, shared: Sequence[str]) -> str:
    both = [name for name in shared if min(len(_accuracies(side, name)) for side in (run, other))]
    unpaired = [name for name in both if not _pairs(run, other, name).n]
    how = "It is taken seed by seed, over the seeds whose two trials ran in the same environment"
    if not _same_images(run, other):
        how = "It is unpaired (Welch), because the images of the runs differ"
    elif both and unpaired == both:
        how = "It is unpaired (Welch), because no two trials of the same seed ran in the same environment"
    elif unpaired:
        how += f"; for {', '.join(unpaired)}, without such seeds, it is unpaired (Welch)"
    return (
        "Means of test accuracy with 95% confidence intervals (Student's t). Second minus first: the "
        "difference in test accuracy with its 95% interval, which was not declared before the runs and is "
        f"not a verdict. {how}. Each run's verdicts compare its variants with its own baseline."
    )


def _same_images(run: Run, other: Run) -> bool:
    draws = run.study.draws_test_images, other.study.draws_test_images
    return run.dataset.digest == other.dataset.digest and draws[0] == draws[1]


def _table(run: Run, other: Run, shared: Sequence[str]) -> Table:
    rows = []
    for name in shared:
        cells = [Cell(name, kind="row")]
        for offset, side in ((0, run), (len(run.trials), other)):
            cells += _mean_and_verdict(side, name, offset)
        rows.append([*cells, _difference(run, other, name)])
    sides = (("First", run), ("Second", other))
    of_sides = [text for side in sides for text in (f"{side[0]}: {side[1].study.name}", _verdict_on(side[1]))]
    return Table(["Variant", *of_sides, "Second minus first, points"], rows, sortable=True)


def _verdict_on(run: Run) -> str:
    """Return the heading of the verdicts, with their metric if it is not the one of the other columns."""
    metric = run.compare.metric
    return "Verdict" if metric == "test_accuracy" else f"Verdict on {run.compare.metric_in_words}"


def _mean_and_verdict(run: Run, name: str, offset: int) -> list[Cell]:
    """Return a variant's mean test accuracy and its verdict in one of the runs.

    Args:
        run: The run.
        name: The variant.
        offset: The place of the run's first trial in the report's list of trials.
    """
    results = run.results
    completed = results[(results["variant"] == name) & (results["status"] == "completed")]
    trials = tuple(offset + k for k in completed.index)
    verdicts = run.baseline_comparisons.set_index("variant")["verdict"]
    verdict = str(verdicts.get(name, "baseline"))
    verdict_cell = Cell(f"{MARKS.get(verdict, '')} {verdict or 'none'}".strip(), kind=verdict)
    if completed.empty:
        return [Cell("–"), verdict_cell]
    mean = mean_intervals(completed, ["variant"], ["test_accuracy"]).iloc[0]
    interval = "" if math.isnan(mean["low"]) else f"{percent(mean['low'])} to {percent(mean['high'])}"
    return [Cell(percent(mean["mean"]), interval, mean["mean"], trials), verdict_cell]


def _difference(run: Run, other: Run, name: str) -> Cell:
    """Return the difference in test accuracy between two runs of a variant, second minus first."""
    settings, pairs = CompareSettings(correction="none"), _pairs(run, other, name)
    if pairs.n:
        row = judge({name: pairs}, settings).iloc[0].to_dict()
        return Cell(points(row["difference"], settings), interval_phrase(row, settings), row["difference"])
    first, second = _accuracies(run, name), _accuracies(other, name)
    if first.empty or second.empty:
        return Cell("–")
    difference, interval = float(second.mean() - first.mean()), ""
    if min(len(first), len(second)) > 1:
        from scipy.stats import ttest_ind

        low, high = ttest_ind(second, first, equal_var=False).confidence_interval()
        interval = f"{points(low, settings)} to {points(high, settings)}"
    return Cell(points(difference, settings), interval, difference)


def _pairs(run: Run, other: Run, name: str) -> Estimate:
    """Return the paired differences of a variant between two runs; none if their images differ."""
    if not _same_images(run, other):
        return Estimate(np.empty(0))
    sides = [side.results[side.results["variant"] == name] for side in (run, other)]
    both = pd.concat([sides[0].assign(variant="first"), sides[1].assign(variant="second")])
    return Measurements(both, "test_accuracy").estimate({"second": 1.0, "first": -1.0})


def _accuracies(run: Run, name: str) -> pd.Series[float]:
    """Return the test accuracies of the completed trials of a variant."""
    completed = completed_results(run.results)
    return completed.loc[completed["variant"] == name, "test_accuracy"]


def _figures(first: Sequence[Picture], second: Sequence[Picture], names: Sequence[str]) -> list[Section]:
    """Return one section per figure, with the pictures of both runs."""
    sections = []
    for figure in _FIGURES:
        pair = [
            replace(picture, title=f"{picture.title}: {name}", caption=f"{name}. {picture.caption}")
            for pictures, name in ((first, names[0]), (second, names[1]))
            for picture in pictures
            if picture.figure == figure
        ]
        if pair:
            title = figure.replace("_", " ").capitalize()
            sections.append(Section(figure, title, pictures=pair))
    return sections
