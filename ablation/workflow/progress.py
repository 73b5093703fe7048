"""The live display of a run: trials done, the running ones, and the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablation.analysis.phrases import duration, signed_points
from ablation.executors.contract import Progress, Task
from ablation.executors.eta import TimeEstimate
from ablation.grid.trial import EpochRecord, Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.operating_system import write_what_can_be_shown
from ablation.workflow.pending import task_notes

_PER_SECOND = 4


class LiveProgress:
    """Shows trials done, the running ones with epoch and metrics, and the time left.

    On a terminal that can do so, and in a notebook, the display is redrawn in place; elsewhere, one line is
    printed per finished trial.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        write_what_can_be_shown(self._console.file)  # a run must not end because of a variant's name
        self._running: dict[str, tuple[Trial, EpochRecord | None]] = {}
        self._ended: list[Trial] = []
        self._pending: list[Trial] = []
        self._estimate = TimeEstimate([])
        self._live: Live | _NotebookDisplay | None = None
        self._noted: set[str] = set()
        self._started = time.monotonic()

    def __enter__(self) -> LiveProgress:
        """Return itself; the display starts when a run is planned."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the display."""
        if self._live:
            self._live.stop()
            self._live = None

    def noted(self, notes: Sequence[str]) -> None:
        """See `Observer.noted`."""
        new = [note for note in notes if note not in self._noted]  # a search plans many rounds
        self._noted.update(new)
        for note in new:
            self._console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""
        self.__exit__()
        self._running, self._ended = {}, []
        self._pending = [task.trial for task in pending]
        self._estimate = TimeEstimate(pending)
        others = len(trials) - len(pending)
        rest = f", {others} finished or not chosen" if others else ""
        self._console.print(
            f"{counted(len(pending), 'trial')} to train{rest}" if pending else "Nothing is left to train."
        )
        self.noted(task_notes(pending))
        if pending and self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._draw,
                refresh_per_second=_PER_SECOND,
                transient=True,
            )
        elif pending and self._console.is_jupyter:
            self._live = _NotebookDisplay(self._draw)
        if self._live:
            self._live.start()

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""
        self._running[progress.trial.id] = (progress.trial, progress.record)
        if progress.record is None:
            self._estimate.started(progress.trial)
        else:
            self._estimate.trained(progress.trial, progress.record)
        self._refresh()

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        self._running.pop(trial.id, None)
        self._ended.append(trial)
        self._estimate.finished(trial)
        if self._live is None or result.status != "completed":
            count = f"{len(self._ended)}/{len(self._pending)}"
            part, key = ("test", "test_accuracy") if trial.reads_test else ("validation", "val_accuracy")
            accuracy = result.metrics.get(key, math.nan)
            outcome = f"{part} accuracy {accuracy:.1%}" if result.is_completed else result.cause
            self._console.print(
                f"[dim]{count}[/] {escape(trial.variant)} seed {trial.seed}: {result.status}, "
                f"{escape(outcome)} [dim]({duration(result.seconds)})[/]",
                soft_wrap=True,
            )
        self._refresh()

    def _refresh(self) -> None:
        """Redraw in a notebook; on a terminal, rich does so by itself."""
        if isinstance(self._live, _NotebookDisplay):
            self._live.refresh()

    @property
    def epochs_done(self) -> int:
        """The number of epochs that are over; a trial that has ended counts with all its epochs."""
        running = sum(record.epoch for _, record in list(self._running.values()) if record)
        return running + sum(trial.training.epochs for trial in self._ended)

    def time_left(self) -> float | None:
        """Estimate the seconds left; None before the second epoch."""
        return self._estimate.time_left()

    def _outlook(self) -> str:
        if len(self._ended) == len(self._pending):
            return "writing the report"
        left = self.time_left()
        return "starting the workers" if left is None else f"about {duration(left)} left"

    def _draw(self) -> Group:
        total = sum(trial.training.epochs for trial in self._pending)
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(f"{len(self._ended)} of {counted(len(self._pending), 'trial')}"),
            ProgressBar(total=total, completed=self.epochs_done, width=30),
            Text(f"{duration(time.monotonic() - self._started)} so far", style="dim"),
            Text(self._outlook(), style="dim"),
        )
        if not self._running:
            return Group(head)
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for heading in ("running", "seed", "epoch", "train", "validation", "gap"):
            table.add_column(heading, justify="left" if heading == "running" else "right")
        for trial, record in list(self._running.values()):
            epoch = f"{record.epoch if record else 0}/{trial.training.epochs}"
            measured = (
                (
                    f"{record.train_accuracy:.1%}",
                    f"{record.val_accuracy:.1%}",
                    f"{signed_points(record.train_accuracy - record.val_accuracy)} pp",
                )
                if record
                else ("", "", "")
            )
            table.add_row(Text(trial.variant), str(trial.seed), epoch, *measured)
        return Group(head, table)


class _NotebookDisplay:
    """One output of a notebook's cell, redrawn at every update; rich's own display would need ipywidgets."""

    def __init__(self, draw: Callable[[], Group]) -> None:
        self._draw = draw
        self._handle: Any = None
        self._drawn = 0.0

    def start(self) -> None:
        """Show it."""
        from IPython.display import display

        self._handle = display(self._picture(), display_id=True)

    def refresh(self) -> None:
        """Draw it again, unless that was done a moment ago."""
        if time.monotonic() - self._drawn >= 1 / _PER_SECOND:
            self._handle.update(self._picture())

    def stop(self) -> None:
        """Draw it for the last time."""
        self._handle.update(self._picture())

    def _picture(self) -> Padding:
        self._drawn = time.monotonic()
        return Padding(self._draw(), 0)  # which, unlike a group, knows how to be shown in a notebook
