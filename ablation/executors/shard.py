"""Shards: the parts of a study's trials that the jobs of an array train in a shared folder."""

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
    """The ``index``-th of ``count`` parts, counted from 1; the first of 1 part is the whole study."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse a part that does not exist.

        Raises:
            GridError: The index is not from 1 to the count.
        """
        if not 1 <= self.index <= self.count:
            raise GridError(f"there is no shard {self.index} of {self.count}; shards are numbered from 1.")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard from a text like ``2/8``.

        Raises:
            GridError: The text is not of this form, or the index is not from 1 to the count.
        """
        index, _, count = text.partition("/")
        try:
            return cls(int(index), int(count))
        except (GridError, ValueError):
            raise GridError(
                f"--shard: expected I/N with I from 1 to N, like 2/8, not '{text}'. If the job array counts "
                "from 0, add 1 to its index."
            ) from None

    @property
    def is_whole(self) -> bool:
        """Whether this is the only part."""
        return self.count == 1

    @property
    def name(self) -> str:
        """The name of the part, like ``shard-2-of-8``, or ``run`` if it is the whole."""
        return RUN if self.is_whole else f"shard-{self.index}-of-{self.count}"

    def take(self, trials: Sequence[Trial], dataset: Dataset) -> list[Trial]:
        """Return this part's trials of all trials of a study, which are dealt to the parts by length.

        Args:
            trials: All trials of the study.
            dataset: The study's dataset, by which the length of a trial is estimated.
        """
        if self.is_whole:
            return list(trials)

        def length(trial: Trial) -> float:
            return -guess_seconds(trial.model, trial.training, dataset)

        mine = {trial.id for trial in sorted(trials, key=length)[self.index - 1 :: self.count]}
        return [trial for trial in trials if trial.id in mine]


WHOLE = Shard()
