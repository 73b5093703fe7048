"""The record of what an oracle proposes."""

from __future__ import annotations

from typing import Any

from ablation.grid.trial import Record


class Proposal(Record):
    """A setting that an oracle proposes.

    Attributes:
        name: The name of the variant.
        values: The proposed settings, without those that a condition leaves out.
        epochs: The number of epochs, if the oracle sets it.
        goes_on_from: The name of the proposal whose training this one continues, if there is one.
    """

    name: str
    values: dict[str, Any]
    epochs: int | None = None
    goes_on_from: str | None = None
