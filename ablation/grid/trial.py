"""A trial, its result, and the content id that names it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from ablation.control_characters import visible
from ablation.digest import short_digest
from ablation.grid.seeding import DEFAULT_VARY, Randomness, Stream
from ablation.grid.settings import CONTENT, AnyModel, TrainingSettings, UserCode, UserModelSettings
from ablation.operating_system import safe_name

# Increased whenever a change to the training code can change a result: finished trials are then run again.
TRAINING_VERSION = 6
# Increased if the change is in how models of the user's own are built: built-in ones then keep their trials.
USER_MODEL_VERSION = 2

Shown = Annotated[str, AfterValidator(visible)]  # what code of a user may have written, as it can be shown
Status = Literal["completed", "failed", "diverged", "timeout", "pending"]


class Record(BaseModel):
    """A frozen record that JSON restores exactly; NaN and infinity are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Trial(Record):
    """One variant trained with one seed, with every setting resolved.

    ``dataset_digest`` is the digest of the study's images. If ``vary`` contains ``split``, they are the pool
    from which the trial draws its own, so that digest and seed together name them; so they do for the test
    images if ``vary`` contains ``test``.
    ``reads_test`` says whether the test set is read at the end of the trial. ``keeps_state`` says whether
    the last state is kept, so that a longer training can continue from it.
    """

    variant: str
    seed: int
    dataset_digest: str
    model: AnyModel
    training: TrainingSettings
    threads: int = 1
    vary: tuple[Stream, ...] = DEFAULT_VARY
    reads_test: bool = True
    keeps_state: bool = False

    @property
    def randomness(self) -> Randomness:
        """The trial's random streams."""
        return Randomness(self.seed, self.vary)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that can change the result of the trial, and nothing else.

        Settings at their default are left out, so that a setting added later does not rename trials.
        Settings of a part that is switched off are left out, too.
        """
        varied: dict[str, Any] = {} if self.vary == DEFAULT_VARY else {"vary": self.vary}
        if not self.reads_test:
            varied["reads_test"] = False
        if isinstance(self.model, UserModelSettings):
            varied["user_model_version"] = USER_MODEL_VERSION
        return {
            "version": TRAINING_VERSION,
            "dataset": self.dataset_digest,
            "family": self.model.family,
            "model": self.model.effective,
            "training": self.training.model_dump(mode="json", exclude_defaults=True, context=CONTENT),
            "seed": self.seed,
            "threads": self.threads,
            **varied,
        }

    @property
    def code_folder(self) -> Path | None:
        """The folder of the user's code, which is that of the grid file; None without such code."""
        training = self.training
        parts: list[Any] = [self.model, *self.model.augmentation, training.optimizer, training.learning_rate]
        parts += [training.loss, *training.metrics, *training.callbacks]
        return next((Path(p.folder) for p in parts if isinstance(p, UserCode) and p.folder), None)

    @cached_property
    def id(self) -> str:
        """``<variant>-s<seed>-<8 hex>``, safe as a folder name; the hex is a hash of ``settings``."""
        canonical = json.dumps(self.settings, sort_keys=True, separators=(",", ":"))
        return f"{slug(self.variant)}-s{self.seed}-{short_digest(canonical)}"

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, whose ``id`` is that of its own settings: pydantic would copy the cached one."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("id", None)
        return copy


class EpochRecord(Record):
    """The measurements during and after one epoch.

    Attributes:
        loss, accuracy: The values that Keras logs: running means over the epoch, in training mode. The loss
            is the one that training minimises, with penalties and class weights.
        active_loss, active_accuracy: Measured after the epoch on the training images of ``train_*``, but in
            training mode: dropout and augmentation are active, and BatchNorm uses batch statistics.
        train_loss, train_accuracy, val_loss, val_accuracy: Measured after the epoch, in inference mode,
            without penalties and class weights.
        seconds: The wall time of the epoch.
        order: A hash of the order in which the epoch visited the training images. If the seed drew them from
            a pool, it is a hash of their places in the pool, in this order.
        penalty: What regularizers and `add_loss` add to the loss of the validation images after the epoch.
        extra: Additional metrics, by column name.
    """

    epoch: int
    loss: float
    accuracy: float
    active_loss: float
    active_accuracy: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    order: str
    penalty: float = 0.0
    extra: dict[str, float] = {}


class InitialWeights(Record):
    """The weights of a layer before training: the shape of the first array, and a hash of all arrays."""

    shape: tuple[int, ...]
    digest: str


class TrialResult(Record):
    """How a trial ended. A dead worker is a result, too.

    Attributes:
        history: One entry per completed epoch.
        metrics: The ``train_*``, ``val_*`` and ``test_*`` metrics of the weights that were tested.
        multiply_adds: The number of multiply-adds per image in inference mode, in the convolutions and Dense
            layers of the model.
        seconds: The wall time, including interrupted attempts as far as their work was kept.
        timing: The seconds that the last attempt spent on ``start`` (of its process), ``build``, ``trace``,
            ``train``, ``evaluate``, ``checkpoint`` and ``write``.
        memory: The peak memory of the process during the trial, in MiB, if it is known.
        cause: The reason why the trial did not complete.
        provenance: The machine and the software versions that produced the result.
        initial_weights: The initial weights, by layer name.
        variance_shift: For each BatchNorm layer, the variance of its input in training mode divided by that
            in inference mode (Li et al., 2018, arXiv:1801.05134).
        structure: A hash of the structure of the model that was built.
        files: Hashes of the user's files that were read while the model was built, by path. Paths in the
            folder of the grid file are relative to it.
        model: Which images the saved model takes; empty if no model was saved.
        unsaved: The reason why the model could not be saved.
    """

    trial_id: str
    status: Status
    history: tuple[EpochRecord, ...] = ()
    metrics: dict[str, float] = {}
    best_epoch: int | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    seconds: float = 0.0
    timing: dict[str, float] = {}
    memory: float | None = None
    cause: Shown = ""
    provenance: dict[str, str] = {}
    initial_weights: dict[str, InitialWeights] = {}
    variance_shift: dict[str, float] = {}
    structure: str = ""
    files: dict[str, str] = {}
    model: Literal["", "normalised", "raw"] = ""
    unsaved: Shown = ""

    @property
    def is_completed(self) -> bool:
        """Whether the trial trained to its end and was measured: its status is ``completed``."""
        return self.status == "completed"

    @property
    def numbers(self) -> dict[str, str]:
        """What has to be the same if the trial is trained again, as text: its status, metrics and epochs."""
        epochs = {f"epoch {r.epoch}": r.model_copy(update={"seconds": 0.0}) for r in self.history}
        texts = {name: record.model_dump_json() for name, record in epochs.items()}
        return {"status": self.status, **{k: repr(v) for k, v in sorted(self.metrics.items())}, **texts}


def slug(name: str) -> str:
    """Return a name that is safe as a file name on every system, at most 40 characters long."""
    readable = re.sub(r"[^A-Za-z0-9_+=.-]+", "_", name).strip("._-") or "variant"
    return safe_name(readable)[:40].rstrip("._-")


def content_of(trial_id: str) -> str:
    """Return the part of a trial's id that names its seed and settings; empty if it is no id."""
    found = re.search(r"s\d+-[0-9a-f]{8}$", trial_id)
    return found.group() if found else ""


@dataclass(frozen=True)
class InitialState:
    """The state from which the training of a trial starts.

    Attributes:
        weights: The initial weights, by layer name.
        orders: The hashes of the batch orders, one per epoch.
    """

    weights: Mapping[str, InitialWeights]
    orders: tuple[str, ...]
