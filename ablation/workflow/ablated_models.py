"""Which layers each variant of a user's model is without, known and checked before anything trains."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.data.datasets import Dataset
from ablation.errors import AblationError, DatasetError
from ablation.grid.settings import AblatedModelSettings, Edit
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary
from ablation.models.ablated.account import Account
from ablation.models.user_model import account_of
from ablation.store.model_layers import keep_accounts
from ablation.store.run_folder import Store
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.observers import Observer

_known: dict[tuple[str, str], Account] = {}  # by settings and images, so that a process builds each once


def accounts(study: Study, dataset: Dataset) -> dict[str, Account]:
    """Return what the edits of each variant do to the user's model, by variant; empty without edits.

    Raises:
        DatasetError: An edit means nothing in the model, or what it leaves cannot be put together.
    """
    models = {v.name: v.model for v in study.variants if isinstance(v.model, AblatedModelSettings)}
    if not any(model.edits for model in models.values()):
        return {}
    with quiet_stderr():
        return {v.name: _account(v, dataset) for v in study.variants if v.name in models}


def edit_notes(study: Study, dataset: Dataset) -> list[str]:
    """Return a sentence per variant of which edits change the model; see `accounts` for the errors."""
    return [
        f"{name}: {account.in_words}."
        for name, account in accounts(study, dataset).items()
        if account.removed or account.added or account.changed
    ]


def announce(study: Study, dataset: Dataset, observer: Observer) -> None:
    """Notify an observer of what the edits of each variant do, if there are any."""
    if notes := edit_notes(study, dataset):
        observer.noted(notes)


def keep_layers(study: Study, dataset: Dataset, store: Store) -> None:
    """Write the layers of each variant's model to the run folder, for its report; nothing without edits.

    Raises:
        RunError: The file cannot be written.
    """
    if known := accounts(study, dataset):
        keep_accounts(store, known)


def _account(variant: Variant, dataset: Dataset) -> Account:
    model = variant.model
    assert isinstance(model, AblatedModelSettings)
    shape, classes = dataset.image_shape, len(dataset.class_names)
    key = model.model_dump_json(), f"{shape}{classes}{variant.training.precision}"
    if key not in _known:
        try:
            _known[key] = account_of(model, shape, classes, variant.training.precision)
        except Exception as error:
            raise _located(error, variant, dataset) from error
    return _known[key]


def _located(error: Exception, variant: Variant, dataset: Dataset) -> DatasetError:
    """Return the error with the edit that causes it, for which each edit is tried by itself."""
    model = variant.model
    assert isinstance(model, AblatedModelSettings)
    reason = str(error) if isinstance(error, AblationError) else f"{error_summary(error)}."
    if not model.edits:
        return DatasetError(f"{variant.name}: {reason}")
    edit = _culprit(model, model.edits, dataset)
    setting = "ablate.matched" if edit.action == "match" else f"ablate.{edit.action}"
    return DatasetError(f"{variant.name}: {reason}", setting, edit)


def _culprit(model: AblatedModelSettings, edits: Sequence[Edit], dataset: Dataset) -> Edit:
    for edit in edits[:-1]:
        alone = model.model_copy(update={"edits": (edit,)})
        try:
            account_of(alone, dataset.image_shape, len(dataset.class_names))
        except Exception:
            return edit
    return edits[-1]
