"""What edits do to a model: which layers go, which come, and what that costs or saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation.grid.value_text import counted
from ablation.models.ablated.graph import operations
from ablation.models.cost import counted_multiply_adds
from ablation.models.layer_list import Layer, shown_layers

if TYPE_CHECKING:
    import keras

_MOST_NAMES = 6


@dataclass(frozen=True)
class Size:
    """The layers and other operations of a model, its parameters, and its multiply-adds per image."""

    layers: tuple[Layer, ...]
    parameters: int
    multiply_adds: int

    @classmethod
    def of(cls, model: keras.Model) -> Size:
        """Return the size of a built model."""
        return cls(shown_layers(model, operations(model)), model.count_params(), counted_multiply_adds(model))


@dataclass(frozen=True)
class Account:
    """A model before and after its edits."""

    before: Size
    after: Size

    @property
    def removed(self) -> tuple[Layer, ...]:
        """The layers that are gone, in their order."""
        kept = {layer.name for layer in self.after.layers}
        return tuple(layer for layer in self.before.layers if layer.name not in kept)

    @property
    def added(self) -> tuple[Layer, ...]:
        """The layers that were not there, which make the others fit."""
        known = {layer.name for layer in self.before.layers}
        return tuple(layer for layer in self.after.layers if layer.name not in known)

    @property
    def changed(self) -> tuple[tuple[Layer, Layer], ...]:
        """The layers that are other ones now, each before and after."""
        by_name = {layer.name: layer for layer in self.after.layers}
        pairs = ((layer, by_name.get(layer.name)) for layer in self.before.layers)
        return tuple((old, new) for old, new in pairs if new is not None and old != new)

    @property
    def in_words(self) -> str:
        """A sentence or two for the reader of a plan."""
        parts = []
        if self.removed:
            parts.append(f"without {_listed(self.removed)}")
        if self.changed:
            parts.append(f"with {_listed(tuple(new for _, new in self.changed))} changed")
        if self.added:
            shown = "; ".join(
                f"{layer.name} ({layer.kind}, {counted(layer.parameters, 'parameter')})"
                for layer in self.added
            )
            parts.append(f"with {shown} added, so that the rest fits")
        sizes = f"{self.before.parameters:,} parameters become {self.after.parameters:,}"
        if self.before.parameters == self.after.parameters:
            sizes = f"still {self.before.parameters:,} parameters"
        adds = f"{self.before.multiply_adds:,} multiply-adds become {self.after.multiply_adds:,}"
        if self.before.multiply_adds == self.after.multiply_adds:
            adds = f"still {self.before.multiply_adds:,} multiply-adds"
        return f"{', '.join(parts)}; {sizes}, {adds}"


def _listed(layers: tuple[Layer, ...]) -> str:
    names = [layer.name for layer in layers]
    if len(names) > _MOST_NAMES:
        return f"{len(names)} layers ({', '.join(names[:2])}, …, {names[-1]})"
    return ", ".join(names)
