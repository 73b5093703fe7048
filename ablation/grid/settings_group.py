"""What all groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

STORED: dict[str, bool] = {"stored": True}
"""The context of validating what a run folder holds: it is read even if a plug-in is not installed here."""


class Settings(BaseModel):
    """A frozen group of settings. Unknown keys are rejected, and JSON restores a group exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
