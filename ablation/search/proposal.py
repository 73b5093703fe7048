"""The record of what is proposed, and the promise of whatever proposes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ablation.grid.search_space import Parameter
from ablation.grid.trial import Record


class Proposal(Record):
    """A combination of settings that an oracle or a sampler proposes.

    Attributes:
        name: The name of the variant.
        values: The proposed settings, without those that a condition leaves out.
        epochs: The number of epochs, if the oracle or the pruner sets it.
        goes_on_from: The name of the proposal whose training this one continues, if there is one.
        pruned: Whether it was stopped before its last epoch, because others were better after as many epochs;
            known when the search has ended.
    """

    name: str
    values: dict[str, Any]
    epochs: int | None = None
    goes_on_from: str | None = None
    pruned: bool = False


class Proposer(Protocol):
    """What proposes settings in rounds, and receives their scores.

    The proposals of a round depend only on the search and on the scores of earlier rounds. So a search that
    was killed, or that runs on other workers, makes the same proposals again, and only the trials themselves
    need to be kept.
    """

    @property
    def space(self) -> dict[str, Parameter]:
        """The parameters that are searched."""

    def rounds(self) -> Iterator[list[Proposal]]:
        """Yield the proposals of each round; `tell` must be called for each before the next round."""

    def tell(self, proposal: Proposal, score: float | None) -> None:
        """Receive the score of a proposal; None if it failed, which does not end the search."""


def proposal_name(number: int) -> str:
    """Return the name of the variant that is the proposal of a number, from 0."""
    return f"trial {number:02d}"
