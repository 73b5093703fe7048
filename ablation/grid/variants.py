"""The settings that a grid may name, and the validation of the settings of one variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, did_you_mean
from ablation.grid.builder import Builder
from ablation.grid.component_parser import LISTS, resolved
from ablation.grid.keras_names import KINDS
from ablation.grid.key_places import MODEL_KEYS, TRAINING_KEYS, why_not_varied
from ablation.grid.mistyped_values import number_hint, shown
from ablation.grid.model_file import FILE_KEYS, model_file
from ablation.grid.schema_errors import several, unknown_key, validate
from ablation.grid.settings import MODEL_FAMILIES, AnyModel, FileSettings, TrainingSettings
from ablation.grid.study import Variant
from ablation.grid.value_text import yaml_text
from ablation.grid.yaml_positions import KeyPath, LocatedYaml

PLAIN = "plain"

Change = tuple[Any, KeyPath]  # the new value of a setting, and its place in the file

_NO_XLA = (
    "XLA cannot train this model: it has no deterministic max pooling, and does not support the "
    "augmentations shift and rotate. Remove `jit_compile`."
)


@dataclass(frozen=True)
class Known:
    """The known settings: those of the model families, or those of a model of the user's own.

    Attributes:
        source: The grid file, for errors.
        builder: The custom builder, or None.
        file: The model that the user has saved, or None.
        parts: The names of the parts of a model of the user's own that variants are without.
    """

    source: LocatedYaml
    builder: Builder | None = None
    file: FileSettings | None = None
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Mapping[str, Any], source: LocatedYaml) -> Known:
        """Return the settings that are known with this `model:` section.

        Raises:
            GridError: The section names a builder that cannot be used.
        """
        name, place = model.get("builder"), ("model", "builder")
        if "file" in model:
            return cls(source, file=model_file(model, source))
        if name is None:
            return cls(source)
        if not isinstance(name, str) or ":" not in name:
            raise source.error(place, f"expected module:function, not {yaml_text(name)}.")
        try:
            builder = Builder.load(name, Path(source.file).absolute().parent)
        except AblationError as error:
            raise source.error(place, str(error)) from None
        if clash := set(builder.arguments) & TRAINING_KEYS:
            raise source.error(
                place, f"the argument '{min(clash)}' has the name of a training setting; rename it."
            )
        return cls(source, builder)

    def base(self, model: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Change]:
        """Return the settings under `model:` and `training:`, each with its place in the file.

        Raises:
            GridError: A setting does not exist, or its value is not valid.
        """
        base: dict[str, Change] = {}
        excepted = ("model",) if self.is_users else ()
        for section, valid, settings in (
            ("model", self.model_keys, model),
            ("training", TRAINING_KEYS, training),
        ):
            for key, value in settings.items():
                if key not in valid:
                    raise self.source.error((section, key), unknown_key(key, valid, excepted))
                base[key] = self.change(key, value, (section, key))
        if self.builder is None:  # an argument without a default may be a factor
            self.variant(PLAIN, base, {}, False)
        return base

    def setting(self, name: str, path: KeyPath) -> str:
        """Resolve `dropout` or `model.dropout` to the setting's bare name.

        Raises:
            GridError: The setting does not exist.
        """
        if name in ("model", "training") and name not in self.model_keys:
            raise self.source.error(path, self._without_section(name, path))
        section, _, key = name.rpartition(".")
        every = self.model_keys | TRAINING_KEYS
        sections = {"": every, "model": self.model_keys, "training": TRAINING_KEYS}
        valid = sections.get(section, frozenset())
        fixed = {"builder", *(FILE_KEYS if self.file else ())}
        if key not in valid - fixed:
            if reason := why_not_varied(name):
                raise self.source.error(path, reason)
            hint = did_you_mean(key, (valid or every) - fixed)
            raise self.source.error(path, f"unknown setting '{name}'.{hint}")
        return key

    def _without_section(self, name: str, path: KeyPath) -> str:
        """Say that variants and factors name settings without their section, with the first as an example."""
        value: Any = self.source.data
        for part in path:
            value = value[part]
        first = next(iter(value.items()), None) if isinstance(value, dict) else None
        example = f", for example `{first[0]}: {yaml_text(first[1])}`" if first else ""
        return f"'{name}' is a section, not a setting. Write its settings here without it{example}."

    def change(self, setting: str, value: Any, path: KeyPath) -> Change:
        """Return the new value of a setting, with components looked up and tried out, and its place.

        Raises:
            GridError: A component does not exist, or its arguments are not valid.
        """
        if setting not in KINDS or (self.builder and setting in self.builder.arguments):
            return value, path
        if setting not in LISTS:
            return self._resolved_component(setting, value, path), path
        if not isinstance(value, list):
            return value, path
        return [self._resolved_component(setting, item, (*path, i)) for i, item in enumerate(value)], path

    def _resolved_component(self, setting: str, value: Any, path: KeyPath) -> Any:
        if setting == "learning_rate" and (hint := number_hint(value)):
            raise self.source.error(path, f"expected a number, not {shown(value)}.{hint}")
        try:
            folder = Path(self.source.file).absolute().parent
            return resolved(setting, value, folder, user_model=self.is_users)
        except AblationError as error:
            hint = several(value, setting) if path[0] in ("model", "training") else ""
            raise self.source.error(path, f"{error}{hint}") from None

    def variant(
        self, name: str, settings: Mapping[str, Change], levels: dict[str, str], crossed: bool
    ) -> Variant:
        """Validate the settings of one variant; an error names the line that sets the wrong value.

        Raises:
            GridError: A value is not valid.
        """
        places = {key: path for key, (_, path) in settings.items()}
        values = {key: value for key, (value, _) in settings.items()}
        model = self._users_model(values, places) if self.is_users else self._family_model(values, places)
        training = {k: v for k, v in values.items() if k in TRAINING_KEYS}
        variant = Variant(
            name=name,
            model=model,
            training=validate(TrainingSettings, training, self.source, places, ("training",)),
            levels=levels,
            crossed=crossed,
        )
        if variant.training.jit_compile and (
            model.family == "cnn" or any(kind in ("shift", "rotate") for kind in model.augmentation)
        ):
            raise self.source.error(places["jit_compile"], _NO_XLA)
        return variant

    @property
    def is_users(self) -> bool:
        """Whether the model is the user's own."""
        return self.builder is not None or self.file is not None

    @property
    def model_keys(self) -> frozenset[str]:
        """The settings of the model that a grid may name."""
        if self.file:
            return frozenset({"augmentation", *FILE_KEYS})
        return frozenset({"builder", "augmentation", *self.builder.arguments}) if self.builder else MODEL_KEYS

    def _users_model(self, values: Mapping[str, Any], places: Mapping[str, KeyPath]) -> AnyModel:
        arguments = {k: v for k, v in values.items() if self.builder and k in self.builder.arguments}
        try:
            settings = self.file or (self.builder and self.builder.settings(arguments))
        except AblationError as error:
            raise self.source.error(("model", "builder"), str(error)) from None
        assert settings
        edits = tuple(values[part] for part in self.parts if values.get(part))
        settings = settings.model_copy(update={"edits": edits})
        if "augmentation" not in values or "augmentation" in arguments:
            return settings
        model = settings.model_dump() | {"augmentation": values["augmentation"]}
        return validate(type(settings), model, self.source, places, ("model",))

    def _family_model(self, values: Mapping[str, Any], places: Mapping[str, KeyPath]) -> AnyModel:
        family = values.get("family", "cnn")
        if not isinstance(family, str) or family not in MODEL_FAMILIES:
            hint = did_you_mean(str(family), MODEL_FAMILIES)
            raise self.source.error(places["family"], f"'{family}' is not a model family.{hint}")
        model_class = MODEL_FAMILIES[family]
        fields = model_class.model_fields
        # A variant of another family keeps what the two families share of the settings under `model:`.
        foreign = {k for k in values if places[k][0] == "model" and k not in fields}
        refused = {k for k in values if k in MODEL_KEYS and k not in fields} - foreign
        if foreign and places["family"][0] == "model":
            refused |= foreign
        if refused:
            key = min(refused)
            raise self.source.error(
                places[key], f"a {family} model has no setting '{key}'.{did_you_mean(key, fields)}"
            )
        model = {k: v for k, v in values.items() if k in MODEL_KEYS and k not in foreign}
        return validate(model_class, model, self.source, places, ("model",))
