"""The choice of the trial that a worker takes next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from ablation.executors.contract import Task


class TaskQueue:
    """The tasks that are waiting, the longest variants first; threads may share it.

    A worker stays with a variant as long as the variant has trials, because it need not trace the model
    again. Then it takes the variant with the most work left, if possible one that no other worker is at.

    Args:
        tasks: The tasks.
        at_once: The largest number of tasks of a group.
    """

    def __init__(self, tasks: Sequence[Task], at_once: int = 1) -> None:
        self._at_once = at_once
        self._waiting: dict[str, deque[Task]] = {}
        for task in tasks:
            self._waiting.setdefault(task.trial.variant, deque()).append(task)
        self._workers_at: dict[str, int] = {}  # how many workers are at a variant
        self._lock = threading.Lock()

    def next(self, last: Task | None) -> Task | None:
        """Return the next task for the worker that has done ``last``; None if no task is waiting."""
        with self._lock:
            variant = last.trial.variant if last else ""
            if variant not in self._waiting:
                self._workers_at[variant] = self._workers_at.get(variant, 0) - 1
                if not self._waiting:
                    return None
                free = [name for name in self._waiting if not self._workers_at.get(name)]
                variant = max(free or self._waiting, key=self._seconds_left)
                self._workers_at[variant] = self._workers_at.get(variant, 0) + 1
            tasks = self._waiting[variant]
            task = tasks.popleft()
            if not tasks:
                del self._waiting[variant]
            return task

    def next_group(self, last: Sequence[Task]) -> list[Task]:
        """Return the next tasks for the worker that has done ``last``, all of one variant, or none."""
        first = self.next(last[-1] if last else None)
        if first is None:
            return []
        group = [first]
        with self._lock:
            waiting = self._waiting.get(first.trial.variant, deque())
            while waiting and len(group) < self._at_once and _differ_in_seed_only(first, waiting[0]):
                group.append(waiting.popleft())
            if not waiting:
                self._waiting.pop(first.trial.variant, None)
        return group

    def _seconds_left(self, variant: str) -> float:
        return sum(task.seconds for task in self._waiting[variant])


def _differ_in_seed_only(one: Task, other: Task) -> bool:
    return one.trial.model_copy(update={"seed": other.trial.seed}) == other.trial
