"""What the terminal shows of a plan, a run and its comparisons."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.pairing import pairing_by_seed, pairing_gain, pairing_verdict, when_pairing_pays
from ablation.analysis.phrases import (
    ASKED,
    MARKS,
    conclusion,
    duration,
    effect_conclusion,
    interval_phrase,
    method_phrase,
    minus,
    not_estimated,
    p_phrase,
    percent,
    points,
    ranks_phrase,
    rough_duration,
    verdict_phrase,
)
from ablation.analysis.sample_size import MOST_SEEDS, POWER, images_suffice
from ablation.cli.console import new_console, print_item
from ablation.cli.console_doses import print_dose_response
from ablation.executors.engine import choose_engine
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.value_text import counted, separator
from ablation.results.left_out import earlier_code_notes, left_out_notes, lost_images_notes
from ablation.results.notes import identical_notes, run_notes
from ablation.results.summary import SUMMARY_HEADINGS, summary_rows

if TYPE_CHECKING:
    import pandas as pd

    from ablation.grid.study import Study
    from ablation.report.verify import Verification
    from ablation.results.run import Run
    from ablation.workflow.dry_run import Plan

_MOST_DIFFERENCES = 20
_STATUS_STYLE = {"completed": "green", "pending": "dim", "diverged": "yellow"}


def print_engine(study: Study, executor: str) -> None:
    """Print which engine trains a study, if there was something to choose; on Ray, there is not."""
    if executor != "ray" and (reason := choose_engine(study.engine).reason):
        new_console().print(Text(reason))


def print_plan(plan: Plan) -> None:
    """Print what a run would do."""
    console = new_console()
    console.print(Text(plan.description, style="bold"))
    console.print(Text(plan.classes))
    table = results_table("variant", "parameters", "trials", "finished", "to train")
    for row in plan.variants:
        mark = " (baseline)" if row.name == plan.baseline else ""
        table.add_row(
            Text(row.name + mark), f"{row.parameters:,}", str(row.trials), str(row.finished), str(row.pending)
        )
    console.print(table)
    if plan.pending_ids:
        time_needed = f"roughly {rough_duration(plan.seconds)}, estimated from the models' multiply-adds"
        trials = counted(len(plan.pending_ids), "trial")
        console.print(f"{trials} to train, {plan.workers} at a time: {time_needed}")
    else:
        console.print("Nothing is left to train.")
    for trial_id in plan.pending_ids:
        console.print(Text(f"  {trial_id}", style="dim"))
    _print_notes(console, plan.notes)


def print_results(run: Run) -> None:
    """Print the result of a run and where its files are."""
    console, identical = new_console(), identical_notes(run)
    _print_notes(console, identical)
    _print_summary(console, run)
    _print_verdicts(console, run)
    _print_notes(console, run_notes(run)[len(identical) :])
    console.print()
    pending = int((run.results["status"] == "pending").sum())
    if not run.is_reported:
        console.print(
            f"{pending} of {len(run.trials)} trials are left to other shards. In a folder that all shards "
            "share, the last one writes tables, figures and report, and `ablation status "
            f"{escape(str(run.folder))}` shows their progress. If each machine has a folder of its own, copy "
            "these folders to one machine and run `ablation merge RUN... --out FOLDER` there.",
            soft_wrap=True,
        )
        return
    places = {"report": run.folder / "report.html", "tables": run.folder / "results.csv"}
    if run.completed_trials:
        places["figures"] = run.figures_folder
    for name, path in places.items():
        console.print(f"[dim]{name:8}[/]{escape(str(path))}", soft_wrap=True)


def print_status(run: Run) -> None:
    """Print how far a run is."""
    console = new_console()
    counts = run.results["status"].value_counts()
    console.print(Text(f"{run.study.name}: {run.folder}", style="bold"), soft_wrap=True)
    for status, count in counts.items():
        console.print(Text(f"  {count} {status}", style=_STATUS_STYLE.get(str(status), "red")))
    for row in run.results[run.results["cause"] != ""].to_dict("records"):
        line = f"  {row['variant']}, seed {row['seed']}: {row['status']}, {row['cause']} ({row['trial_id']})"
        console.print(Text(line, style="red"), soft_wrap=True)
    _print_notes(console, [*lost_images_notes(run), *earlier_code_notes(run), *identical_notes(run)])
    if run.study.reads_test:
        _print_summary(console, run)
        _print_verdicts(console, run)


def print_verification(verification: Verification) -> None:
    """Print what differs between a report and its trials, or that nothing does."""
    console = new_console()
    for difference in verification.differences[:_MOST_DIFFERENCES]:
        console.print(Text(str(difference), style="red"), soft_wrap=True)
    if len(verification.differences) > _MOST_DIFFERENCES:
        console.print(
            f"… and {counted(len(verification.differences) - _MOST_DIFFERENCES, 'further difference')}."
        )
    if verification.skipped:
        console.print(Text(f"Note: {verification.skipped}.", style="yellow"), soft_wrap=True)
    names = ", ".join(file.name for file in verification.files)
    if not verification.differences:
        console.print(
            Text(f"Verified {verification.numbers:,} numbers, texts and figures in {names}"), soft_wrap=True
        )


def print_comparisons(run: Run) -> None:
    """Print every variant's paired difference from the baseline, the factors' effects, and the noise."""
    console = new_console()
    compare, baseline = run.compare, run.study.baseline
    unit = ", in percentage points" if compare.in_points else ""
    is_all = compare.against == "all"
    against = "of all pairs" if is_all else f"against {baseline}"
    console.print(
        Text(f"{compare.metric} {against}, seed by seed{unit}; {method_phrase(compare)}"), soft_wrap=True
    )
    table = results_table("variant", "difference", "interval", "adjusted\np", "pairs", "verdict")
    for row in run.comparisons.to_dict("records"):
        name = f"{row['variant']} – {row['baseline']}" if is_all else str(row["variant"])
        table.add_row(Text(name), *_judged(row, compare), Text(verdict_phrase(row)))
    console.print(table)
    if len(run.ranking):
        table = results_table("variant", "mean", "possible ranks", "none shown to be better")
        for row in run.ranking.to_dict("records"):
            value = percent(row["mean"]) if compare.in_points else f"{row['mean']:.4f}"
            is_tied = "yes" if row["tied_with_best"] else "no"
            table.add_row(Text(str(row["variant"])), value, ranks_phrase(row), is_tied)
        console.print()
        console.print(table)
    estimated = run.effects[run.effects["n"] > 0]
    for kind, effects in estimated.groupby("kind", sort=False):
        heading = "simple effect" if kind == "effect where" else str(kind)
        table = results_table(heading, "difference", "interval", "adjusted\np", "seeds", "verdict")
        for row in effects.to_dict("records"):
            name = f"{row['effect']}: {row['levels']}"
            table.add_row(Text(name), *_judged(row, compare), Text(verdict_phrase(row)))
        console.print()
        console.print(table)
    if len(estimated) < len(run.effects):
        console.print(Text(not_estimated(run.effects), style="dim"), soft_wrap=True)
    print_dose_response(console, run)
    _print_noise(console, run)
    _print_notes(console, run_notes(run))


def print_seeds_needed(run: Run) -> None:
    """Print how many seeds each declared question needs to detect a difference of the margin."""
    console, compare = new_console(), run.compare
    margin = points(compare.margin, compare, sign=False)
    console.print(
        Text(
            f"Seeds needed to detect a difference of {margin} in {compare.metric} with {POWER:.0%} power, "
            f"estimated from the noise of {counted(run.results['seed'].nunique(), 'seed')} in {run.folder}"
        ),
        soft_wrap=True,
    )
    table = results_table(
        "question",
        "deviation\n(pairs)",
        "seeds\nneeded",
        "80%\ninterval",
        "training\ntime",
        "right\nif 0",
        "right\nif\nmargin",
    )
    for row in run.seeds_needed.to_dict("records"):
        if math.isnan(row["seeds"]):
            table.add_row(Text(row["question"]), f"– ({row['n']})", "–", "needs 2 pairs", "–", "–", "–")
            continue
        deviation = f"{points(row['deviation'], compare, sign=False)} ({row['n']})"
        if math.isinf(row["seeds"]):
            error, level = row["se_images"], row["level"]
            enough = not error or images_suffice(compare.margin / error, level, compare)
            needed = (f"> {MOST_SEEDS:,}", "–") if enough else ("∞", "more images")
            table.add_row(Text(row["question"]), deviation, *needed, "–", "–", "–")
            continue
        chances = (row["equivalent_if_zero"], row["better_or_worse_if_margin"])
        table.add_row(
            Text(row["question"]),
            deviation,
            f"{row['seeds']:,.0f}",
            f"{row['seeds_low']:,.0f} to {_number(row['seeds_high'])}",
            _rough(3600 * row["hours"]),
            *("–" if math.isnan(chance) else f"{chance:.0%}" for chance in chances),
        )
    console.print(table)
    explained = (
        "Deviation: the standard deviation of the paired differences, and the number of pairs. 80% interval: "
        "of the number of seeds needed, because the deviation is itself an estimate. Training time: the "
        "missing seeds of the question's variants, on one worker. ∞: the interval holds for other test "
        "images, too, and these are too few for any number of seeds; enlarge dataset.test_size, or declare "
        "`holds_for: [seeds]`. The last two columns give the chance of the right verdict with the seeds "
        "needed, if the deviation is the true one: `equivalent` if the true difference is 0, and `better` or "
        "`worse` if it is the margin. `ablation run --until-resolved --max-seeds N` adds seeds to the "
        "questions that are unresolved."
    )
    console.print(Text(explained), soft_wrap=True)
    _print_notes(console, left_out_notes(run))


def _rough(seconds: float) -> str:
    """Return a duration in its largest unit, because it is no closer estimate than the number of seeds."""
    return duration(seconds) if seconds < 60 else duration(seconds).rsplit(maxsplit=2)[0]


def _number(seeds: float) -> str:
    return f"> {MOST_SEEDS:,}" if math.isinf(seeds) else f"{seeds:,.0f}"


def print_audit(run: Run, pairing: pd.DataFrame) -> None:
    """Print whether the trials are paired, one row per seed, and what pairing them gained."""
    console = new_console()
    baseline = run.study.baseline
    by_seed = pairing_by_seed(pairing, baseline)
    console.print(
        "Hashes of the batch order, and of the initial weights that each variant shares with "
        f"{escape(baseline)}"
    )
    for columns in _fitting(by_seed, console.width):
        table = results_table(*map(escape, columns))
        for row in by_seed[columns].itertuples(index=False):
            table.add_row(*(Text(str(cell)) for cell in row))
        console.print(table)
    console.print(Text(pairing_verdict(pairing)), soft_wrap=True)
    _print_notes(console, left_out_notes(run))
    gains = pairing_gain(run.results, baseline).dropna(subset=["variance_saved"])
    if gains.empty:
        console.print("Measuring what pairing gained needs three completed pairs.")
        return
    table = results_table("variant", "correlation", "variance reduction", "pairs")
    for row in gains.itertuples(index=False):
        correlation = "–" if math.isnan(row.correlation) else minus(f"{row.correlation:+.2f}")
        table.add_row(Text(row.variant), correlation, minus(f"{row.variance_saved:.0%}"), str(row.n))
    console.print(f"\nTest accuracy compared with {escape(baseline)}, seed by seed")
    console.print(table)
    console.print(when_pairing_pays(), soft_wrap=True)


def _fitting(table: pd.DataFrame, width: int) -> list[list[str]]:
    """Divide the columns of a table into groups that fit the width, each with the first two columns."""
    widths = {name: 2 + max(map(cell_len, [name, *map(str, table[name])])) for name in table.columns}
    first, others = [*table.columns[:2]], table.columns[2:]
    groups = [first.copy()]
    for name in others:
        if len(groups[-1]) > len(first) and sum(widths[n] for n in (*groups[-1], name)) > width:
            groups.append(first.copy())
        groups[-1].append(name)
    return groups


def _print_notes(console: Console, notes: Iterable[str]) -> None:
    for note in notes:
        console.print(Text(f"Note: {note}", style="yellow"))


def _print_summary(console: Console, run: Run) -> None:
    completed = completed_results(run.results)
    if completed.empty:
        return
    table = results_table(*SUMMARY_HEADINGS)
    for variant, *cells in summary_rows(run):
        table.add_row(Text(variant), *cells)
    console.print(table)


def _print_verdicts(console: Console, run: Run) -> None:
    """Print the verdicts; while trials are pending, only those that remain valid with further seeds."""
    rows = [row for row in run.comparisons.to_dict("records") if row["verdict"]]
    effects = run.effects[run.effects["kind"].isin(ASKED)]
    of_factors = [row for row in effects.to_dict("records") if row["verdict"]]
    if not rows and not of_factors:
        return
    so_far = bool((run.results["status"] == "pending").any())
    console.print()
    console.print(
        "[bold]Verdicts so far[/] (they stay valid when the pending trials are done)"
        if so_far
        else "[bold]Verdicts[/]"
    )
    console.print(Text(f"  {method_phrase(run.compare)}", style="dim"), soft_wrap=True)
    in_full = [row for row in rows if row["verdict"] != "unresolved" or row["failed_seeds"]]
    for row in in_full:
        print_item(console, MARKS[row["verdict"]], conclusion(row, run.compare))
    baseline = run.study.baseline
    unresolved = [row for row in rows if row["verdict"] == "unresolved" and not row["failed_seeds"]]
    open_ = [str(row["variant"]) for row in unresolved if row["baseline"] == baseline]
    if open_:
        print_item(
            console, MARKS["unresolved"], f"unresolved against {baseline}: {separator(open_).join(open_)}"
        )
    if pairs := len(unresolved) - len(open_):
        console.print(Text(f"  ? unresolved among the others: {counted(pairs, 'pair')}"))
    for row in of_factors:
        print_item(
            console, MARKS[row["verdict"]], effect_conclusion(row, run.compare, len(run.study.factors))
        )


def results_table(name: str | Text, *numbers: str, left: Sequence[str | Text] = ()) -> Table:
    """Return a table whose names and verdicts are broken into lines if the terminal is narrow.

    Args:
        name: The heading of the first column.
        numbers: The headings of the columns that are aligned right.
        left: The headings of further columns of text.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in (name, *left):
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=heading != "verdict")
    return table


def _judged(row: dict[Hashable, Any], compare: CompareSettings) -> tuple[str, str, str, str]:
    """Return difference, interval, adjusted p and n as text."""
    return (
        points(row["difference"], compare),
        interval_phrase(row, compare),
        p_phrase(row["p_adjusted"]),
        str(row["n"]),
    )


def _print_noise(console: Console, run: Run) -> None:
    """Print the variance components, and whether more seeds or more test images would help more."""
    differences = run.noise[run.noise["against"] != ""]
    if differences.empty:
        return
    table = results_table("variant", "from seeds", "from images", "interaction", "more helpful")
    for row in differences.to_dict("records"):
        parts = (f"{100 * row[part]:.2f}" for part in ("se_seeds", "se_images", "se_rest"))
        table.add_row(Text(row["variant"]), *parts, Text(row["more"]))
    console.print(
        "\nStandard error of the difference in test accuracy, in percentage points, by variance component; "
        "more helpful: what to add to reduce it",
        soft_wrap=True,
    )
    console.print(table)
