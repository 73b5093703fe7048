"""Trials that were trained before by other code, of the user's or of ablation, and count as pending now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ablation.grid.trial import Trial
from ablation.grid.user_files import changed_files
from ablation.store.trial_store import TrialStore

_VERSIONS = ("version", "user_model_version")  # of the code of ablation


def earlier_code(
    pending: Iterable[Trial], store: TrialStore, others: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Return why trials are pending although trials of the same settings were trained, by trial id.

    Args:
        pending: The trials without a result.
        store: Where the trials are kept.
        others: The settings of the other trials there, by id.
    """
    kept = {_without_code(settings): trial_id for trial_id, settings in others.items()}
    reasons: dict[str, str] = {}
    for trial in pending if kept else ():
        if not (trial_id := kept.get(_without_code(trial.settings))):
            continue
        folder = trial.code_folder
        changed = changed_files(store.files_read(trial_id), folder) if folder else []
        if any(trial.settings.get(name) != others[trial_id].get(name) for name in _VERSIONS):
            reasons[trial.id] = "this version of ablation trains differently"
        elif changed:
            reasons[trial.id] = f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed since"
        else:
            reasons[trial.id] = "your code, or a module that it imports, has changed since"
    return reasons


def _without_code(settings: Any) -> str:
    """Return settings without the versions of the code, as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items() if k not in ("source", *_VERSIONS)}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return json.dumps(plain(settings), sort_keys=True)
