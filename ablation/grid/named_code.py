"""The code that a trial names, which building its model would import."""

from __future__ import annotations

from ablation.grid.keras_names import USER_OBJECT
from ablation.grid.settings import FileSettings
from ablation.grid.trial import Trial
from ablation.grid.value_text import texts_in


def named_code(trial: Trial) -> tuple[str, ...]:
    """Return each ``module:object`` and each model file that a trial names; empty if it needs Keras only."""
    file = (trial.model.file,) if isinstance(trial.model, FileSettings) else ()
    settings = [trial.model.model_dump(mode="json"), trial.training.model_dump(mode="json")]
    return tuple(dict.fromkeys([*file, *filter(USER_OBJECT.fullmatch, texts_in(settings, keys=True))]))
