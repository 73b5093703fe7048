"""Check a study before it is run: build every model, and compare it with the baseline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablation.analysis.alias_phrases import design_notes
from ablation.data.class_counts import counts_in_words
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.grid.seeding import Randomness
from ablation.grid.settings import BuilderSettings
from ablation.grid.study import Study, Variant
from ablation.grid.user_code import error_summary
from ablation.grid.value_text import counted
from ablation.models.build import build_model
from ablation.models.cost import counted_multiply_adds
from ablation.models.layer_list import Layer, shown_layers
from ablation.models.unseeded import has_own_code
from ablation.results.notes import planned_notes
from ablation.tensorflow_setup import quiet_stderr
from ablation.workflow.ablated_models import edit_notes
from ablation.workflow.preflight import require_fit


@dataclass(frozen=True)
class VariantCheck:
    """A variant's model; ``error`` says why it could not be built.

    ``has_own_code`` says whether it computes with the user's code, of which layers do not tell everything.
    """

    name: str
    parameters: int = 0
    multiply_adds: int = 0
    layers: tuple[Layer, ...] = ()
    error: str = ""
    has_own_code: bool = False


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
        if not checked.has_own_code and not any(_differences(built.layers, checked.layers))
    ]
    planned = [*design_notes(study), *planned_notes(study, dataset)]
    return Check(
        description=f"{study.name}: {dataset.describe()}; {_size(dataset)}",
        baseline=study.baseline,
        trials=len(study.trials(dataset.digest)),
        variants=variants,
        notes=(
            *edit_notes(study, dataset),
            *idle,
            *_unnamed(study, built, variants),
            *planned,
        ),
        classes=counts_in_words(dataset.class_counts),
    )


def _size(dataset: Dataset) -> str:
    height, width, channels = dataset.image_shape
    return f"{height} × {width} pixels, {counted(channels, 'channel')}"


def _checked(variant: Variant, dataset: Dataset) -> VariantCheck:
    try:
        shape, classes, multi_label = dataset.image_shape, len(dataset.class_names), dataset.is_multi_label
        model = build_model(variant.model, shape, classes, Randomness(0), multi_label, variant.training)
    except Exception as error:
        return VariantCheck(variant.name, error=error_summary(error))
    return VariantCheck(
        variant.name,
        model.count_params(),
        counted_multiply_adds(model),
        shown_layers(model),
        has_own_code=has_own_code(model),
    )


def _unnamed(study: Study, built: VariantCheck, variants: Sequence[VariantCheck]) -> list[str]:
    """Say where variants of a builder number their layers differently, so that they pair badly."""
    if not isinstance(study.variants[0].model, BuilderSettings) or any(
        getattr(variant.model, "edits", ()) for variant in study.variants
    ):
        return []  # layers keep their names when others are removed
    before = Counter(layer.kind for layer in built.layers if layer.is_numbered)
    kinds: dict[str, set[str]] = {}
    for variant in variants:
        after = Counter(layer.kind for layer in variant.layers if layer.is_numbered)
        different = {kind for kind in before if variant.layers and before[kind] != after[kind]}
        kinds |= {variant.name: different} if different else {}
    if not kinds:
        return []
    every = sorted(set().union(*kinds.values()))
    return [
        f"Name your layers ({', '.join(every)}) with the argument `name`. Layers without a name are "
        f"numbered, and {', '.join(kinds)} and {built.name} have different numbers of them. So layers of the "
        "same name need not be the same layer, and the variants are paired badly: the layers that both have "
        "in common start from different weights."
    ]


def _differences(baseline: tuple[Layer, ...], variant: tuple[Layer, ...]) -> Iterator[Difference]:
    before, after = ({layer.name: layer for layer in layers} for layers in (baseline, variant))
    if before == after:  # the same layers may be connected differently
        for name in before:
            sides = before[name].inputs, after[name].inputs
            if sides[0] != sides[1]:
                yield Difference(
                    name, *(f"after {', '.join(filter(None, side)) or 'the images'}" for side in sides)
                )
        return
    for name in [*after, *(name for name in before if name not in after)]:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        changed: list[str] = []
        if old and new and old.kind == new.kind:
            keys = dict.fromkeys((*new.settings, *old.settings))
            changed = [key for key in keys if old.settings.get(key) != new.settings.get(key)]
        if old and new and (old.kind, old.output, old.parameters) == (new.kind, new.output, new.parameters):
            yield Difference(name, *(f"{side.kind}: {_settings(side, changed)}" for side in (old, new)))
        else:
            yield Difference(name, _description(old, changed), _description(new, changed))


def _settings(layer: Layer, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {layer.settings.get(name, 'not set')}" for name in names)


def _description(layer: Layer | None, changed: Sequence[str]) -> str:
    if layer is None:
        return "–"
    parameters = f"{layer.parameters:,} parameters" if layer.parameters else ""
    return ", ".join(filter(None, (layer.kind, layer.output, parameters, _settings(layer, changed))))
