"""The report's section on models of which parts are removed: the layers before and after, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ablation.figures.model_graph import ADDED, CHANGED, REMOVED, SAME, change_text
from ablation.figures.models import drawn_accounts
from ablation.grid.value_text import counted
from ablation.models.ablated.account import Account, Size
from ablation.models.layer_list import Layer
from ablation.report.comparison_sections import Pictures
from ablation.report.document import Cell, Section, Table
from ablation.report.trial_links import TrialLinks
from ablation.results.run import Run

_TEXT = (
    "Each variant is the model as it is with parts removed, replaced or changed. What stays keeps its names, "
    "so that it starts from the same weights in each variant. A removed layer hands on what it is given. A "
    "layer that was added makes this fit where the output of the removed one was taken: it crops images, or "
    "matches the number of channels and the size by a linear layer without offsets. Multiply-adds are those "
    "for one image."
)
_FEW = 4  # tables that are open
_SHORTEST = 4  # layers in a row that are the same, which become one row
_Row = tuple[Layer | None, Layer | None]


def model_section(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    """Return the section on the models of the variants; None if no part of a model was removed."""
    accounts = drawn_accounts(run)
    if not accounts:
        return None
    tables = [layers_table(name, account) for name, account in accounts.items()]
    lines = [f"{name}: {account.in_words}." for name, account in accounts.items()]
    drawn = pictures.get("models", [])
    return Section("models", "Models", [_TEXT], drawn, tables, lines=lines, folded=len(tables) > _FEW)


def layers_table(name: str, account: Account) -> Table:
    """Return the layers of the model as it is beside those of a variant; long stretches are one row.

    Args:
        name: The variant.
        account: The model before and after its edits.
    """
    rows: list[Sequence[Cell]] = []
    for state, group in groupby(aligned(account), key=_state):
        same = list(group)
        if state == SAME and len(same) > _SHORTEST:
            rows += [_row(same[0]), _folded(same[1:-1]), _row(same[-1])]
        else:
            rows += map(_row, same)
    caption = (
        f"The model as it is, {_size(account.before)}, beside {name}, {_size(account.after)}: "
        f"{len(account.removed)} removed, {len(account.added)} added, {len(account.changed)} changed"
    )
    headings = ["Layer", "Class", "Output, before", "Output, after", "Parameters, before",
                "Parameters, after", "Difference"]  # fmt: skip
    return Table(headings, rows, caption)


def aligned(account: Account) -> Iterator[_Row]:
    """Yield the layers before and after, each beside the layer of the same name.

    The order is that of the model as it is. Added layers are in front of the next layer that was kept, behind
    those whose place they take.
    """
    after = {layer.name: layer for layer in account.after.layers}
    added_before = _added_before(account)
    for layer in account.before.layers:
        yield from ((None, new) for new in added_before.get(layer.name, ()))
        yield layer, after.get(layer.name)
    yield from ((None, new) for new in added_before.get("", ()))


def _added_before(account: Account) -> Mapping[str, list[Layer]]:
    """Return the added layers by the name of the kept layer that they are in front of."""
    known = {layer.name for layer in account.before.layers}
    found: dict[str, list[Layer]] = {}
    waiting: list[Layer] = []
    for layer in account.after.layers:
        if layer.name in known:
            found[layer.name] = waiting
            waiting = []
        else:
            waiting.append(layer)
    return found | {"": waiting}


def _state(row: _Row) -> str:
    old, new = row
    if old is None or new is None:
        return ADDED if old is None else REMOVED
    return SAME if old == new else CHANGED


def _row(row: _Row) -> list[Cell]:
    old, new = row
    layer = new or old
    assert layer is not None
    state = _state(row)
    note = change_text(old, new) if old and new and state == CHANGED else ""
    return [
        Cell(layer.name, kind="row"),
        Cell(layer.kind),
        *(Cell(side.output if side else "–") for side in row),
        *(Cell(f"{side.parameters:,}", "", side.parameters) if side else Cell("–") for side in row),
        Cell(state or "the same", note),
    ]


def _folded(rows: Sequence[_Row]) -> list[Cell]:
    """Return one row for layers that are the same."""
    layers = [old for old, _ in rows if old]
    parameters = f"{sum(layer.parameters for layer in layers):,}"
    text = f"{len(layers)} layers, {layers[0].name} to {layers[-1].name}"
    return [Cell(text, kind="row"), *(Cell("…") for _ in range(3)), *(Cell(parameters) for _ in range(2)),
            Cell("the same")]  # fmt: skip


def _size(size: Size) -> str:
    adds = counted(size.multiply_adds, "multiply-add")
    return f"{counted(size.parameters, 'parameter')} and {adds}"
