"""The code that a trial names, which building its model would import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ablation.grid.keras_names import USER_OBJECT
from ablation.grid.settings import FileSettings
from ablation.grid.trial import Trial


def named_code(trial: Trial) -> tuple[str, ...]:
    """Return each ``module:object`` and each model file that a trial names; empty if it needs Keras only."""
    file = (trial.model.file,) if isinstance(trial.model, FileSettings) else ()
    settings = [trial.model.model_dump(mode="json"), trial.training.model_dump(mode="json")]
    return tuple(dict.fromkeys([*file, *_names_in(settings)]))


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and USER_OBJECT.fullmatch(value):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
            yield from _names_in(inner)
