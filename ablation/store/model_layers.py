"""The layers of the models of a run whose variants are without parts of a user's model, for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ablation.files import DAMAGED, json_text, read_json
from ablation.models.ablated.account import Account, Size
from ablation.models.layer_list import Layer
from ablation.store.run_folder import Store

_FILE = "models.json"


def keep_accounts(store: Store, accounts: Mapping[str, Account]) -> None:
    """Write what edits do to the model of each variant to the run folder.

    Args:
        store: The run folder.
        accounts: The accounts, by variant, all of them of the same model.

    Raises:
        RunError: The file cannot be written.
    """
    record = {name: {"before": asdict(a.before), "after": asdict(a.after)} for name, a in accounts.items()}
    store.write(_FILE, json_text(record))


def kept_accounts(store: Store) -> dict[str, Account]:
    """Return what was kept by `keep_accounts`, by variant; nothing if it cannot be read."""
    try:
        record = read_json(store.folder / _FILE)
        return {
            name: Account(_size(sizes["before"]), _size(sizes["after"])) for name, sizes in record.items()
        }
    except DAMAGED:
        return {}


def merge_accounts(store: Store, others: Sequence[Store]) -> None:
    """Write what other run folders of the same study have kept to a run folder; nothing if they have nothing.

    Raises:
        RunError: The file cannot be written.
    """
    accounts = {name: account for other in others for name, account in kept_accounts(other).items()}
    if accounts:
        keep_accounts(store, accounts)


def _size(record: Mapping[str, object]) -> Size:
    layers = record["layers"]
    assert isinstance(layers, list)
    restored = [Layer(**{**layer, "inputs": tuple(layer["inputs"])}) for layer in layers]
    return Size(tuple(restored), int(str(record["parameters"])), int(str(record["multiply_adds"])))
