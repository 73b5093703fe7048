"""What the terminal shows: live progress of a run, and its tables."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablation.executors import Progress, Task
from ablation.forecast import Forecast
from ablation.pairing import pairing_by_seed, pairing_gain, pairing_verdict
from ablation.statistics import mean_intervals
from ablation.trial import EpochRecord, Trial, TrialResult

if TYPE_CHECKING:
    import pandas as pd

    from ablation.plan import Plan
    from ablation.study import Run

_STATUS_STYLE = {"completed": "green", "pending": "dim", "diverged": "yellow"}


def duration(seconds: float) -> str:
    """Return ``45 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class LiveProgress:
    """Shows trials done, the running ones with epoch and metrics, and the time left.

    On a terminal the display is redrawn in place; elsewhere a line is printed for each finished trial.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._running: dict[str, tuple[Trial, EpochRecord | None]] = {}
        self._ended: list[Trial] = []
        self._pending: list[Trial] = []
        self._forecast = Forecast([])
        self._clock: tuple[float, float] | None = None  # when the first epoch ended, and the work until then
        self._live: Live | None = None
        self._started = time.monotonic()

    def __enter__(self) -> LiveProgress:
        """Return itself; the display starts with the first news."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the display."""
        if self._live:
            self._live.stop()

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""
        self._pending = [task.trial for task in pending]
        self._forecast = Forecast(pending)
        kept = len(trials) - len(pending)
        rest = f", {kept} finished or not chosen" if kept else ""
        self._console.print(
            f"{len(pending)} trials to train{rest}" if pending else "Nothing is left to train."
        )
        if pending and self._console.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._draw, refresh_per_second=4, transient=True
            )
            self._live.start()

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""
        self._running[progress.trial.id] = (progress.trial, progress.record)
        if progress.record is None:
            self._forecast.started(progress.trial)
        else:
            self._forecast.trained(progress.trial, progress.record)
            self._clock = self._clock or (time.monotonic(), self._forecast.work_done)

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        self._running.pop(trial.id, None)
        self._ended.append(trial)
        self._forecast.finished(trial)
        if self._live is None or result.status != "completed":
            count = f"{len(self._ended)}/{len(self._pending)}"
            accuracy = result.metrics.get("test_accuracy", math.nan)
            outcome = f"test accuracy {accuracy:.1%}" if result.status == "completed" else result.cause
            self._console.print(
                f"[dim]{count}[/] {escape(trial.variant)} seed {trial.seed}: {result.status}, "
                f"{escape(outcome)} [dim]({duration(result.seconds)})[/]",
                soft_wrap=True,
            )

    @property
    def epochs_done(self) -> int:
        """The epochs that need not be waited for any more: all those of a trial that has ended."""
        running = sum(record.epoch for _, record in list(self._running.values()) if record)
        return running + sum(trial.training.epochs for trial in self._ended)

    def time_left(self) -> float | None:
        """Estimate the seconds left; None before the second epoch."""
        left = self._forecast.work_left()
        if left is None or self._clock is None:
            return None
        # The clock starts with the first epoch's end: importing TensorFlow says nothing of the rest.
        since, before = self._clock
        done = self._forecast.work_done - before
        return left * (time.monotonic() - since) / done if done else None

    def _outlook(self) -> str:
        if len(self._ended) == len(self._pending):
            return "writing tables, figures and report"
        left = self.time_left()
        return "starting the workers" if left is None else f"about {duration(left)} left"

    def _draw(self) -> Group:
        total = sum(trial.training.epochs for trial in self._pending)
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(f"{len(self._ended)} of {len(self._pending)} trials"),
            ProgressBar(total=total, completed=self.epochs_done, width=30),
            Text(f"{duration(time.monotonic() - self._started)} so far", style="dim"),
            Text(self._outlook(), style="dim"),
        )
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for heading in ("running", "seed", "epoch", "train", "validation", "gap"):
            table.add_column(heading, justify="left" if heading == "running" else "right")
        for trial, record in list(self._running.values()):
            epoch = f"{record.epoch if record else 0}/{trial.training.epochs}"
            measured = (
                (
                    f"{record.train_accuracy:.1%}",
                    f"{record.val_accuracy:.1%}",
                    f"{100 * (record.train_accuracy - record.val_accuracy):+.1f} pp",
                )
                if record
                else ("", "", "")
            )
            table.add_row(Text(trial.variant), str(trial.seed), epoch, *measured)
        return Group(head, table)


def print_plan(plan: Plan) -> None:
    """Print what a run would do."""
    console = Console()
    console.print(Text(plan.description, style="bold"))
    table = _table("variant", "parameters", "trials", "finished", "to train")
    for row in plan.variants:
        mark = " (baseline)" if row.name == plan.baseline else ""
        table.add_row(
            Text(row.name + mark), f"{row.parameters:,}", str(row.trials), str(row.finished), str(row.pending)
        )
    console.print(table)
    _print_notes(console, plan.notes)
    for trial_id in plan.pending_ids:
        console.print(Text(f"  {trial_id}", style="dim"))
    if not plan.pending_ids:
        console.print("Nothing is left to train.")
        return
    time_needed = f"roughly {duration(plan.seconds)}, guessed from the models' multiply-adds"
    console.print(f"{len(plan.pending_ids)} trials to train, {plan.workers} at a time: {time_needed}")


def print_results(run: Run) -> None:
    """Print the result of a run and where its files are."""
    console = Console()
    _print_summary(console, run)
    _print_notes(console, run.notes)
    console.print()
    for name, path in (
        ("report", run.folder / "report.html"),
        ("tables", run.folder / "results.csv"),
        ("figures", run.figures_folder),
    ):
        console.print(f"[dim]{name:8}[/]{escape(str(path))}", soft_wrap=True)


def print_status(run: Run) -> None:
    """Print how far a run is."""
    console = Console()
    counts = run.results["status"].value_counts()
    console.print(Text(f"{run.study.name}: {run.folder}", style="bold"), soft_wrap=True)
    for status, count in counts.items():
        console.print(Text(f"  {count} {status}", style=_STATUS_STYLE.get(str(status), "red")))
    for _, row in run.results[run.results["cause"] != ""].iterrows():
        console.print(
            Text(f"  {row['trial_id']}: {row['status']}, {row['cause']}", style="red"), soft_wrap=True
        )
    _print_summary(console, run)


def print_comparisons(run: Run) -> None:
    """Print every variant's paired difference from the baseline."""
    table = _table("variant", "difference", "95% interval", "p", "p (Holm)", "pairs")
    for row in run.comparisons.to_dict("records"):
        table.add_row(
            Text(str(row["variant"])),
            _points(row["difference"]),
            f"{_points(row['low'])} to {_points(row['high'])}"
            if row["low"] == row["low"]
            else "needs 2 pairs",
            _p(row["p"]),
            _p(row["p_adjusted"]),
            str(row["n"]),
        )
    console = Console()
    console.print(
        f"Test accuracy against {escape(run.study.baseline)}, seed by seed, percentage points; paired t-test"
    )
    console.print(table)
    _print_notes(console, run.notes)


def print_audit(run: Run, pairing: pd.DataFrame) -> None:
    """Print whether the trials are pairs, a seed a row, and what pairing them gained."""
    console = Console()
    baseline = run.study.baseline
    table = pairing_by_seed(pairing, baseline)
    shown = _table(*map(escape, table.columns))
    for row in table.itertuples(index=False):
        shown.add_row(*(Text(str(cell)) for cell in row))
    console.print(
        f"Initial weights that each variant shares with {escape(baseline)}, and the batch order, as hashes"
    )
    console.print(shown)
    console.print(Text(pairing_verdict(pairing)))
    gains = pairing_gain(run.results, baseline).dropna(subset=["variance_saved"])
    if gains.empty:
        console.print("What pairing gained is known from three completed pairs on.")
        return
    shown = _table("variant", "correlation", "variance saved", "pairs")
    for row in gains.itertuples(index=False):
        correlation = "–" if math.isnan(row.correlation) else f"{row.correlation:+.2f}"
        shown.add_row(Text(row.variant), correlation, f"{row.variance_saved:.0%}", str(row.n))
    console.print(f"\nTest accuracy against {escape(baseline)}, seed by seed")
    console.print(shown)


def _print_notes(console: Console, notes: Iterable[str]) -> None:
    for note in notes:
        console.print(Text(f"Note: {note}", style="yellow"))


def _print_summary(console: Console, run: Run) -> None:
    completed = run.results[run.results["status"] == "completed"]
    if completed.empty:
        return
    measures = ["train_accuracy", "val_accuracy", "test_accuracy", "gap_accuracy"]
    summary = mean_intervals(completed, ["variant"], measures).set_index(["variant", "metric"])
    table = _table("variant", "train", "validation", "test (95% interval)", "gap", "seeds")
    for variant in completed["variant"].unique():
        train, val, test, gap = (summary.loc[(variant, measure)] for measure in measures)
        half = f" ± {100 * (test['high'] - test['mean']):.1f}" if test["n"] > 1 else ""
        table.add_row(
            Text(variant),
            f"{train['mean']:.1%}",
            f"{val['mean']:.1%}",
            f"{100 * test['mean']:.1f}{half} %",
            f"{100 * gap['mean']:+.1f} pp",
            str(int(test["n"])),
        )
    console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    return table


def _points(difference: float) -> str:
    return "–" if math.isnan(difference) else f"{100 * difference:+.1f}"


def _p(value: Any) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
