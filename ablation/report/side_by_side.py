"""Two runs side by side: what differs between them, and what came out of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablation.analysis.inference import judge
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.phrases import MARKS, interval_phrase, percent, points
from ablation.figures.drawing import draw_figures
from ablation.figures.style import Picture
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study_diff import study_changes
from ablation.report.document import Cell, Finding, Report, Section, Table
from ablation.results.run import Run

_FIGURES = ("forest", "overfitting_gap", "learning_curves", "per_class", "calibration", "cost")


def side_by_side_report(run: Run, other: Run, pictures: Sequence[Picture], folder: Path) -> Report:
    """Return the report that shows two runs side by side.

    A variant is compared with the variant of the same name, seed by seed if both runs have the same images:
    then trials of the same seed are pairs. Such a comparison was not declared before the runs, so it gets a
    95% interval and no verdict.

    Args:
        run: The first run.
        other: The second run.
        pictures: The first run's figures.
        folder: The folder in which the second run's figures are drawn.
    """
    other_pictures = draw_figures(other, folder=folder) if other.completed_trials else []
    names = [f"{side.study.name} ({side.folder})" for side in (run, other)]
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
        findings=[Finding(f"In both runs: {', '.join(shared) or 'no variant'}.")],
        sections=[
            Section("differences", "Differences in settings", [differ], lines=lines),
            Section("variants", "Variants", tables=[_table(run, other, shared)], notes=[_note(run, other)]),
            *_figures(pictures, other_pictures, names),
        ],
        drawn=tuple(range(len(run.trials) + len(other.trials))),
        trials=[f"{side.study.name}: {trial.id}" for side in (run, other) for trial in side.trials],
    )


def _note(run: Run, other: Run) -> str:
    paired = (
        "seed by seed" if _paired(run, other) else "unpaired (Welch), because the images of the runs differ"
    )
    return (
        "Test accuracy: means with 95% confidence intervals (Student's t). Second minus first: "
        f"{paired}, with its 95% interval, which was not declared before the runs and is not a verdict. "
        "Each run's verdicts compare its variants with its own baseline."
    )


def _paired(run: Run, other: Run) -> bool:
    return run.dataset.digest == other.dataset.digest


def _table(run: Run, other: Run, shared: Sequence[str]) -> Table:
    rows = []
    for name in shared:
        cells = [Cell(name, kind="row")]
        for offset, side in ((0, run), (len(run.trials), other)):
            cells += _mean_and_verdict(side, name, offset)
        rows.append([*cells, _difference(run, other, name)])
    headings = ["Variant", f"First: {run.study.name}", "Verdict", f"Second: {other.study.name}", "Verdict"]
    return Table([*headings, "Second minus first, points"], rows, sortable=True)


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
    first, second = (
        side.results[(side.results["variant"] == name) & (side.results["status"] == "completed")].set_index(
            "seed"
        )["test_accuracy"]
        for side in (run, other)
    )
    if first.empty or second.empty:
        return Cell("–")
    settings = CompareSettings(correction="none")
    if _paired(run, other):
        row = judge({name: (second - first).dropna().to_numpy(np.float64)}, settings).iloc[0].to_dict()
        return Cell(points(row["difference"], settings), interval_phrase(row, settings), row["difference"])
    difference, interval = float(second.mean() - first.mean()), ""
    if min(len(first), len(second)) > 1:
        from scipy.stats import ttest_ind

        low, high = ttest_ind(second, first, equal_var=False).confidence_interval()
        interval = f"{points(low, settings)} to {points(high, settings)}"
    return Cell(points(difference, settings), interval, difference)


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
