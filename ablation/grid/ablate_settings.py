"""`ablate:` as a mapping: the parts of your own model that are removed, replaced or changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ablation.grid.combinations import Combination, Factor, all_cells, one_at_a_time
from ablation.grid.key_places import TRAINING_KEYS
from ablation.grid.settings import Edit
from ablation.grid.settings_group import Settings
from ablation.grid.study import Variant
from ablation.grid.value_text import yaml_text
from ablation.grid.variants import Known
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

WITHOUT, WITH, AS_GIVEN = "without", "with", "as given"
_SHORT_NAMES = {"BatchNormalization": "BatchNorm"}
_WITHOUT_PARAMETERS = ("Dropout", "Noise", "Activation", "ReLU", "Softmax", "Pooling", "Regularization")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])]
How = Literal["leave_one_out", "add_one_in", "all"]
Hows = Annotated[tuple[How, ...], BeforeValidator(_as_tuple, json_schema_input_type=How | tuple[How, ...])]


class Target(Settings):
    """What is removed together. A name alone is that of a class."""

    kind: str = ""
    """The name of a class: ``Dropout`` stands for all Dropout layers."""
    layers: Texts = ()
    """The names of layers, with wildcards: ``block3_*``. A layer in a nested model has the name of that model
    before its own: ``backbone/conv1``."""
    branch: str = ""
    """The name of a layer that joins branches, such as Add, Multiply or Concatenate. The branch with the most
    layers is removed, and the shortcut stays."""
    through: str = ""
    """A layer of the branch that is removed, for a layer that joins more than two branches."""
    penalty: Literal["", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
                     "depthwise_regularizer", "pointwise_regularizer", "beta_regularizer",
                     "gamma_regularizer"] = ""  # fmt: skip
    """The penalty on weights or outputs that is removed, by its argument. With ``layers``, it is removed from
    these only."""
    name: Annotated[str, Field(max_length=40)] = ""
    """The name of the part in the variants' names. By default, it is made from the other settings."""
    matched: bool | None = None
    """Whether this part's variant has a matched one beside it; by default, as ``matched`` says for all."""

    @model_validator(mode="before")
    @classmethod
    def _as_kind(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError(
                "expected the name of a class, like Dropout, or a mapping, like {layers: block3_*}, not "
                f"{yaml_text(value)}"
            )
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_one_part(self) -> Target:
        named = [key for key in ("kind", "layers", "branch", "penalty") if getattr(self, key)]
        if not named:
            raise ValueError("name what to remove: `kind`, `layers`, `branch` or `penalty`")
        if len(named) > 1 and named != ["layers", "penalty"]:
            raise ValueError(f"`{named[0]}` and `{named[1]}` are parts of their own; list them one by one")
        if self.through and not self.branch:
            raise ValueError("`through` needs a `branch`")
        return self


class AblateSettings(Settings):
    """The parts of your own model, and which variants are built of them."""

    remove: tuple[Target, ...] = ()
    """The parts to remove, each with its own variant. A name alone is that of a class."""
    replace: dict[str, str] = {}
    """What to put in place of what: an activation (``relu: gelu``) or a class of layers
    (``MaxPooling2D: AveragePooling2D``)."""
    change: dict[str, Any] = {}
    """Arguments of layers to set otherwise, by class or by name: ``Dropout.rate: 0.5``."""
    how: Hows = ("leave_one_out",)
    """The variants. With ``leave_one_out``, ``full`` is the model as it is, and each other variant differs
    from it in one part. With ``add_one_in``, ``plain`` is the model without all parts under ``remove``, and
    each other variant differs from it in one part. A list of the two builds both. With ``all``, each
    combination is a variant, from ``plain`` to the model as it is."""
    matched: bool = False
    """Whether each variant without layers that have parameters has another one beside it, whose remaining
    hidden layers are widened until it has as many parameters as the model as it is."""

    @model_validator(mode="after")
    def _has_parts(self) -> AblateSettings:
        if not (self.remove or self.replace or self.change):
            raise ValueError("name the parts under `remove`, `replace` or `change`")
        if "all" in self.how and len(self.how) > 1:
            raise ValueError("`all` contains the variants of the others; write `how: all`")
        return self


@dataclass(frozen=True)
class Part(Factor):
    """A part of a user's model, as a factor of two levels; its value is the edit, or None.

    Attributes:
        edit: What is done to the model without the part, or with what takes its place.
        matched: Whether a variant without it has a matched one beside it.
    """

    edit: Edit
    matched: bool = False

    @property
    def is_removed(self) -> bool:
        """Whether the part is there or not; otherwise, it is one thing or another."""
        return self.edit.action == "remove"

    @property
    def is_switch(self) -> bool:
        """Whether the first level leaves something out."""
        return self.is_removed

    @property
    def full(self) -> int:
        """The number of the level that the model has as it is."""
        return 1 if self.is_removed else 0

    def part_of_name(self, level: int) -> str:
        """Return the part of the variant's name for a level; empty for the first one."""
        if level == 0:
            return ""
        if self.is_removed:
            return f"+{self.setting}"
        if self.edit.action == "replace":
            return f"{self.edit.value} for {self.edit.target}"
        return f"{self.setting}={self.levels[1][0]}"


def read_parts(
    settings: AblateSettings, known: Known, factors: Collection[str], source: LocatedYaml
) -> list[Part]:
    """Return the parts that a grid names, in its order.

    Args:
        settings: The settings.
        known: The settings that the grid may name.
        factors: The grid's other factors.
        source: The grid file, for errors.

    Raises:
        GridError: The model is not the user's own, or the name of a part has another meaning, too.
    """
    if not known.is_users:
        raise source.error(
            ("ablate",),
            "parts can be taken out of a model of your own only, `model: {file: my_model.keras}` or `model: "
            "{builder: my_models:build}`. List settings of the built-in models under `factors:`.",
        )
    parts = [*_parts(settings)]
    taken = {*TRAINING_KEYS, *known.model_keys, *factors}
    for part in parts:
        if part.setting in taken:
            raise source.error(
                part.levels[0][2],
                f"'{part.setting}' is the name of another part or setting, too; give the part a `name` of "
                "its own.",
            )
        taken.add(part.setting)
    return parts


def part_cells(
    settings: AblateSettings | None, parts: Sequence[Part], factors: list[Factor]
) -> dict[Combination, str]:
    """Name the combinations of a model's parts, each with every combination of the other factors."""
    if not settings or "all" in settings.how:
        return all_cells([*parts, *factors])
    own, others = one_at_a_time(parts, settings.how), all_cells(factors)
    return {
        cell + other: name if not any(other) else f"{name} {addition}"
        for other, addition in others.items()
        for cell, name in own.items()
    }


def matched_variants(variants: Sequence[Variant], parts: Sequence[Part]) -> list[Variant]:
    """Return a variant as large as the whole model for each that is without a part to be matched."""
    matched, to_match = [], [part.edit for part in parts if part.matched]
    for variant in variants:
        edits = getattr(variant.model, "edits", ())
        if any(edit in to_match for edit in edits):
            model = variant.model.model_copy(update={"edits": (*edits, Edit(action="match"))})
            changes = {"name": f"{variant.name} matched", "model": model, "crossed": False}
            matched.append(variant.model_copy(update=changes))
    return matched


def edit_place(data: Mapping[str, Any], key: str, edit: Any) -> KeyPath:
    """Return the place of an edit in a grid file; that of its section if it is not there."""
    section = data["ablate"].get(key)
    if isinstance(section, dict) and edit.target in section:
        return ("ablate", key, edit.target)
    for number, target in enumerate(section if isinstance(section, list) else ()):
        if _removal(Target.model_validate(target)) == edit:
            return ("ablate", key, number)
    return ("ablate", key)


def _may_have_parameters(edit: Edit) -> bool:
    bare = re.sub(r"(1D|2D|3D)$", "", edit.target)
    return not edit.penalty and not bare.endswith(_WITHOUT_PARAMETERS)


def _parts(settings: AblateSettings) -> Iterator[Part]:
    for number, target in enumerate(settings.remove):
        place: KeyPath = ("ablate", "remove", number)
        edit = _removal(target)
        matched = target.matched
        if matched is None:
            matched = settings.matched and _may_have_parameters(edit)
        levels = (WITHOUT, edit, place), (WITH, None, place)
        yield Part(_removal_name(target), levels, edit, matched)
    for old, new in settings.replace.items():
        place = ("ablate", "replace", old)
        edit = Edit(action="replace", target=old, value=new)
        yield Part(f"{old} or {new}", ((old, None, place), (new, edit, place)), edit)
    for argument, value in settings.change.items():
        place = ("ablate", "change", argument)
        edit = Edit(action="change", target=argument, value=value)
        yield Part(argument, ((AS_GIVEN, None, place), (yaml_text(value), edit, place)), edit)


def _removal(target: Target) -> Edit:
    settings = target.model_dump(exclude={"name", "kind", "matched"})
    return Edit(action="remove", target=target.kind, **settings)


def _removal_name(target: Target) -> str:
    if target.name:
        return target.name
    if target.kind:
        return _SHORT_NAMES.get(target.kind, target.kind)
    layers = " ".join(pattern.rstrip("*").rstrip("_/") or "all" for pattern in target.layers)
    if target.penalty:
        return f"{target.penalty} {layers}".strip()
    return f"{target.branch} branch" if target.branch else layers
