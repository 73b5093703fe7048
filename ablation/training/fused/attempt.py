"""Seeds trained together, of which none raises an exception: whatever goes wrong becomes a result.

If the program of several seeds fails, for lack of memory or because a layer cannot be vectorised, it is tried
with half as many, down to one.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import chdir
from typing import Any

from ablation.errors import AblationError
from ablation.grid.trial import TrialResult
from ablation.grid.user_code import error_summary
from ablation.tensorflow_setup import standard_keras, uses_jax
from ablation.training.attempt import attempt, failed
from ablation.training.checkpoint import stored_lanes
from ablation.training.fused.lane import SeedTask
from ablation.training.fused.runner import UnlikeSeedsError, run_together
from ablation.training.provenance import SEEDS_AT_ONCE, worker_provenance


def attempts(seeds: Sequence[SeedTask], dataset: Any, fewer_because: str = "") -> Iterator[TrialResult]:
    """Train seeds of a variant with the engine of this process; yield the result of each one as it ends.

    Args:
        seeds: What to train, with the same settings but for the seed.
        dataset: What to train on, an `ablation.data.datasets.Dataset`.
        fewer_because: Why there are not more seeds at once, if more were tried.
    """
    if uses_jax():
        for group, lanes in _groups(seeds):
            yield from _attempt(group, lanes, dataset, fewer_because)
        return
    for seed in seeds:
        yield attempt(seed.trial, dataset, seed.folder, seed.save_model, seed.on_epoch)


def _groups(seeds: Sequence[SeedTask]) -> Iterator[tuple[list[SeedTask], int]]:
    """Yield the seeds that are one program, and the number of lanes of that program.

    Seeds with a checkpoint go on in a program of as many lanes as before. Callbacks may hold more than the
    values of variables, so that seeds with callbacks are trained one at a time.
    """
    by_lanes: dict[int, list[SeedTask]] = {}
    for seed in seeds:
        by_lanes.setdefault(stored_lanes(seed.folder), []).append(seed)
    for lanes, alike in by_lanes.items():
        most = lanes or len(alike)
        if any(seed.trial.training.callbacks for seed in alike):
            most = 1
        for first in range(0, len(alike), most):
            yield alike[first : first + most], lanes or min(most, len(alike))


def _attempt(seeds: list[SeedTask], lanes: int, dataset: Any, fewer_because: str) -> Iterator[TrialResult]:
    started, ended = time.perf_counter(), set[str]()
    try:
        with chdir(os.curdir), standard_keras(seeds[0].trial.training.precision):
            for result in run_together(seeds, dataset, lanes):
                ended.add(result.trial_id)
                yield _with_note(result, fewer_because)
        return
    except Exception as error:
        traceback.print_exc()
        reason = error
    left = [seed for seed in seeds if seed.trial.id not in ended]
    reason = _explained(reason)
    is_of_settings = isinstance(reason, AblationError) and not isinstance(reason, UnlikeSeedsError)
    if len(seeds) == 1 or is_of_settings:  # with fewer seeds, it would be no other
        seconds = (time.perf_counter() - started) / len(seeds)
        for seed in left:
            provenance = worker_provenance(seed.trial.threads)
            yield failed(seed.trial, seed.folder, reason, seconds, provenance)
        return
    because = fewer_because or f"{len(seeds)} at once failed: {error_summary(reason)}"
    size = 1 if isinstance(reason, UnlikeSeedsError) else (len(left) + 1) // 2
    for first in range(0, len(left), size):
        part = left[first : first + size]
        yield from _attempt(part, len(part), dataset, because)


def _explained(error: Exception) -> Exception:
    """Return an error that says what to do if code of the user's imports TensorFlow, which is not there."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ImportError) and str(cause.name).startswith("tensorflow"):
            return AblationError(
                "the code of the study imports TensorFlow, but the trial is trained with JAX. Import keras "
                "instead, or set `engine: tensorflow`."
            )
        cause = cause.__cause__ or cause.__context__
    return error


def _with_note(result: TrialResult, fewer_because: str) -> TrialResult:
    """Return a result that says why not more seeds were trained at once."""
    if not fewer_because:
        return result
    at_once = f"{result.provenance[SEEDS_AT_ONCE]} ({fewer_because})"
    return result.model_copy(update={"provenance": result.provenance | {SEEDS_AT_ONCE: at_once}})
