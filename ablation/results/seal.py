"""One digest of all that a study rests on, for the appendix of a paper or the tag of a repository."""

from __future__ import annotations

import hashlib
import json
import re

from ablation.errors import RunError
from ablation.results.run import Run


def seal_of(run: Run) -> str:
    """Return the digest of a run: of the study as it was declared before the first trial, and of all trials.

    Whoever has it can tell later whether any trial, with its settings, history, predictions and saved model,
    is still what it was: no trial can be changed, added or left out without another digest. Comparisons,
    figures and reports follow from the trials and are not part of it.

    Raises:
        RunError: What was declared is not known, a planned trial has no result, or one is damaged.
    """
    declared = run.store.declared()
    if declared is None:
        raise RunError(
            f"{run.folder} cannot be sealed: declared.json, the study before its first trial, is missing or "
            "damaged."
        )
    for trial in run.trials:
        where = f"{run.folder} cannot be sealed: {trial.variant}, seed {trial.seed}"
        if trial.id not in run.trial_results:
            raise RunError(f"{where}, has no result yet.")
        if damage := run.store.damage(trial):
            raise RunError(f"{where}: {damage}.")
    study, dataset_digest = declared
    content = {
        "declared": study.model_dump(mode="json"),
        "dataset": dataset_digest,
        "trials": sorted(f"{trial.id} {run.store.checksum(trial)}" for trial in run.trials),
    }
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def require_seal(text: str) -> None:
    """Refuse what `seal_of` cannot have returned, which would only seem to show that a run was changed.

    Raises:
        RunError: It is not a digest with its prefix.
    """
    if not re.fullmatch("sha256:[0-9a-f]{64}", text):
        raise RunError(
            f"the seal must be what `ablation seal` prints, sha256: and 64 hexadecimal digits, not {text!r}."
        )
