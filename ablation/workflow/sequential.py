"""Further seeds for the variants whose verdicts are open."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count, islice

from ablation.errors import GridError
from ablation.grid.study import Study
from ablation.results.run import Run

_GROWTH = 4  # each round adds a quarter of the seeds: few rounds, and few seeds more than needed


def with_anytime_intervals(study: Study, max_seeds: int) -> Study:
    """Return the study with anytime-valid intervals, which hold however often seeds are added.

    Raises:
        GridError: The study has more than ``max_seeds`` seeds already.
    """
    if max_seeds < len(study.seeds):
        raise GridError(
            f"--max-seeds: the study has {len(study.seeds)} seeds already, more than {max_seeds}."
        )
    return study.model_copy(update={"compare": study.compare.model_copy(update={"looks": "any"})})


def further_seeds(run: Run, chosen: Collection[str], max_seeds: int) -> dict[str, tuple[int, ...]]:
    """Return what `Study.further_seeds` should be next; empty if there is nothing more to train.

    A variant whose verdict is open gets a quarter more seeds, at most ``max_seeds`` in all, and so does the
    baseline; one whose verdict is known keeps what it has.
    """
    study = run.study
    verdicts = run.comparisons.set_index("variant")["verdict"]
    open_ = [name for name in verdicts.index[verdicts.isin(["", "unresolved"])] if name in chosen]
    grown = {name: min(max_seeds, _next(len(study.seeds_of(name)))) for name in open_}
    if all(grown[name] == len(study.seeds_of(name)) for name in open_):
        return {}
    most = max(grown.values())
    grown[study.baseline] = max(most, len(study.seeds_of(study.baseline)))
    added = tuple(islice(count(max(study.seeds) + 1), most - len(study.seeds)))
    return study.further_seeds | {name: added[: n - len(study.seeds)] for name, n in grown.items()}


def _next(seeds: int) -> int:
    return seeds + max(1, seeds // _GROWTH)
