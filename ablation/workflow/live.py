"""The page that follows a run, ``live.html``, renewed by the process that trains or by one that watches.

Both read nothing but the run folder, to which every run writes its progress. So the page can be followed on
another machine that shares the folder, there is no server, and the same is seen whoever writes the page.
"""

from __future__ import annotations

import math
import os
import platform
import threading
import time
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from ablation.errors import AblationWarning, writing
from ablation.executors.contract import Progress, Task
from ablation.files import atomic_writer
from ablation.grid.trial import Trial, TrialResult
from ablation.operating_system import has_display
from ablation.report.live_page import live_html
from ablation.results.live import LiveRun, Phase
from ablation.store.lock import RUN
from ablation.store.progress_log import ProgressLog
from ablation.workflow.observers import Observer

PAGE = "live.html"
SHARE = 0.005
"""The share of one core's time that renewing the page may take; a run keeps at least one core busy."""
_SHORTEST, _LONGEST = 2.0, 10.0  # seconds between two pages, if they cost next to nothing
_SLOWER = 60  # the time so far is this many times the seconds between two pages, within these limits


class ProgressRecorder:
    """An observer that writes what happens to the run folder, for whoever watches.

    Args:
        folder: The run folder.
        part: The part of the run that this process holds.
    """

    def __init__(self, folder: Path, part: str = RUN) -> None:
        self._log = ProgressLog(folder, part)

    def noted(self, notes: Sequence[str]) -> None:
        """See `Observer.noted`."""

    def planned(self, trials: Sequence[Trial], pending: Sequence[Task]) -> None:
        """See `Observer.planned`."""
        self._log.planned({task.trial.id: task.seconds for task in pending})

    def progressed(self, progress: Progress) -> None:
        """See `Observer.progressed`."""
        if progress.record is None:
            self._log.started(progress.trial.id)
        else:
            self._log.epoch(progress.trial.id, progress.record)

    def finished(self, trial: Trial, result: TrialResult) -> None:
        """See `Observer.finished`."""
        self._log.ended(trial.id, result.status)


class Renewal:
    """Writes the page, and says when it is due again: so late that all pages stay within `SHARE` of a core.

    The first page is not counted. It compiles the template, and reads what was trained before, which takes a
    few thousandths of a second per trial.

    Args:
        folder: The run folder.
        part: The part of the run that this process trains; empty if it only watches.

    Raises:
        RunError: The folder is not a run folder.
    """

    def __init__(self, folder: Path, part: str = "") -> None:
        self.file = folder / PAGE
        self.spent = 0.0  # seconds of a core, for all pages but the first
        self._run = LiveRun(folder, part)
        self._began: float | None = None
        self._partial = (
            folder / f".{PAGE}.{platform.node()}.{os.getpid()}.partial"
        )  # others may write it, too

    def write(self, is_training: bool = True) -> Phase:
        """Write the page; return what the run is doing.

        Args:
            is_training: Whether the part that this process trains still runs.

        Raises:
            RunError: The folder is no longer a run folder, or cannot be written to.
        """
        before = time.thread_time()
        try:
            state = self._run.look(is_training)
            text = live_html(state, math.ceil(self.due_in()))
            with writing(self.file.parent), atomic_writer(self.file, partial=self._partial) as stream:
                stream.write(text.encode())
        finally:
            self.spent += time.thread_time() - before if self._began is not None else 0.0
            self._began = self._began or time.monotonic()
        return state.phase

    def due_in(self) -> float:
        """Return the seconds until the page should be written again."""
        so_far = time.monotonic() - self._began if self._began else 0.0
        a_few = max(_SHORTEST, min(_LONGEST, so_far / _SLOWER))  # the page of a long run changes slowly
        return max(a_few, self.spent / SHARE - so_far)


class LivePage:
    """Renews the page of a run from a thread of the process that trains, as a context.

    The page is opened in a browser if there is a display. What goes wrong with it is a warning, and no more.

    Args:
        folder: The run folder, which this process holds.
        part: The part of the run that it holds.
        observer: Is notified of where the page is.
    """

    def __init__(self, folder: Path, part: str, observer: Observer) -> None:
        self._folder, self._part, self._observer = folder, part, observer
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._renewal: Renewal | None = None

    def __enter__(self) -> LivePage:
        """Write the first page, and renew it from then on."""
        self._renewal = Renewal(self._folder, self._part)
        self._write(is_training=True)
        self._observer.noted([f"{self._renewal.file} follows the run: open it in a browser."])
        _open(self._renewal.file)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last page: with a link to the report, or that the run was stopped."""
        self._is_over.set()
        self._thread.join()
        self._write(is_training=False)

    def _renew(self) -> None:
        assert self._renewal
        while not self._is_over.wait(self._renewal.due_in()):
            self._write(is_training=True)

    def _write(self, is_training: bool) -> None:
        assert self._renewal
        try:
            self._renewal.write(is_training)
        except Exception as error:  # whatever it is, it must not cost a run its results
            warnings.warn(f"the live page could not be written: {error}", AblationWarning, stacklevel=2)


def watch_run(folder: str | Path, on_page: Callable[[Path], object] | None = None) -> Path:
    """Write the page of a run, and renew it until the run has ended.

    The run may be trained by any process on any machine that shares the folder, with ``live`` or without.
    Nothing but ``live.html`` is written. A run that was stopped is waited for.

    Args:
        folder: The run folder.
        on_page: Called once with the path of the page, when it is there.

    Returns:
        The path of the page.

    Raises:
        RunError: The folder is not a run folder, or cannot be written to.
    """
    renewal = Renewal(Path(folder))
    phase = renewal.write()
    if on_page:
        on_page(renewal.file)
    while phase != "ended":
        time.sleep(renewal.due_in())
        phase = renewal.write()
    return renewal.file


def _open(page: Path) -> None:
    """Open a page in a browser, if there is a display to show it on."""
    if has_display():
        webbrowser.open(page.absolute().as_uri())
