"""Which layers each variant of a user's model is without, known and checked before anything trains."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.data.datasets import Dataset
from ablation.errors import AblationError, DatasetError
from ablation.grid.settings import CONTENT, AblatedModelSettings, Edit, FileSettings
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

    A model from a file is built in any case, so that a file that cannot be used is refused before training.

    Raises:
        DatasetError: An edit means nothing in the model, or what it leaves cannot be put together, or is the
            model of another variant.
    """
    models = {v.name: v.model for v in study.variants if isinstance(v.model, AblatedModelSettings)}
    are_edited = any(model.edits for model in models.values())
    if not are_edited and not any(isinstance(model, FileSettings) for model in models.values()):
        return {}
    with quiet_stderr():
        found = {v.name: _account(v, dataset) for v in study.variants if v.name in models}
    if not are_edited:
        return {}
    _refuse_same(study.variants, found)
    return found


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
        setting = "model.file" if isinstance(model, FileSettings) else "model.builder"
        return DatasetError(f"{variant.name}: {reason}", setting, getattr(model, "file", None))
    edit = _culprit(model, model.edits, dataset)
    return DatasetError(f"{variant.name}: {reason}", _setting(edit), edit)


def _setting(edit: Edit) -> str:
    return "ablate.matched" if edit.action == "match" else f"ablate.{edit.action}"


def _refuse_same(variants: Sequence[Variant], found: dict[str, Account]) -> None:
    """Refuse two variants whose edits lead to one model, which would be compared with itself.

    So do an edit that changes nothing, a part that is named twice, and of all combinations those where one
    part contains another.

    Raises:
        DatasetError: Two variants have the same model and the same training.
    """
    first: dict[str, Variant] = {}
    for variant in variants:
        if variant.name not in found:
            continue
        model, after = variant.model, found[variant.name].after
        assert isinstance(model, AblatedModelSettings)
        whole = model.model_copy(update={"edits": ()}).model_dump_json()
        training = variant.training.model_dump_json(context=CONTENT)
        layers = [(layer, layer.inputs) for layer in after.layers]
        other = first.setdefault(f"{whole}{training}{layers}{after.multiply_adds}", variant)
        if other is variant:
            continue
        theirs = getattr(other.model, "edits", ())
        edit = next((e for e in reversed(model.edits) if e not in theirs), None)
        edit = edit or next(e for e in theirs if e not in model.edits)
        are_combined = sum(e.action != "match" for e in (*model.edits, *theirs)) > 2
        remedy = "or write `how: leave_one_out`" if are_combined else "or let it mean other layers"
        raise DatasetError(
            f"'{variant.name}' would be the same model as '{other.name}', layer for layer. Remove this part, "
            f"{remedy}.",
            _setting(edit),
            edit,
        )


def _culprit(model: AblatedModelSettings, edits: Sequence[Edit], dataset: Dataset) -> Edit:
    for edit in edits[:-1]:
        alone = model.model_copy(update={"edits": (edit,)})
        try:
            account_of(alone, dataset.image_shape, len(dataset.class_names))
        except Exception:
            return edit
    return edits[-1]
