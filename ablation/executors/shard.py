"""A part of a study's trials, for job arrays on a shared folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablation.data.datasets import Dataset
from ablation.errors import GridError
from ablation.grid.trial import Trial
from ablation.models.cost import guess_seconds
from ablation.store.lock import RUN


@dataclass(frozen=True)
class Shard:
    """The ``index``-th of ``count`` parts, counted from 1; the first of one is the whole."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``.

        Raises:
            GridError: It is no such thing.
        """
        index, slash, count = text.partition("/")
        try:
            shard = cls(int(index), int(count))
        except ValueError:
            shard = cls(0, 0)
        if not slash or not 1 <= shard.index <= shard.count:
            raise GridError(
                f"--shard: expected I/N with I from 1 to N, like 2/8, not '{text}'. If the job array counts "
                "from 0, add 1 to its index."
            )
        return shard

    @property
    def is_whole(self) -> bool:
        """Whether there are no other parts."""
        return self.count == 1

    @property
    def name(self) -> str:
        """``shard-2-of-8``, or ``run`` where it is the whole."""
        return RUN if self.is_whole else f"shard-{self.index}-of-{self.count}"

    def take(self, trials: Sequence[Trial], dataset: Dataset) -> list[Trial]:
        """Return this part of all trials of a study: they are dealt out, the longest first."""
        if self.is_whole:
            return list(trials)

        def length(trial: Trial) -> float:
            return -guess_seconds(trial.model, trial.training, dataset)

        mine = {trial.id for trial in sorted(trials, key=length)[self.index - 1 :: self.count]}
        return [trial for trial in trials if trial.id in mine]


WHOLE = Shard()
