"""Check a study before it is run: build every model, and compare it with the baseline's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablation.data.class_counts import counts_in_words
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.seeding import Randomness
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary
from ablation.grid.value_text import counted, yaml_text
from ablation.models.augmentation import layers_of
from ablation.models.build import build_model
from ablation.models.cost import counted_multiply_adds
from ablation.models.training_only import training_only_layer
from ablation.results.notes import planned_notes
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.preflight import require_fit

if TYPE_CHECKING:
    import keras

# What Keras writes into a layer's configuration beside what it does.
_INCIDENTAL = {"name", "seed", "trainable", "dtype", "build_config", "batch_shape"}


@dataclass(frozen=True)
class Layer:
    """A layer of a built model.

    Attributes:
        name: Its name.
        kind: The name of its class.
        output: The shape of its output for one image, as text; empty if it is not known.
        parameters: The number of its parameters.
        settings: Its configuration, as text by name.
    """

    name: str
    kind: str
    output: str
    parameters: int
    settings: dict[str, str]


@dataclass(frozen=True)
class VariantCheck:
    """A variant's model; ``error`` says why it could not be built."""

    name: str
    parameters: int = 0
    multiply_adds: int = 0
    layers: tuple[Layer, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Difference:
    """A layer in which a variant differs from the baseline, with a description of it in both."""

    layer: str
    baseline: str
    variant: str


@dataclass(frozen=True)
class Check:
    """What `ablation check` prints; ``classes`` says how many images there are per class."""

    description: str
    baseline: str
    trials: int
    variants: tuple[VariantCheck, ...]
    notes: tuple[str, ...]
    classes: str = ""

    def differences(self, variant: VariantCheck) -> list[Difference]:
        """Return the layers in which a variant's model differs from the baseline's."""
        baseline = next(v for v in self.variants if v.name == self.baseline)
        return list(_differences(baseline.layers, variant.layers))


def check_study(study: Study) -> Check:
    """Prepare a study's images, build each variant's model, and compare it with the baseline's.

    Raises:
        AblationError: The images are missing or not usable, or the study does not fit them.
    """
    dataset = prepare_dataset(study.dataset, study.vary)
    require_fit(study, dataset)
    with quiet_stderr():
        variants = tuple(_checked(variant, dataset) for variant in study.variants)
    baseline = next(v for v in study.variants if v.name == study.baseline)
    built = next(v for v in variants if v.name == study.baseline)
    idle = [
        f"{checked.name} changes nothing: its model is identical to that of {study.baseline}, layer for "
        "layer, and so is its training."
        for variant, checked in zip(study.variants, variants, strict=True)
        if checked is not built and checked.layers and variant.training == baseline.training
        if not any(_differences(built.layers, checked.layers))
    ]
    return Check(
        description=f"{study.name}: {dataset.describe()}; {_size(dataset)}",
        baseline=study.baseline,
        trials=len(study.trials(dataset.digest)),
        variants=variants,
        notes=(*idle, *planned_notes(study, dataset)),
        classes=counts_in_words(dataset.class_counts),
    )


def _size(dataset: Dataset) -> str:
    height, width, channels = dataset.image_shape
    return f"{height} × {width} pixels, {counted(channels, 'channel')}"


def _checked(variant: Variant, dataset: Dataset) -> VariantCheck:
    try:
        shape, classes, multi_label = dataset.image_shape, len(dataset.class_names), dataset.is_multi_label
        model = build_model(variant.model, shape, classes, Randomness(0), multi_label)
    except Exception as error:
        return VariantCheck(variant.name, error=error_summary(error))
    return VariantCheck(
        variant.name,
        model.count_params(),
        counted_multiply_adds(model),
        tuple(_layer(layer) for layer in layers_of(model)),
    )


def _layer(layer: keras.Layer) -> Layer:
    try:
        shape = layer.output.shape[1:]
        output = " × ".join(str(side) for side in shape)
    except (AttributeError, ValueError):  # of a subclassed model
        output = ""
    inner = layer.layer if isinstance(layer, training_only_layer()) else layer
    settings = {k: _text(v) for k, v in inner.get_config().items() if k not in _INCIDENTAL}
    return Layer(layer.name, type(inner).__name__, output, layer.count_params(), settings)


def _text(value: Any) -> str:
    """Return a part of a configuration as text; for an object, its class and its own configuration."""
    if isinstance(value, dict) and "class_name" in value:
        settings = {k: v for k, v in value.get("config", {}).items() if k not in _INCIDENTAL}
        return f"{value['class_name']}{settings or ''}"
    return yaml_text(value)


def _differences(baseline: tuple[Layer, ...], variant: tuple[Layer, ...]) -> Iterator[Difference]:
    before, after = ({layer.name: layer for layer in layers} for layers in (baseline, variant))
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        changed: list[str] = []
        if old and new and old.kind == new.kind:
            changed = [key for key in new.settings if old.settings.get(key) != new.settings[key]]
        if old and new and (old.kind, old.output, old.parameters) == (new.kind, new.output, new.parameters):
            yield Difference(name, *(f"{side.kind}: {_settings(side, changed)}" for side in (old, new)))
        else:
            yield Difference(name, _description(old, changed), _description(new, changed))


def _settings(layer: Layer, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {layer.settings.get(name, '')}" for name in names)


def _description(layer: Layer | None, changed: Sequence[str]) -> str:
    if layer is None:
        return "–"
    parameters = f"{layer.parameters:,} parameters" if layer.parameters else ""
    return ", ".join(filter(None, (layer.kind, layer.output, parameters, _settings(layer, changed))))
