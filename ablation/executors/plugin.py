"""The executor of a plug-in: what it yields is checked, so that nothing else is kept as a result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ablation.errors import AblationError
from ablation.executors.contract import Executor, ExecutorOptions, OnProgress, Task
from ablation.grid.trial import TrialResult
from ablation.grid.user_code import error_summary
from ablation.plugins import Plugin

T = TypeVar("T")
_END = object()


class PluginExecutor:
    """An executor that another package makes.

    Args:
        plugin: The plug-in.
        options: What it is made from.

    Raises:
        AblationError: It raises an error, or makes something else.
    """

    def __init__(self, plugin: Plugin, options: ExecutorOptions) -> None:
        self._plugin = plugin
        make = plugin.load()
        made: Executor = self._called(lambda: make(options))
        if not (callable(getattr(made, "run", None)) and callable(getattr(made, "close", None))):
            kind = type(made).__name__
            raise AblationError(f"{plugin} made a value of type {kind}; expected one with run and close.")
        self._made = made

    def run(
        self, tasks: Sequence[Task], dataset_file: Path, threads: int, on_progress: OnProgress
    ) -> Generator[tuple[Task, TrialResult]]:
        """Yield each task with its result as it ends; see `ablation.executors.contract.Executor`.

        Raises:
            AblationError: The plug-in raises an error, or yields something else. Earlier results are kept.
        """
        waiting = {task.trial.id: task for task in tasks}
        ended = self._called(lambda: iter(self._made.run(tasks, dataset_file, threads, on_progress)))
        try:
            while (item := self._called(lambda: next(ended, _END))) is not _END:
                task, result = self._checked(item, waiting)
                del waiting[task.trial.id]
                yield task, result
        finally:
            if close := getattr(ended, "close", None):
                self._called(close)

    def close(self) -> None:
        """End the processes or connections that are kept."""
        self._called(self._made.close)

    def _called(self, function: Callable[[], T]) -> T:
        """Call what belongs to the plug-in.

        Raises:
            AblationError: It raises an error.
        """
        try:
            return function()
        except AblationError:
            raise
        except (Exception, SystemExit) as error:
            raise AblationError(f"{self._plugin} raised {error_summary(error)}") from error

    def _checked(self, item: Any, waiting: Mapping[str, Task]) -> tuple[Task, TrialResult]:
        """Return a task with its result, as they were yielded.

        Raises:
            AblationError: Something else was yielded, which no table could show.
        """
        task, result = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        if not (isinstance(task, Task) and isinstance(result, TrialResult)):
            kinds = f"{type(task).__name__}, {type(result).__name__}"
            trouble = f"something else than (Task, TrialResult): {kinds}"
        elif task.trial.id not in waiting:
            trouble = f"{task.trial.id}, which it was not asked to train, or not a second time"
        elif result.trial_id != task.trial.id:
            trouble = f"the result of {result.trial_id} for {task.trial.id}"
        elif result.is_completed and not result.metrics:
            trouble = f"a result of {result.trial_id} that is completed and has no metrics"
        else:
            return task, result
        raise AblationError(f"{self._plugin} yielded {trouble}.")
