"""A parameter of a search's space."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from ablation.grid.settings_group import Settings


class Parameter(Settings):
    """The values that a setting can take: a ``range`` or a ``choice``. A list is short for a ``choice``."""

    range: tuple[int | float, int | float] | None = None
    """The smallest and the largest value; a range of whole numbers is searched in whole numbers."""
    choice: Annotated[tuple[Any, ...], Field(min_length=2)] | None = None
    """All values that can be tried."""
    step: Annotated[float, Field(gt=0)] | None = None
    """The distance between the values of a range; on a logarithmic scale, the factor between them."""
    log: bool = False
    """Whether a range is searched on a logarithmic scale."""
    when: dict[str, Any] = {}
    """Values of other parameters. This parameter is searched only if they have these values; otherwise it
    keeps the baseline's value."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Parameter:
        if (self.range is None) == (self.choice is None):
            raise ValueError(
                "needs either a range, like {range: [0.0001, 0.01], log: true}, or a list of choices"
            )
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("the range must end above its beginning")
        if self.range and self.log and self.range[0] <= 0:
            raise ValueError("a range on a logarithmic scale must begin above 0")
        if self.choice is not None and (self.step or self.log):
            raise ValueError("step and log can be used only with a range, not with choices")
        if self.step and self.log and self.step <= 1:
            raise ValueError(
                "on a logarithmic scale, step is the factor between values, so it must be above 1"
            )
        if self.step and self.is_whole and not self.step.is_integer():
            raise ValueError("the step of a range of whole numbers must be a whole number")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the parameter is a range of whole numbers."""
        return self.range is not None and all(isinstance(end, int) for end in self.range)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values to validate: all choices, or the two ends of a range."""
        return self.choice if self.choice is not None else (self.range or ())
