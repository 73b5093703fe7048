"""What an oracle proposes, as it is kept."""

from __future__ import annotations

from typing import Any

from ablation.grid.trial import Record


class Proposal(Record):
    """A setting that an oracle proposes.

    Attributes:
        name: The variant's.
        values: The proposed settings; those that a condition leaves out are not there.
        epochs: How long it is trained, where the oracle says so.
        goes_on_from: The proposal whose training this one carries on.
    """

    name: str
    values: dict[str, Any]
    epochs: int | None = None
    goes_on_from: str | None = None
