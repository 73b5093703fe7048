"""The space of a search: which settings it tries, with which values, and by which measure it chooses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ablation.grid.compare_settings import CompareSettings
from ablation.grid.settings_group import Settings


class Parameter(Settings):
    """The values that a setting can take: a ``range`` or a ``choice``. A list is short for a ``choice``."""

    range: tuple[float | int, float | int] | None = None
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
    def stepped(self) -> list[float | int]:
        """All values of a range with a step; each is computed from the range's beginning."""
        assert self.range is not None
        assert self.step is not None
        (low, high), step = self.range, self.step
        steps = int((math.log(high / low, step) if self.log else (high - low) / step) + 1e-8)
        values = [low * step**k if self.log else low + k * step for k in range(steps + 1)]
        return [int(value) if self.is_whole else min(float(value), float(high)) for value in values]

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values to validate: all choices, or the two ends of a range."""
        return self.choice if self.choice is not None else (self.range or ())


def in_order(space: Mapping[str, Parameter]) -> list[str]:
    """Return the names of the parameters, each after those that it depends on."""
    placed: list[str] = []
    while len(placed) < len(space):
        placed += [n for n, p in space.items() if n not in placed and all(k in placed for k in p.when)]
    return placed


class SpaceSettings(Settings):
    """What is searched, and by which measure the best settings are chosen."""

    space: dict[str, Parameter] = {}
    """The parameters of the search, each under the name of its setting."""
    objective: str = "val_accuracy"
    """The measure to optimise, ``val_accuracy``, ``val_loss`` or one of the metrics of ``training``, such as
    ``val_f1_score``: its value on the validation images at the end of training, averaged over the seeds."""
    direction: Literal["higher", "lower"] | None = None
    """Whether higher or lower values of the objective are better. It is needed for a metric whose name does
    not say so, such as your own."""

    @property
    def objective_name(self) -> str:
        """The objective in words."""
        return self.objective.replace("val_", "validation ", 1).replace("_", " ")

    @property
    def maximise(self) -> bool:
        """Whether a higher objective is the better one."""
        return self.judged.higher_is_better

    @property
    def in_points(self) -> bool:
        """Whether the objective is a share, whose differences are given in percentage points."""
        return self.judged.in_points

    @property
    def judged(self) -> CompareSettings:
        """How proposals are compared on the objective: without verdicts, for its values chose among them."""
        return CompareSettings(metric=self.objective, direction=self.direction, questions="effects")
