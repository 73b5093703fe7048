"""The report's tables: every cell as it is shown, with the trials behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.analysis.intervals import mean_intervals
from ablation.analysis.pairing import pairing_by_seed, pairing_gain
from ablation.analysis.phrases import (
    MARKS,
    Row,
    interval_phrase,
    minus,
    p_phrase,
    percent,
    points,
    signed_points,
    verdict_phrase,
)
from ablation.analysis.trial_tables import COSTS
from ablation.figures.readable import only_shown, readable
from ablation.grid.study_diff import changed_settings
from ablation.report.document import Cell, Table, plain
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

MEASURES = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]
_MOST_HASHES = 8  # variants whose hashes are shown; all are in pairing.csv
_MOST_CONFUSIONS = 30  # whose difference is significant


def variants_table(run: Run, links: TrialLinks) -> Table:
    """Return the table of the variants: means, and the difference from the baseline."""
    results = run.results
    completed = completed_results(results)
    summary = mean_intervals(completed, ["variant"], MEASURES).set_index(["variant", "metric"])
    comparisons = {row["variant"]: row for row in run.baseline_comparisons.to_dict("records")}
    names = [variant.name for variant in run.study.variants]
    baseline = run.study.variants[names.index(run.study.baseline)]
    shown, rows = readable(run)[0].study.variants, []
    for variant in shown:
        planned = results[results["variant"] == variant.name]
        done = completed_results(planned)
        trials = links.of(variant.name)
        means = {m: float(summary["mean"].get((variant.name, m), math.nan)) for m in MEASURES}
        test = summary.loc[(variant.name, "test_accuracy")] if len(done) else None
        parameters = float(done["parameters"].iloc[0]) if len(done) else math.nan
        seconds = float(done["seconds"].mean())
        changes = "the baseline" if variant is baseline else changed_settings(variant, baseline)
        rows.append([
            Cell(variant.name, changes, kind="row"),
            Cell(percent(means["test_accuracy"]), _interval(test), means["test_accuracy"], trials),
            *_difference_and_verdict(comparisons.get(variant.name), run, links.pairs(variant.name)),
            Cell(percent(means["train_accuracy"]), "", means["train_accuracy"], trials),
            Cell(percent(means["val_accuracy"]), "", means["val_accuracy"], trials),
            Cell(signed_points(means["gap_accuracy"]), "", means["gap_accuracy"], trials),
            Cell("–" if math.isnan(parameters) else f"{parameters:,.0f}", "", parameters, trials),
            Cell("–" if math.isnan(seconds) else f"{seconds:.0f}", "", seconds, trials),
            Cell(f"{len(done)} of {len(planned)}", "", len(done), trials),
        ])  # fmt: skip
    metric = run.compare.metric_in_words
    difference = in_unit("Difference" if metric == "test accuracy" else f"Difference in {metric}", run)
    headings = ["Variant", "Test accuracy", difference, "Verdict", "Training", "Validation", "Gap, points"]
    headings += ["Parameters", "Seconds per trial", "Seeds"]
    return Table(headings, rows, "", shown.index(baseline), sortable=True)


def noise_table(run: Run, links: TrialLinks) -> Table:
    """Return the components of the standard error of each difference from the baseline, in percentage points.

    The last column counts the seeds whose pair of models differs significantly in McNemar's test, image by
    image.
    """
    differences = only_shown(run, run.noise[run.noise["against"] != ""])
    significant = (run.mcnemar["p"] < run.study.compare.alpha).groupby(run.mcnemar["variant"]).sum()
    rows = []
    for row in differences.to_dict("records"):
        trials = links.pairs(str(row["variant"]))
        seeds = int(significant[row["variant"]])
        rows.append([
            Cell(str(row["variant"]), kind="row"),
            *(Cell(f"{100 * row[p]:.2f}", "", row[p], trials) for p in ("se_seeds", "se_images", "se_rest")),
            Cell(str(row["n"]), "", row["n"], trials),
            Cell(f"{row['images']:,}", "", row["images"]),
            Cell(str(row["more"])),
            Cell(f"{seeds} of {row['n']}", "", seeds, trials),
        ])  # fmt: skip
    components = [f"From {source}, points" for source in ("seeds", "images", "interaction")]
    headings = ["Variant", *components, "Seeds", "Images", "More helpful to add", "Significant McNemar tests"]
    return Table(headings, rows, sortable=True)


def inflation_table(run: Run, links: TrialLinks) -> Table:
    """Return what picking each trial's best epoch would have added to its validation accuracy."""
    completed = only_shown(run, completed_results(run.results))
    means = completed.groupby("variant", sort=False)[["best_epoch_inflation", "best_epoch", "epochs"]].mean()
    rows = [
        [
            Cell(str(name), kind="row"),
            Cell(f"+{100 * inflation:.1f}", "", inflation, links.of(str(name))),
            Cell(f"{best:.0f} of {epochs:.0f}", "", best, links.of(str(name))),
        ]
        for name, inflation, best, epochs in means.itertuples()
    ]
    return Table(["Variant", "Best-epoch gain, points", "Mean best epoch"], rows, sortable=True)


def significant_confusions_table(run: Run, links: TrialLinks) -> Table:
    """Return the confusions that differ significantly from the baseline's, the largest differences first."""
    significant = run.confusion_differences[run.confusion_differences["q"] <= FALSE_DISCOVERIES]
    order = significant["difference"].abs().sort_values(ascending=False, kind="stable").index
    rows = []
    for row in significant.loc[order].head(_MOST_CONFUSIONS).to_dict("records"):
        trials = links.pairs(str(row["variant"]))
        difference = signed_points(row["difference"])
        interval = f"{signed_points(row['low'])} to {signed_points(row['high'])}"
        rows.append([
            Cell(str(row["variant"]), kind="row"), Cell(str(row["true"])), Cell(str(row["predicted"])),
            Cell(percent(row["share"]), "", row["share"], trials),
            Cell(percent(row["baseline_share"]), "", row["baseline_share"], trials),
            Cell(difference, interval, row["difference"], trials),
            Cell(p_phrase(row["q"]), "", row["q"], trials),
        ])  # fmt: skip
    headings = [
        "Variant",
        "True class",
        "Predicted as",
        "Share, variant",
        "Share, baseline",
        "Difference, points",
    ]
    return Table([*headings, "q-value"], rows, sortable=True)


def calibration_table(run: Run, links: TrialLinks) -> Table:
    """Return each variant's mean confidence, its accuracy, and its calibration error with the interval."""
    measures = ["confidence", "accuracy", "calibration_error"]
    errors = only_shown(run, run.calibration_error)
    summary = mean_intervals(errors, ["variant"], measures).set_index(["variant", "metric"])
    rows = []
    for name in errors["variant"].unique():
        confidence, accuracy, error = (summary.loc[(name, measure)] for measure in measures)
        trials = links.of(name)
        rows.append([
            Cell(name, kind="row"),
            Cell(percent(confidence["mean"]), "", confidence["mean"], trials),
            Cell(percent(accuracy["mean"]), "", accuracy["mean"], trials),
            Cell(signed_points(confidence["mean"] - accuracy["mean"]), "", None, trials),
            Cell(percent(error["mean"]), _interval(error), error["mean"], trials),
            Cell(str(int(error["n"])), "", error["n"], trials),
        ])  # fmt: skip
    measure = "Label accuracy" if run.dataset.is_multi_label else "Test accuracy"
    headings = ["Variant", "Mean confidence", measure, "Overconfidence, points", "Calibration error", "Seeds"]
    return Table(headings, rows, sortable=True)


def cost_table(run: Run, links: TrialLinks) -> Table:
    """Return what each variant costs, with a star where it is on the Pareto front."""
    rows = []
    for row in only_shown(run, run.cost).to_dict("records"):
        trials = links.of(row["variant"])
        cells = [_cost(row, cost, trials) for cost in COSTS]
        test = Cell(percent(row["test_accuracy"]), "", row["test_accuracy"], trials)
        rows.append([Cell(row["variant"], kind="row"), test, *cells])
    headings = ["Variant", "Test accuracy", "Parameters", "Multiply-adds", "Seconds per trial", "Memory, MiB"]
    return Table(headings, rows, sortable=True)


def pairing_table(run: Run) -> Table | None:
    """Return the hashes of what each trial started from, one row per seed; None if there are too many."""
    if len(run.study.variants) > _MOST_HASHES:
        return None
    table = pairing_by_seed(run.pairing, run.study.baseline)
    return Table(list(map(str, table)), [plain(*row) for row in table.to_numpy()])


def pairing_gain_table(run: Run, links: TrialLinks) -> Table:
    """Return what pairing gained for each variant, with the number of layers that it shares."""
    layers = run.pairing.dropna(subset=["layers"]).groupby("variant")[["shared_layers", "layers"]].first()
    rows = []
    for row in pairing_gain(only_shown(run, run.results), run.study.baseline).itertuples(index=False):
        shared = "{} of {}".format(*layers.loc[row.variant]) if row.variant in layers.index else "–"
        correlation = "–" if math.isnan(row.correlation) else minus(f"{row.correlation:+.2f}")
        saved = "–" if math.isnan(row.variance_saved) else minus(f"{row.variance_saved:.0%}")
        trials = links.pairs(row.variant)
        rows.append([
            Cell(row.variant, kind="row"), Cell(shared), Cell(correlation, "", row.correlation, trials),
            Cell(saved, "", row.variance_saved, trials), Cell(str(row.n), "", row.n, trials),
        ])  # fmt: skip
    headings = ["Variant", "Shared layers", "Correlation", "Variance reduction", "Pairs"]
    return Table(headings, rows, sortable=True)


def variance_shift_table(run: Run, links: TrialLinks) -> Table:
    """Return the mean ratio of variances, one row per variant and one column per BatchNorm layer."""
    table = only_shown(run, run.variance_shift).pivot_table("ratio", "variant", "layer", "mean", sort=False)
    rows = [
        [
            Cell(str(name), kind="row"),
            *(Cell("–" if math.isnan(v) else f"{v:.2f}", "", v, links.of(str(name))) for v in ratios),
        ]
        for name, *ratios in table.itertuples()
    ]
    layers = [str(layer).removesuffix("_batch_norm") for layer in table.columns]
    return Table(["Variant", *layers], rows, sortable=True)


def in_unit(heading: str, run: Run) -> str:
    """Return the heading of a column of differences, with their unit if they are in percentage points."""
    return f"{heading}, points" if run.compare.in_points else heading


def verdict_cell(row: Row) -> Cell:
    """Return a verdict with its mark; where there is none, why."""
    text = f"{MARKS.get(row['verdict'], '')} {verdict_phrase(row)}".strip()
    return Cell(text, kind=str(row["verdict"]))


def _difference_and_verdict(row: Row | None, run: Run, trials: tuple[int, ...]) -> Sequence[Cell]:
    if row is None:
        return [Cell(""), Cell("")]
    difference, interval = points(row["difference"], run.compare), interval_phrase(row, run.compare)
    return [Cell(difference, interval, row["difference"], trials), verdict_cell(row)]


def _cost(row: Row, cost: str, trials: tuple[int, ...]) -> Cell:
    value = float(row[cost])
    star = " ★" if row[f"pareto_{cost}"] else ""
    return Cell("–" if math.isnan(value) else f"{value:,.0f}{star}", "", value, trials)


def _interval(row: pd.Series[Any] | None) -> str:
    if row is None or math.isnan(row["low"]):
        return ""
    return f"{percent(row['low'])} to {percent(row['high'])}"
