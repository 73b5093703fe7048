"""A trial, what comes of it, and the content id that names it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ablation.settings import AnyModel, TrainingSettings

# Raised whenever a change to the training code can change a result: finished trials are then run anew.
TRAINING_VERSION = 1

Status = Literal["completed", "failed", "diverged", "timeout", "pending"]


class Record(BaseModel):
    """A frozen record that JSON restores exactly; NaN and infinity are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Trial(Record):
    """One variant trained with one seed, every setting resolved."""

    variant: str
    seed: int
    dataset_digest: str
    model: AnyModel
    training: TrainingSettings
    threads: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """All that can change the trial's result, and nothing else.

        Settings at their default are left out, so that a setting added later does not rename trials,
        and so are those of a part that is switched off.
        """
        return {
            "version": TRAINING_VERSION,
            "dataset": self.dataset_digest,
            "family": self.model.family,
            "model": self.model.effective,
            "training": self.training.model_dump(mode="json", exclude_defaults=True),
            "seed": self.seed,
            "threads": self.threads,
        }

    @property
    def id(self) -> str:
        """``<variant>-s<seed>-<8 hex>``, safe as a folder name; the hex is a hash of ``settings``."""
        canonical = json.dumps(self.settings, sort_keys=True, separators=(",", ":"))
        return f"{slug(self.variant)}-s{self.seed}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


class EpochRecord(Record):
    """What was measured in and after one epoch; see the README for the columns' meaning."""

    epoch: int
    loss: float
    accuracy: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    extra: dict[str, float] = {}


class TrialResult(Record):
    """How a trial ended. A dead worker is a result, too."""

    trial_id: str
    status: Status
    history: tuple[EpochRecord, ...] = ()
    metrics: dict[str, float] = {}
    best_epoch: int | None = None
    parameters: int | None = None
    seconds: float = 0.0
    cause: str = ""
    provenance: dict[str, str] = {}


def slug(name: str) -> str:
    """Return a name that is safe as a file name on every system, at most 40 characters long."""
    return re.sub(r"[^A-Za-z0-9_+=.-]+", "_", name).strip("._-")[:40] or "variant"
